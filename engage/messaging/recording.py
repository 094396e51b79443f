"""Writing down what the carrier answered. Repeated while the database is busy; when it cannot be written, the rows stay
SENDING until their lease is over, and are then reconciled: late, but never twice."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet

from engage.lib import clock
from engage.messaging import errors
from engage.messaging.models import Attempt, Message
from engage.messaging.rows import ask_all, update_rows
from engage.messaging.status import SAID, Change, adopt
from engage.messaging.transports import Accepted, Answer, Doubt, NotAccepted, NotAttempted, Parcel, Refused

log = logging.getLogger(__name__)
TRIES = 5
State, Outcome = Message.State, Attempt.Outcome
Pair = tuple[Parcel, Answer]
# In the carrier's hands or about to be; a report that came before us has moved the row on already.
UNSETTLED_SQL = "t.state IN ('sending', 'in_doubt', 'needs_review') AND t.provider_sid IS NULL"


def record(pairs: Sequence[Pair]) -> int:
    """Writes what came back, in a transaction of its own; how many were accepted."""
    taken, others = sorted_out(pairs)
    _persistently(partial(accepted, taken), taken)
    if len(others) > 1 and _together(others):
        return len(taken)
    for pair in others:
        _persistently(partial(_other, *pair), [pair])
    return len(taken)


def sorted_out(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Those the carrier took, and the others."""
    taken = [pair for pair in pairs if isinstance(pair[1], Accepted)]
    return taken, [pair for pair in pairs if not isinstance(pair[1], Accepted)]


def _together(pairs: Sequence[Pair]) -> bool:
    """One commit for all; False, and nothing written, when one of them cannot be."""
    try:
        with transaction.atomic():
            for pair in pairs:
                _other(*pair)
    except Exception as error:
        log.warning("%s answers are written one by one (%s)", len(pairs), type(error).__name__)
        return False
    return True


def _persistently(act: Callable[[], None], pairs: Sequence[Pair]) -> None:
    """Tries again while the database is busy; gives up on what only time can settle."""
    for tried in range(TRIES if pairs else 0):
        try:
            with transaction.atomic():
                return act()
        except (OperationalError, InterfaceError) as error:
            log.warning("an answer could not be written (%s), try %s", type(error).__name__, tried + 1)
            if connection.in_atomic_block:
                raise
            connection.close_if_unusable_or_obsolete()
            time.sleep(min(0.2 * 2**tried, 2.0))
        except IntegrityError:
            return _one_by_one(pairs)
        except Exception:
            log.exception("messages %s: an answer could not be applied", [p.message_id for p, _ in pairs])
            return None
    if pairs:
        log.error("%s answers could not be written; they will be reconciled", len(pairs))
    return None


def _one_by_one(pairs: Sequence[Pair]) -> None:
    """An id of the carrier's belongs to another row of ours: the others must not suffer for it."""
    for parcel, answer in pairs:
        if isinstance(answer, Accepted):
            try:
                adopt(parcel.message_id, Change(answer.sid, State.ACCEPTED))
            except IntegrityError:
                log.error("message %s: the carrier's id belongs to another message", parcel.message_id)


def accepted(pairs: Sequence[Pair]) -> None:
    """What the carrier took; inside a transaction."""
    if not pairs:
        return
    sids = [(p, a.sid) for p, a in pairs if isinstance(a, Accepted)]
    machine = clock.machine_now()
    messages = update_rows(
        Message,
        {
            "state": State.ACCEPTED,
            "state_reason": SAID[State.ACCEPTED],
            "accepted_at": clock.now(),
            "done_at": machine,
            "error_code": "",
        },
        ("provider_sid",),
        [(p.message_id, sid) for p, sid in sids],
        UNSETTLED_SQL,
    )
    attempts = update_rows(
        Attempt,
        {"outcome": Outcome.ACCEPTED, "http_status": 201},
        ("provider_sid",),
        [(p.attempt_id, sid) for p, sid in sids],
    )
    written = ask_all([messages, attempts])[0][0][0]
    if written < len(sids):
        _late(sids)


def _late(sids: Sequence[tuple[Parcel, str]]) -> None:
    """Rows that are no longer in flight: moved on by a report (nothing to do), or given up as not accepted (adopt)."""
    known = dict(
        Message.objects.filter(pk__in=[p.message_id for p, _ in sids]).values_list("pk", "provider_sid")
    )
    for parcel, sid in sids:
        if known.get(parcel.message_id) != sid:
            adopt(parcel.message_id, Change(sid, State.ACCEPTED))


def _other(parcel: Parcel, answer: Answer) -> None:
    if isinstance(answer, Refused):
        _attempt(parcel, Outcome.REFUSED, answer.http, answer.code)
        _refused(parcel, answer)
    elif isinstance(answer, NotAccepted):
        _attempt(parcel, Outcome.NOT_ACCEPTED, answer.http, answer.code)
        _back(parcel, answer.why, _backoff(parcel, answer))
    elif isinstance(answer, NotAttempted):
        _attempt(parcel, Outcome.NOT_ATTEMPTED)
        _back(parcel, answer.why, 0.05 * 2 ** min(parcel.tried, 10))
    elif isinstance(answer, Doubt):
        _attempt(parcel, Outcome.DOUBT, answer.http)
        _mine(parcel).update(
            state=State.IN_DOUBT,
            state_reason=f"{answer.why} Checking with the carrier."[:300],
            done_at=clock.machine_now(),
        )


def _attempt(parcel: Parcel, outcome: str, http: int | None = None, code: str = "") -> None:
    Attempt.objects.filter(pk=parcel.attempt_id, outcome="").update(
        outcome=outcome, http_status=http, error_code=code[:10]
    )


def _mine(parcel: Parcel) -> QuerySet[Message]:
    """The row while it is still in this attempt: a report, or a later attempt, rules otherwise."""
    return Message.objects.filter(
        pk=parcel.message_id, state=State.SENDING, attempts_made=parcel.tried, provider_sid=None
    )


def _refused(parcel: Parcel, answer: Refused) -> None:
    rows = Message.objects.select_for_update(of=("self",)).select_related("stream", "clinic", "patient")
    message = rows.filter(
        pk=parcel.message_id, state__in=(State.SENDING, State.IN_DOUBT), provider_sid=None
    ).first()
    if message is None:
        return
    message.state, message.error_code = State.FAILED, answer.code[:10]
    message.state_reason, message.done_at = errors.sentence(answer.code), clock.machine_now()
    message.save(update_fields=["state", "error_code", "state_reason", "done_at"])
    errors.take_effect(message, answer.code)


def _back(parcel: Parcel, why: str, seconds: float) -> None:
    machine = clock.machine_now()
    _mine(parcel).update(
        state=State.QUEUED,
        state_reason=why[:300],
        retry_at=machine + timedelta(seconds=seconds),
        done_at=machine,
    )


def _backoff(parcel: Parcel, answer: NotAccepted) -> float:
    """Seconds until the next try: doubling from a sixtieth of the breaker's time up to all of it, or as asked."""
    if answer.retry_after is not None:
        return answer.retry_after
    return float(settings.BREAKER_OPEN / 60 * min(60, 2 ** min(parcel.tried, 6)))
