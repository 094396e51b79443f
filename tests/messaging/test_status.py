"""Reports of the carrier in every order, doubled, early, contradictory, about nobody."""

from datetime import timedelta
from itertools import permutations

from engage.lib import clock, signing
from engage.messaging import actions
from engage.messaging.models import Attempt, Breaker, Message, ProviderEvent, Stream
from engage.messaging.status import TOKEN, apply_status, settle_parked
from engage.worklist.models import Task
from tests.base import CastTestCase

State = Message.State
SID = "SM" + "1" * 32


class StatusTestCase(CastTestCase):
    def setUp(self):
        self.message = self.sending()

    def sending(self, key="k", token="token", **more):
        message = actions.queue(**({"body": "Hello", "key": key, "patient": self.patient} | more))
        Message.objects.filter(pk=message.pk).update(state=State.SENDING, attempts_made=1)
        Attempt.objects.create(
            message=message, number=1, token_digest=signing.digest(token, TOKEN), deadline=clock.machine_now()
        )
        return message

    def report(self, word, token="token", sid=SID, code=""):
        apply_status(token, {"MessageSid": sid, "MessageStatus": word, "ErrorCode": code})

    def now(self, message=None):
        message = message or self.message
        message.refresh_from_db()
        return message.state


class Orders(StatusTestCase):
    def test_every_order_ends_delivered_even_doubled_and_before_our_own_commit(self):
        for n, order in enumerate(permutations(["queued", "sending", "sent", "delivered"])):
            message = self.sending(f"p{n}", f"t{n}")
            for word in order:
                for _ in range(2):
                    self.report(word, f"t{n}", f"SM{n:032d}")
            assert self.now(message) == State.DELIVERED, order
            assert message.provider_sid == f"SM{n:032d}"
            assert not message.status_conflict
            assert message.attempts.get().outcome == "accepted"

    def test_a_report_proves_acceptance_after_a_crash(self):
        Message.objects.update(state=State.IN_DOUBT)
        self.report("queued")
        assert self.now() == State.ACCEPTED
        assert self.message.accepted_at is not None

    def test_nothing_goes_back(self):
        self.report("sent")
        self.report("queued")
        assert self.now() == State.SENT

    def test_the_first_of_two_ends_is_kept_and_people_are_told(self):
        self.report("delivered")
        self.report("failed", code="30008")
        assert self.now() == State.DELIVERED
        assert self.message.status_conflict
        assert Task.objects.filter(about=f"message:{self.message.pk}", reason="delivery_review").count() == 1

    def test_taken_twice_is_told_too(self):
        self.report("sent")
        self.report("sent", sid="SM" + "2" * 32)
        assert self.now() == State.SENT
        assert self.message.provider_sid == SID
        assert self.message.status_conflict

    def test_an_id_that_another_message_has_is_told_and_changes_nothing(self):
        self.report("sent")
        other = self.sending("other", "other")
        for _ in range(2):
            self.report("delivered", "other")
        assert (self.now(), self.now(other)) == (State.SENT, State.SENDING)
        assert other.status_conflict and not self.message.status_conflict
        assert Task.objects.filter(about=f"message:{other.pk}", reason="delivery_review").count() == 1
        self.report("delivered")
        assert self.now() == State.DELIVERED

    def test_known_by_the_carriers_id_alone(self):
        self.report("queued")
        self.report("delivered", token="lost")
        assert self.now() == State.DELIVERED

    def test_about_nobody_is_kept_for_a_day(self):
        self.report("delivered", token="lost")
        assert ProviderEvent.objects.get().message is None
        assert self.now() == State.SENDING
        Message.objects.filter(pk=self.message.pk).update(provider_sid=SID, state=State.ACCEPTED)
        assert settle_parked() == 1
        assert self.now() == State.DELIVERED
        self.report("sent", token="lost", sid="SM" + "3" * 32)
        ProviderEvent.objects.update(received_at=clock.machine_now() - timedelta(hours=25))
        settle_parked()
        assert not ProviderEvent.objects.filter(provider_sid="SM" + "3" * 32).exists()

    def test_a_word_we_do_not_know_changes_nothing(self):
        self.report("partially_delivered")
        assert self.now() == State.SENDING

    def test_a_suppressed_message_that_did_go_is_shown_as_gone(self):
        Message.objects.update(state=State.SUPPRESSED)
        self.report("delivered")
        assert self.now() == State.DELIVERED


class Effects(StatusTestCase):
    """What failures do to the number, by the table."""

    def point(self):
        return self.patient.contact_points.get()

    def fail(self, code, key=None, word="undelivered"):
        key = key or f"k{code}"
        message = self.sending(key, key)
        self.report(word, key, f"SM{abs(hash(key)):032d}"[:34], code)
        return message

    def test_a_landline_gets_no_more_texts(self):
        message = self.fail("30006")
        assert self.now(message) == State.UNDELIVERED
        assert self.point().state == "sms_incapable"
        assert Task.objects.filter(reason="fix_phone").count() == 1
        assert "landline" in message.state_reason

    def test_unreachable_is_tried_once_more_after_four_hours(self):
        self.fail("30003")
        again = Message.objects.get(key="k30003:again")
        assert again.not_before >= clock.now() + timedelta(hours=4)
        assert self.point().state == "suspect"
        Message.objects.filter(pk=again.pk).update(state=State.SENDING)
        Attempt.objects.create(
            message=again, number=1, token_digest=signing.digest("a", TOKEN), deadline=clock.machine_now()
        )
        self.report("undelivered", "a", "SM" + "9" * 32, "30003")
        assert not Message.objects.filter(key__contains="again:again").exists()

    def test_unreachable_on_three_days_asks_for_another_number(self):
        for day in range(3):
            message = self.fail("30003", f"day{day}")
            Message.objects.filter(pk=message.pk).update(created_at=clock.now() - timedelta(days=day))
        assert not Task.objects.filter(reason="fix_phone").exists()
        self.fail("30003", "day3")
        assert Task.objects.filter(reason="fix_phone").count() == 1

    def test_unknown_numbers_are_given_up_at_the_second_failure(self):
        self.fail("30005", "one")
        assert self.point().state == "suspect"
        self.fail("30005", "two")
        assert self.point().state == "invalid"

    def test_a_number_that_works_is_trusted_again(self):
        self.fail("30005")
        self.report("delivered")
        point = self.point()
        assert (point.state, point.suspect_count) == ("active", 0)

    def test_the_carriers_opt_out_is_ours(self):
        waiting = actions.queue(
            body="Later", key="later", patient=self.patient, not_before=clock.now() + timedelta(days=1)
        )
        self.fail("21610", word="failed")
        point = self.point()
        assert (point.state, point.sms_consent) == ("opted_out", "revoked")
        assert self.now(waiting) == State.SUPPRESSED

    def test_our_own_faults_leave_the_patient_alone_and_stop_the_sender(self):
        self.fail("30034")
        assert self.point().state == "active"
        assert Breaker.objects.get().state == "locked"

    def test_filtered_texts_pause_their_campaign(self):
        stream = Stream.objects.create(name="Spring")
        for n in range(3):
            message = self.sending(f"f{n}", f"f{n}")
            Message.objects.filter(pk=message.pk).update(stream=stream)
            self.report("undelivered", f"f{n}", f"SM{n:032d}", "30007")
        stream.refresh_from_db()
        assert stream.state == "paused"
        assert self.point().state == "active"
        assert Task.objects.filter(about=f"stream:{stream.pk}").count() == 1
