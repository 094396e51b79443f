import pytest

from engage.simulator.segments import segments


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # 152 + an escaped pair does not fit into 153: the pair moves on whole
        ("a" * 152 + "€" + "a" * 152, 3),
        ("é" * 160, 1),
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("á" * 134, 2),
        ("á" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        # 67 units hold 33 surrogate pairs, not 33 and a half
        ("😀" * 67, 3),
    ],
)
def test_counts_as_the_standard_does(text, parts):
    assert segments(text) == parts
