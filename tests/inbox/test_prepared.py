"""A reading from before the transaction counts only where all that it was made of is still so."""

import threading
from unittest import mock

import pytest
from django.db import DatabaseError

from engage.inbox import arrival, wordlist
from engage.inbox.actions import prepare, receive
from engage.inbox.models import Level, Reading, WordList
from engage.inbox.triage import pipeline
from engage.messaging.models import Message
from engage.worklist.models import Task
from tests.inbox.base import ANA, InboxTestCase, numbers


class Prepared(InboxTestCase):
    def prepare(self, body):
        self.said_to = {"sid": f"SM{next(numbers):032x}", "address": ANA, "body": body}
        return prepare(**self.said_to)

    def keep(self, prepared):
        """Receives it; gives its reading and how often it was read now."""
        with mock.patch("engage.inbox.arrival.triage.attempt", wraps=pipeline.attempt) as attempt:
            message = receive(**self.said_to, to="+15550100000", raw={}, prepared=prepared)
        self.patience = [call.kwargs["patience"] for call in attempt.call_args_list]
        return Reading.objects.get(message=message), len(self.patience)

    def both(self, body, between=lambda: None):
        """How often it was read in the transaction, and whether it is as one that was not prepared."""
        prepared = self.prepare(body)
        between()
        reading, reads = self.keep(prepared)
        plain = Reading.objects.get(message=self.hear(body))
        told = ("labels", "level", "said", "language", "version", "complete", "failure")
        assert [getattr(reading, name) for name in told] == [getattr(plain, name) for name in told]
        return reads

    def test_it_is_taken_when_nothing_has_changed(self):
        self.said()
        for body in ("1", "tengo dolor de pecho", "I would like to ask about my visit", "STOP"):
            with self.subTest(body):
                assert self.both(body) == 0

    def test_nor_words_nor_a_known_patient_are_needed(self):
        self.said()
        assert self.both(" ") == 0
        self.patient.contact_points.update(value="+16175550999")
        Message.objects.update(address="")
        prepared = self.prepare("who is this?")
        assert self.keep(prepared)[1] == 0

    def test_another_text_of_ours_went_out_meanwhile(self):
        self.said()
        assert (
            self.both("1", lambda: self.said("Do you have thoughts of hurting yourself? Reply 1 for yes"))
            == 1
        )
        self.said()
        assert self.both("yes", lambda: self.said(about="appointment:7")) == 1

    def test_the_number_is_somebody_elses_meanwhile(self):
        self.said()
        prepared = self.prepare("1")
        self.patient.contact_points.update(value="+16175550999")
        other = self.make_patient("Luz", "Mora", ANA)
        reading, reads = self.keep(prepared)
        assert reads == 1  # the text was not to her, so her reply answers nothing of ours
        assert (reading.message.patient, reading.message.reply_to) == (other, None)

    def test_the_number_is_shared_meanwhile(self):
        self.said()
        prepared = self.prepare("1")
        self.make_patient("Luz", "Mora", ANA)
        reading, _ = self.keep(prepared)
        assert reading.message.patient is None

    def test_the_patients_language_on_record_changes_meanwhile(self):
        self.said()
        prepared = self.prepare("no")
        self.patient.language = "es" if self.patient.language != "es" else "en"
        self.patient.save()
        assert self.keep(prepared)[1] == 1

    def test_the_word_list_changes_meanwhile(self):
        changes = {"entries": {}, "figures": {"add": ["tengo dolor de pecho"]}}

        def publish():
            digest = wordlist.digest_of(changes)
            WordList.objects.create(number=1, state="live", changes=changes, digest=digest)

        assert self.both("tengo dolor de pecho", publish) == 1

    def test_another_body_than_the_prepared_is_read(self):
        prepared = self.prepare("thanks")
        self.said_to["body"] = "tengo dolor de pecho"
        reading, reads = self.keep(prepared)
        assert (reading.level, reads) == (Level.URGENT, 1)

    def test_a_stage_that_failed_beforehand_leaves_the_reply_unsorted_and_is_named(self):
        self.said()

        def _classifier(material):
            raise KeyError

        with mock.patch.object(pipeline, "STAGES", (*pipeline.STAGES[:-1], _classifier)):
            prepared = self.prepare("tengo dolor de pecho")
        reading, reads = self.keep(prepared)
        assert (reading.complete, reading.failure, reads) == (False, "classifier: KeyError", 0)
        assert self.conversation().level == Level.URGENT
        assert Task.objects.filter(about__startswith="triage:failing", state="open").exists()

    def test_a_stage_that_hung_beforehand_is_not_waited_for_again(self):
        self.said()
        let_go = threading.Event()

        def _classifier(material):
            let_go.wait(30)
            return []

        with mock.patch.object(pipeline, "STAGES", (*pipeline.STAGES[:-1], _classifier)):
            prepared = self.prepare("tengo dolor de pecho")
            reading, reads = self.keep(prepared)
        let_go.set()
        assert (reading.complete, reading.failure, reads) == (False, "classifier: took too long", 0)
        assert self.conversation().level == Level.URGENT

    def test_its_time_counts_when_it_has_to_be_read_again(self):
        prepared = self.prepare("thanks")
        self.said_to["body"] = "tengo dolor de pecho"
        slow = arrival.replace(prepared, seconds=pipeline.PATIENCE)
        assert self.keep(slow)[1] == 1
        assert self.patience == [pytest.approx(pipeline.PATIENCE / 10)]

    def test_what_cannot_be_read_beforehand_is_read_in_its_transaction(self):
        for broken in ("LAST_WORDS", "wordlist", "normal"):
            with self.subTest(broken), mock.patch.object(arrival, broken, side_effect=DatabaseError) as gone:
                gone.first.side_effect = gone.live.side_effect = DatabaseError
                assert self.prepare("tengo dolor de pecho") is None
            reading, reads = self.keep(None)
            assert (reading.complete, reads) == (True, 1)

    def test_no_word_list_in_the_transaction_is_as_without_preparation(self):
        prepared = self.prepare("tengo dolor de pecho")
        with mock.patch.object(arrival.wordlist, "live", side_effect=DatabaseError):
            assert self.keep(prepared)[1] == 1
