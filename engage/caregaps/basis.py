"""Whether a night may look only at those for whom something changed, and who they are (docs/decisions/0009).

It may when the last run left every gap as today's rules would have it then. The others are those whose record changed since,
and those for whom time itself changes an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from pyroaring import BitMap

from engage.caregaps import asked, moving
from engage.caregaps.algebra import EVENTS
from engage.caregaps.measure import Measure
from engage.caregaps.models import CareGap, GapRun
from engage.caregaps.period import Period
from engage.patients.models import Patient
from engage.records import changes
from engage.records.models import ValueSet

EVERYBODY_EVERY = timedelta(
    days=7
)  # a belt besides the braces: what no rule here foresaw lasts a week at most
MOST, FEW = 0.1, 1_000  # more than that share of the patients and that many: looking at everybody is as quick


@dataclass(frozen=True)
class Basis:
    """Whom a run looks at: `patients`, or everybody for the reason given."""

    rules: str  # what the answers depend on besides the record and the day
    line: int | None  # changes noted above it are looked at; None: a run that is no basis for the next
    why_all: str = ""
    before: GapRun | None = None
    patients: BitMap | None = None


def find(as_of: date, measures: Sequence[Measure], *, all_of_them: bool, full: bool, run: GapRun) -> Basis:
    """Draws the line and finds those below the last one. Call it before anything is read."""
    rules = fingerprint(measures)
    if not all_of_them:
        return Basis(rules, None, "only some measures were asked for")
    watched = changes.watch()
    line = changes.draw_line()
    before = GapRun.objects.exclude(pk=run.pk).exclude(state=GapRun.State.STOPPED).order_by("-pk").first()
    why = "it was asked for" if full else why_all(before, as_of, rules, watched)
    if why or before is None:
        return Basis(rules, line, why)
    patients = changes.above(line) | moving.moved_by_time(before.as_of, as_of) | put_off_until(as_of)
    if len(patients) > max(FEW, MOST * Patient.objects.count()):
        return Basis(rules, line, f"much has changed ({len(patients):,} patients)")
    return Basis(rules, line, "", before, patients)


def why_all(before: GapRun | None, as_of: date, rules: str, watched: bool) -> str:
    """Why everybody must be looked at; "" when the last run is good to build on."""
    if before is None:
        return "it is the first run"
    if before.state != GapRun.State.COMPLETED or before.line is None:
        return "the run before was not a complete one"
    if before.as_of > as_of:
        return "the day is before that of the last run"
    if Period.of(before.as_of) != Period.of(as_of):
        return "a new year has begun"
    if before.basis != rules:
        return "the rules or the value sets have changed"
    if not (watched and changes.is_drawn(before.line)):
        return "nobody noted what changed"
    wholes = GapRun.objects.filter(state=GapRun.State.COMPLETED, full=True, basis=rules).order_by("-pk")
    last = wholes.values_list("as_of", flat=True).first()
    if last is None or as_of - last >= EVERYBODY_EVERY:
        return "everybody's turn comes once a week"
    return ""


def fingerprint(measures: Sequence[Measure]) -> str:
    """32 hexadecimal characters of what the answers depend on: the rules, this program and the value sets."""
    found = blake2b(program(), digest_size=16)
    for measure in measures:
        found.update(f"{measure.id}\n".encode())
    for oid, digest in ValueSet.objects.order_by("oid").values_list("oid", "digest"):
        found.update(f"{oid} {digest}\n".encode())
    return found.hexdigest()


@lru_cache(maxsize=1)
def program() -> bytes:
    """The source of this package: a release that changes the rules' code looks at everybody once."""
    here = Path(__file__).parent
    files = sorted(path for path in here.rglob("*.py") if "migrations" not in path.parts)
    return b"".join(path.read_bytes() for path in files)


def moves_to_come(as_of: date, basis: Basis) -> moving.Moves:
    """Whom time will move on the days until everybody's next turn, of those whom the run looks at."""
    return moving.find(as_of, EVERYBODY_EVERY.days, EVENTS if basis.patients is None else asked.EVENTS)


def put_off_until(as_of: date) -> BitMap:
    """Patients of gaps that were put off until now."""
    due = CareGap.objects.filter(status=CareGap.Status.DEFERRED, deferred_until__lte=as_of)
    return BitMap(due.values_list("patient_id", flat=True))
