"""Value sets, shipped with the product and loaded from files."""


def ensure() -> None:
    """Loads the shipped value sets when they are not there."""
