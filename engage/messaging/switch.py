"""The one switch over all sending: an operator stops everything, and lets it go on, from the console or a command; and
what else only an operator may let go on: a sender locked by a fault of ours, a restored database.

In force within OPT_OUT_CACHE seconds in every sender process (stops.py): nothing is claimed, and what is claimed already is
given back before its POST. It survives restarts, unlike SENDING_ENABLED, and keeps who stopped and why.
"""

from django.db import IntegrityError, transaction

from engage.accounts.models import User
from engage.audit.models import record
from engage.lib import clock
from engage.messaging import breaker, generation, twilio
from engage.messaging.models import Breaker, SendingStop


class SwitchError(ValueError):
    """An act that makes no sense now; one sentence for the person who tried it."""


def current() -> SendingStop | None:
    """The stop in force, None when sending is not stopped."""
    return SendingStop.objects.filter(ended_at=None).first()


def stop(by: User | str, why: str) -> SendingStop:
    """Stops all sending. Raises SwitchError without a reason, or when it is stopped already."""
    why = why.strip()
    if not why:
        raise SwitchError("Say why: colleagues read it on every page.")
    name = by if isinstance(by, str) else by.display_name
    try:
        with transaction.atomic():
            row = SendingStop.objects.create(why=why[:200], begun_by=name)
            record(by, "sending.stop", row)
    except IntegrityError:
        raise SwitchError("Sending has been stopped already.") from None
    return row


def go_on(by: User | str) -> SendingStop:
    """Ends the stop; what waited is judged by the gate again before it goes. Raises SwitchError when there is none."""
    with transaction.atomic():
        row = SendingStop.objects.select_for_update().filter(ended_at=None).first()
        if row is None:
            raise SwitchError("Sending is not stopped.")
        row.ended_at, row.ended_by = clock.machine_now(), by if isinstance(by, str) else by.display_name
        row.save(update_fields=["ended_at", "ended_by"])
        record(by, "sending.go_on", row)
    return row


def try_again(by: User | str) -> None:
    """After a fault of our own set-up has been mended: one message decides. Raises SwitchError when nothing is locked."""
    sender = twilio.sender()
    if not Breaker.objects.filter(sender=sender, state=Breaker.State.LOCKED).exists():
        raise SwitchError("The sender has not stopped by itself; there is nothing to try again.")
    with transaction.atomic():
        breaker.unlock(sender)
        record(by, "sending.try_again")


def release(by: User | str, *, unready: bool = False) -> int:
    """Ends the pause of a restored database; how many messages are looked up before they go.

    Raises SwitchError when there is none, or (unless `unready`) while the jobs that mend what was lost have not run.
    """
    gone = generation.forgotten()
    if not gone:
        raise SwitchError("The database has not been restored; there is nothing to release.")
    if not unready and generation.still_missing(gone):
        raise SwitchError("Not yet: the jobs have not gone over the lost time. They do within five minutes.")
    with transaction.atomic():
        count = generation.accept()
        record(by, "sending.resume", messages=count)
    return count
