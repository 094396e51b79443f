"""The measures we know, by id. A new measure is one file of expressions and one line here."""

from engage.caregaps.measure import Measure
from engage.caregaps.measures import cms125, cms130, cms165

MEASURES: dict[str, Measure] = {module.MEASURE.id: module.MEASURE for module in (cms125, cms130, cms165)}
