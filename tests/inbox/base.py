"""What the inbox's tests share: a reply that comes in, a text of ours that it answers."""

from itertools import count

from engage.caregaps.models import CareGap
from engage.inbox.actions import receive
from engage.inbox.models import Conversation
from engage.lib import clock
from engage.messaging.models import Message
from tests.base import CastTestCase

numbers = count(1)
ANA = "+16175550142"
RECALL = (
    "Hi Ana, this is Harbor Clinic. You are due for a health screening. Reply 1 and we will call you to book. "
    "Reply STOP to opt out"
)


class InboxTestCase(CastTestCase):
    """Ana Rivera (+1 617 555-0142) writes; nobody else has her number unless a test says so."""

    def hear(self, body, address=ANA, sid=None, **raw):
        return receive(
            sid=sid or f"SM{next(numbers):032x}", address=address, to="+15550100000", body=body, raw=raw
        )

    def said(self, body=RECALL, patient=None, **more):
        """A text of ours that was delivered."""
        patient = patient or self.patient
        fields = {
            "patient": patient,
            "clinic": patient.clinic,
            "address": patient.contact_points.first().value,
            "body": body,
            "key": f"out:{next(numbers)}",
            "state": Message.State.DELIVERED,
            "created_at": clock.now(),
        }
        return Message.objects.create(**fields | more)

    def queued(self, patient=None, **more):
        return self.said(patient=patient, state=Message.State.QUEUED, **more)

    def open_gap(self, patient=None):
        today = clock.today()
        return CareGap.objects.create(
            patient=patient or self.patient,
            measure="CMS130",
            period_start=today.replace(month=1, day=1),
            rules="2025.1",
            status="open",
            opened_on=today,
            due_since=today,
        )

    def conversation(self, patient=None):
        return Conversation.objects.get(patient=patient or self.patient)

    def sent_to(self, address=ANA):
        """What we have made for a number since the test began, oldest first."""
        rows = Message.objects.filter(direction="out", address=address).exclude(key__startswith="out:")
        return list(rows.order_by("pk"))
