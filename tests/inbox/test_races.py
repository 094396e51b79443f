"""The same webhook at once, two replies at once: kept once, nothing doubled, nothing lost."""

from datetime import timedelta
from functools import partial
from threading import Barrier, Thread
from time import sleep

from django.db import OperationalError, connection
from django.test import override_settings

from engage.audit.models import AuditEvent
from engage.inbox import jobs
from engage.inbox.actions import receive
from engage.inbox.models import Conversation, Flag
from engage.messaging.models import Message
from engage.worklist.models import Task
from tests.base import NOON, CastTransactionTestCase
from tests.inbox.base import ANA

AT_ONCE = 4


class Races(CastTransactionTestCase):
    def at_once(self, sids, bodies, address=ANA):
        """Receives them from as many threads, each with a connection of its own."""
        self.together([partial(self.kept, *pair, address) for pair in zip(sids, bodies, strict=True)])

    def together(self, acts):
        barrier, failures = Barrier(len(acts)), []

        def one(act):
            barrier.wait()
            try:
                self.until_done(act)
            except Exception as error:
                failures.append(repr(error))
            finally:
                connection.close()

        threads = [Thread(target=one, args=[act]) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures

    def kept(self, sid, body, address):
        return receive(sid=sid, address=address, to="+15550100000", body=body, raw={})

    def until_done(self, act):
        """A webhook that failed is asked again; SQLite in memory, unlike a file, does not wait for its turn."""
        for _ in range(200):
            try:
                return act()
            except OperationalError:
                sleep(0.02)
        raise TimeoutError(act)

    def test_each_step_of_the_ladder_goes_once(self):
        self.clinic.backup_number = "+16175550177"
        self.clinic.save()
        receive(sid="SM1", address=ANA, to="+15550100000", body="tengo dolor de pecho", raw={})
        with override_settings(NOW=NOON + timedelta(minutes=20)):
            self.together([jobs.escalate] * AT_ONCE)
        task = Task.objects.get(reason="urgent_reply")
        assert task.escalated == AuditEvent.objects.filter(action="task.escalate").count() <= 2
        for number, alerts in ((self.clinic.on_call_number, 2), (self.clinic.backup_number, 1)):
            assert Message.objects.filter(direction="out", address=number).count() == alerts
        assert task.summary.count("Nobody took it") == (task.escalated == 2)

    def test_the_same_webhook_at_once(self):
        self.at_once(["SM1"] * AT_ONCE, ["tengo dolor de pecho"] * AT_ONCE)
        assert Message.objects.filter(direction="in").count() == 1
        assert Message.objects.filter(direction="out", address=ANA).count() == 1
        assert Task.objects.filter(reason="urgent_reply").count() == 1
        assert Flag.objects.filter(label="emergency").count() == 1

    def test_several_replies_of_one_patient_at_once(self):
        self.at_once([f"SM{n}" for n in range(AT_ONCE)], ["What time do you open?"] * AT_ONCE)
        assert Message.objects.filter(direction="in").count() == AT_ONCE
        assert Conversation.objects.count() == 1
        assert Task.objects.filter(reason="reply").count() == 1

    def test_several_replies_of_an_unknown_number_at_once(self):
        self.at_once([f"SM{n}" for n in range(AT_ONCE)], ["hello?"] * AT_ONCE, "+16175550177")
        assert Conversation.objects.count() == 1
