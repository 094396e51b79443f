"""The measures we know, by id. A new measure is one file of expressions and one line here."""

from engage.caregaps.measure import Measure
from engage.caregaps.measures import (
    cms2,
    cms117,
    cms122,
    cms124,
    cms125,
    cms130,
    cms131,
    cms138,
    cms139,
    cms153,
    cms165,
    cms347,
    cms349,
    cms951,
)

MODULES = (
    cms125,
    cms130,
    cms165,
    cms124,
    cms122,
    cms131,
    cms951,
    cms139,
    cms153,
    cms117,
    cms2,
    cms138,
    cms347,
    cms349,
)
MEASURES: dict[str, Measure] = {module.MEASURE.id: module.MEASURE for module in MODULES}

# What the nightly job asks for, unless NIGHTLY_MEASURES says otherwise: what a call, a text or a booked visit can close.
# Depression, tobacco, HIV and statins are settled between clinician and patient in the room; they answer to
# `find_gaps --measure` and `measure_report`.
NIGHTLY = (
    "CMS125",
    "CMS124",
    "CMS130",
    "CMS122",
    "CMS165",
    "CMS131",
    "CMS951",
    "CMS117",
    "CMS153",
    "CMS139",
)
