"""What can be wrong with a resource, said in a sentence for a person."""


class BadResource(ValueError):
    """A resource that cannot be stored; the text is one sentence for whoever looks after the record."""


class BirthDateNeeded(LookupError):
    """An age can only be turned into a day when the patient is known; try again when they are."""


# What the readers raise when an element is of another shape than FHIR gives it.
MISSHAPEN = (AttributeError, TypeError, KeyError, IndexError, ValueError, OverflowError, RecursionError)
NOT_FHIR = "An element has another shape than FHIR gives it."
