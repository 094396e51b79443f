"""/readyz and /metrics, and the poller that finds lost replies."""

import json
from datetime import timedelta
from unittest.mock import AsyncMock, patch

from django.core.cache import cache
from django.test import override_settings

from engage.caregaps.jobs import find_gaps
from engage.caregaps.models import GapRun
from engage.lib import clock
from engage.messaging import actions, generation, health, switch
from engage.messaging.generation import REPLIES_READ
from engage.messaging.models import Breaker, Heartbeat, Message, ProviderEvent
from engage.messaging.twilio import Provider
from engage.webhooks.jobs import recover_inbound
from tests.base import CastTestCase, with_a_folder_of_its_own
from tests.simulator.harness import Carrier


class Ready(CastTestCase):
    def test_no_sender_is_not_ready(self):
        answer = self.client.get("/readyz")
        assert answer.status_code == 503
        assert "has not started" in answer.json()["sender"]["sentence"]

    def test_a_live_sender_is(self):
        health.beat("deliver")
        health.beat("cluster")
        answer = self.client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["queue"]["workers"] == "ok"
        assert answer.json()["sender"]["sentence"] == ""

    def test_two_minutes_of_silence_are_too_long(self):
        health.beat("deliver")
        for seconds, status in ((110, 200), (130, 503)):
            Heartbeat.objects.update(at=clock.machine_now() - timedelta(seconds=seconds))
            assert self.client.get("/readyz").status_code == status

    def test_a_locked_sender_says_why(self):
        health.beat("deliver")
        from engage.messaging import breaker, twilio

        breaker.lock(twilio.sender(), "The carrier does not accept our credentials.")
        assert "credentials" in health.sender_state()["sentence"]
        assert Breaker.objects.get().state == "locked"

    def test_alive_asks_nothing(self):
        with self.assertNumQueries(0):
            assert self.client.get("/healthz").status_code == 200


class Metrics(CastTestCase):
    def test_counts_by_lane_and_state_and_nothing_about_people(self):
        actions.queue(body="A secret", key="k", patient=self.patient)
        health.beat("deliver")
        page = self.client.get("/metrics").content.decode()
        assert 'engage_messages{lane="bulk",state="queued"} 1.0' in page
        assert 'engage_heartbeat_age_seconds{name="deliver"}' in page
        assert "secret" not in page and "6175550142" not in page

    def test_the_same_as_on_the_delivery_page(self):
        Message.objects.create(key="doubt", address="+16175550142", body="x", state="in_doubt")
        ProviderEvent.objects.create(provider_sid="SM1", status="sent")
        switch.stop("system:operator", "Now.")
        with override_settings(SENDER_DAILY=2000):
            metrics = self.client.get("/metrics").content.decode()
            facts = json.loads(self.client.get("/readyz").content)
        for line in (
            'engage_messages{lane="bulk",state="in_doubt"} 1.0', "engage_send_rate 0.0", "engage_segments_a_day 2000.0",
            "engage_sending_stopped 1.0", "engage_callback_age_seconds 0.",
        ):  # fmt: skip
            assert line in metrics, line
        assert facts["sender"]["stopped"] is True
        assert facts["delivery"]["in_doubt"] == 1 and facts["delivery"]["needs_review"] == 0
        assert facts["delivery"]["segments_a_day"] == 2000 and facts["delivery"]["last_callback"]

    def test_a_million_are_not_counted_by_everybody_who_looks(self):
        actions.queue(body="Hello", key="k", patient=self.patient)
        cache.delete(health.COUNTED)
        with self.assertNumQueries(2):  # few are counted anew each time
            health.depths_lately()
            health.depths_lately()
        self.addCleanup(cache.delete, health.COUNTED)
        with patch.object(health, "MANY", 0):
            health.depths_lately()
        kept = cache.get(health.COUNTED)
        assert kept is None or kept[0][0]["count"] == 1  # it was kept for twenty times as long as it took
        cache.set(health.COUNTED, ([], clock.machine_now()), 60)
        with self.assertNumQueries(0):
            assert health.depths_lately()[0] == []

    def test_the_last_care_gap_run(self):
        assert "engage_gap_run_age_seconds NaN" in self.client.get("/metrics").content.decode()
        find_gaps()
        GapRun.objects.update(opened=1204, closed=310)
        page = self.client.get("/metrics").content.decode()
        assert (
            'engage_gap_run_done{what="opened"} 1204.0' in page
            and 'engage_gap_run_done{what="closed"} 310.0' in page
        )
        assert 'engage_gap_run_ended{state="completed"} 1.0' in page and "engage_gap_run_running 0.0" in page


class Recovering(CastTestCase):
    def setUp(self):
        with_a_folder_of_its_own(self)

    def carrier(self, **options):
        carrier = self.enterContext(Carrier(**options))
        self.enterContext(
            override_settings(
                TWILIO_API_BASE_URL=carrier.base_url, TWILIO_ACCOUNT_SID=carrier.account,
                TWILIO_AUTH_TOKENS=[carrier.token], TWILIO_FROM=carrier.number,
            )
        )  # fmt: skip
        carrier.settings(inbound=False)
        return carrier

    def read(self, **ago):
        """The list of replies was last read so long ago."""
        at = clock.machine_now() - timedelta(**ago)
        Heartbeat.objects.update_or_create(name=REPLIES_READ, defaults={"at": at, "detail": {}})
        return at

    def asked_since(self):
        """From where on the next run asks the carrier for replies."""
        with patch.object(Provider, "listed", AsyncMock(return_value=[])) as listed:
            recover_inbound()
        return listed.call_args.kwargs["since"]

    def test_replies_the_webhook_lost_are_found_once(self):
        carrier = self.carrier()
        carrier.say("+16175550142", "I have chest pain")
        carrier.say("+16175550142", "Are you there?")
        assert recover_inbound() == 2
        assert recover_inbound() == 0
        carrier.say("+16175550142", "And now?")
        assert recover_inbound() == 1
        heard = Message.objects.heard().order_by("id")
        assert [m.body for m in heard] == ["I have chest pain", "Are you there?", "And now?"]
        assert Message.objects.filter(direction="out", template__key="crisis").count() == 1

    def test_every_number_of_a_messaging_service_is_read(self):
        numbers, service = ("+15550100001", "+15550100002"), "MG" + "1" * 32
        carrier = self.carrier(numbers=",".join(numbers), services=service)
        for number in numbers:
            carrier.say("+16175550142", f"To {number}", to=number)
        for own in ("", numbers[0], "+15550100003"):  # the last: it has left the service
            with override_settings(TWILIO_MESSAGING_SERVICE_SID=service, TWILIO_FROM=own):
                assert recover_inbound() == 2
            assert {m.body for m in Message.objects.heard()} == {f"To {number}" for number in numbers}
            Message.objects.all().delete()
        with override_settings(TWILIO_MESSAGING_SERVICE_SID="MG" + "2" * 32):
            Heartbeat.objects.all().delete()
            assert recover_inbound() == 0
            assert not Heartbeat.objects.filter(name=REPLIES_READ).exists()  # for the next time

    def test_a_weekend_without_webhooks_is_read_from_its_beginning(self):
        last = self.read(hours=60)
        assert self.asked_since() < last
        assert self.asked_since() > last + timedelta(hours=59)  # and then from there on
        Heartbeat.objects.all().delete()
        assert self.asked_since() < clock.machine_now() - timedelta(hours=24)

    def test_what_a_restored_database_has_forgotten_is_read_until_it_is_released(self):
        for _ in range(3):
            generation.advance()
        saved = clock.machine_now() - timedelta(days=3)
        Heartbeat.objects.filter(name__startswith=generation.PREFIX).update(detail={"number": 1}, at=saved)
        self.read(minutes=5)
        for _ in range(2):
            assert self.asked_since() < saved
        health.beat(generation.TOUCHES_MADE)
        assert generation.still_missing(generation.forgotten()) == []
        switch.release(self.supervisor)
        assert self.asked_since() > saved + timedelta(days=2)

    def test_a_list_that_cannot_be_read_is_for_the_next_time(self):
        with override_settings(TWILIO_API_BASE_URL="http://127.0.0.1:9"):
            assert recover_inbound() == 0
