"""What a sender and a stream may be given: a second, a minute, a day; shared by every sender process."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from engage.lib import clock, text
from engage.messaging import actions, kinds, pace, twilio
from engage.messaging.models import Lane, Message, Stream, Usage
from engage.messaging.outbox import Sender
from engage.messaging.stops import Stops
from engage.messaging.transports import Accepted, NotAccepted, NotAttempted
from tests.base import CastTestCase
from tests.messaging.processes import Senders
from tests.simulator.harness import Carrier


class Paced(CastTestCase):
    def queue(self, count=1, **more):
        rows = []
        for _ in range(count):
            n = Message.objects.count()
            patient = self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}")
            rows.append(actions.queue(**({"body": f"Hello {n}", "key": f"k{n}", "patient": patient} | more)))
        return rows

    def claimed(self, sender=None):
        sender = sender or Sender()
        sender.look()
        return sender.claim().parcels

    def usage(self, **fields):
        now = {"day": pace.carrier_day(clock.machine_now())}
        return Usage.objects.update_or_create(name=pace.sender_name(twilio.sender()), defaults=now | fields)[
            0
        ]

    def used(self):
        return Usage.objects.get(name=pace.sender_name(twilio.sender())).used


class Rate(Paced):
    def test_without_a_limit_nothing_is_asked(self):
        self.queue(3)
        with CaptureQueriesContext(connection) as asked:
            assert len(self.claimed()) == 3
        assert not [q for q in asked if "messaging_usage" in q["sql"]]

    @override_settings(SENDER_RATE=4)
    def test_bulk_is_given_one_second_ahead_and_no_more(self):
        self.queue(12)
        before = clock.machine_now()
        assert len(self.claimed()) == 4
        after = clock.machine_now()
        assert self.claimed(Sender()) == []  # another process draws on the same second
        assert before < Usage.objects.get().busy_until - timedelta(seconds=1) < after
        self.usage(busy_until=clock.machine_now() - timedelta(seconds=1))  # that second has gone
        assert len(self.claimed()) == 4

    @override_settings(SENDER_RATE=10)
    def test_segments_count_and_not_messages(self):
        spanish = (
            "Está al día con su cita médica. ¿Podría llamarnos para confirmar el número de teléfono? Gracias."
        )
        assert text.size(spanish).segments == 2
        self.queue(9, body=spanish)
        assert len(self.claimed()) == 5

    @override_settings(SENDER_RATE=0.25)
    def test_a_slow_sender_sends_one_long_text_at_a_time(self):
        self.queue(2, body="x" * 400)
        before = clock.machine_now()
        assert len(self.claimed()) == 1
        assert self.claimed() == []
        assert Usage.objects.get().busy_until - before > timedelta(seconds=12)  # 3 parts, 4 s each

    @override_settings(SENDER_RATE=1)
    def test_urgent_and_staff_go_at_once_and_bulk_pays_it_back(self):
        before = clock.machine_now()
        self.usage(busy_until=before + timedelta(seconds=10))
        self.queue()
        first = self.queue(lane=Lane.STAFF) + self.queue(lane=Lane.URGENT)
        assert {p.message_id for p in self.claimed()} == {m.pk for m in first}
        paid = Usage.objects.get().busy_until - before - timedelta(seconds=12)
        assert abs(paid) < timedelta(milliseconds=1)

    @override_settings(SENDER_RATE=1)
    def test_a_clock_put_back_does_not_silence_the_sender(self):
        self.usage(busy_until=clock.machine_now() + timedelta(hours=1))
        self.queue()
        assert len(self.claimed()) == 1

    @override_settings(SENDER_RATE=2)
    def test_what_the_gate_holds_costs_nothing(self):
        self.queue(2)
        Message.objects.update(expires_at=clock.now())
        assert self.claimed() == []
        assert Usage.objects.get().used == 0


class Day(Paced):
    @override_settings(SENDER_DAILY=10, SENDER_RESERVE=20)
    def test_bulk_leaves_a_reserve_for_people_and_answers(self):
        self.queue(12)
        assert len(self.claimed()) == 8
        staff = self.queue(3, lane=Lane.STAFF)
        assert [p.message_id for p in self.claimed()] == [m.pk for m in staff[:2]]
        assert self.used() == 10
        urgent = self.queue(lane=Lane.URGENT)  # a crisis waits for no accounting
        assert [p.message_id for p in self.claimed()] == [urgent[0].pk]

    @override_settings(SENDER_DAILY=10, SENDER_RESERVE=0)
    def test_the_next_day_has_its_own(self):
        self.usage(used=10)
        self.queue()
        assert self.claimed() == []
        self.usage(used=10, day=pace.carrier_day(clock.machine_now()) - timedelta(days=1))
        assert len(self.claimed()) == 1
        assert self.used() == 1

    @override_settings(SENDER_DAILY=10, SENDER_RESERVE=0)
    def test_a_long_text_that_no_longer_fits_lets_a_short_one_by(self):
        self.usage(used=9)
        self.queue(body="x" * 400)
        short = self.queue()
        assert [p.message_id for p in self.claimed()] == [short[0].pk]

    @override_settings(SENDER_DAILY=10, SENDER_RESERVE=0)
    def test_what_was_given_back_counts_for_no_day(self):
        self.queue(3, body="x" * 200)
        sender = Sender()
        parcels = self.claimed(sender)
        assert self.used() == 6
        answers = [Accepted("SM1"), NotAttempted("Too late."), NotAccepted("Busy.", slow=True)]
        sender.turn([list(zip(parcels, answers, strict=True))], ())
        assert self.used() == 2

    def test_the_carriers_day_ends_at_midnight_pacific_whatever_the_clocks_do(self):
        for at, ends in (
            (datetime(2026, 3, 7, 9, tzinfo=UTC), datetime(2026, 3, 8, 8, tzinfo=UTC)),
            (datetime(2026, 3, 8, 9, tzinfo=UTC), datetime(2026, 3, 9, 7, tzinfo=UTC)),  # 23 hours
            (datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 11, 2, 8, tzinfo=UTC)),  # 25 hours
        ):
            assert pace.next_carrier_day(at) == ends

    @override_settings(SENDER_DAILY=10, SENDER_RESERVE=10)
    def test_what_a_person_reads(self):
        self.usage(used=9)
        state = pace.state_of(twilio.sender())
        assert (state.used, state.bulk_full, state.full) == (9, True, False)
        assert pace.soon(twilio.sender(), {}) is False


class Streams(Paced):
    def test_a_stream_keeps_to_its_rate_and_blocks_nobody_behind_it(self):
        slow = Stream.objects.create(name="Slow", rate_per_minute=120)
        self.queue(60, stream=slow)
        other = self.queue(3)
        assert len(self.claimed()) == 2  # the claim saw fifty of the slow ones: two have room
        assert [p.message_id for p in self.claimed()] == [m.pk for m in other]

    def test_its_rate_is_per_minute(self):
        slow = Stream.objects.create(name="Slow", rate_per_minute=1)
        self.queue(2, stream=slow)
        before = clock.machine_now()
        assert len(self.claimed()) == 1
        after = clock.machine_now()
        assert self.claimed() == []
        busy = Usage.objects.get(name=pace.stream_name(slow.pk)).busy_until
        assert before < busy - timedelta(seconds=60) < after

    def test_paused_ones_have_none(self):
        Stream.objects.create(name="Paused", rate_per_minute=1, state="paused")
        stops = Stops()
        stops.read()
        assert stops.stream_rates == {}


@pytest.mark.parametrize(
    ("service", "number", "kind"),
    [
        ("", "+18335550100", "toll_free"), ("", "24680", "short_code"), ("", "+16175550100", "10dlc_low"),
        ("MG" + "0" * 32, "", "10dlc_low"),
    ],
)  # fmt: skip
def test_the_kind_of_a_sender_is_guessed_modestly(service, number, kind):
    assert kinds.likely(service, number) == kind


@pytest.mark.slow
def test_several_senders_share_one_rate(tmp_path):
    """Judged by the carrier's log: from the first claim on, never more than the rate and the burst of a second.

    What a busy machine posts later than it claimed it makes each of these counts smaller. When the first claim was is
    told by the allowance, unless the senders were idle in between, else by its attempts: half a second is for what it took
    to write these. Two rates that are not shared would give 40 at once.
    """
    with (
        Carrier(tmp_path / "carrier", bare=True) as carrier,
        Senders(tmp_path, carrier, SENDER_RATE="20") as senders,
    ):
        senders.queue(80)
        for _ in range(2):
            senders.start()
        assert senders.wait_for(80)
        times = sorted(datetime.fromisoformat(m["at"]).timestamp() for m in carrier.accepted())
        first = (
            "from engage.messaging.models import Attempt, Usage;"
            "given = Usage.objects.get().busy_until.timestamp() - 80 / 20;"
            "print(min(given, Attempt.objects.earliest('started_at').started_at.timestamp()))"
        )
        began = float(senders.manage("shell", "-v0", "-c", first).split()[-1])
        for process in senders.running:
            assert senders.end(process) == 0
    assert [n for n, at in enumerate(times, 1) if n > 20 * (at - began + 0.5) + 20 + 1] == []
    assert (
        times[-1] - began >= 80 / 20 - 1.2
    )  # from the first claim: a busy machine posts its first text late


@pytest.mark.slow
def test_a_drain_waits_for_the_rate_but_not_for_the_next_day(tmp_path):
    limits = {"SENDER_RATE": "20", "SENDER_DAILY": "50", "SENDER_RESERVE": "0"}
    with Carrier(tmp_path / "carrier", bare=True) as carrier, Senders(tmp_path, carrier, **limits) as senders:
        senders.queue(60)
        said = senders.manage("deliver", "--drain")
        assert senders.taken() == 50
        assert "Sent 50. Left: queued 10." in said
