"""How many queries the busy pages take, the two that begin and end the transaction among them: more rows take no more."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging.models import Message
from tests.console.test_worklist import HTMX, Desk


class Queries(Desk):
    def count(self, address, headers=None):
        self.client.get(address, headers=headers)  # a conversation is marked as seen once
        with CaptureQueriesContext(connection) as seen:
            assert self.client.get(address, headers=headers).status_code == 200
        return len(seen)

    def busy(self):
        """Twenty more patients who wait, ten more messages of hers, and tasks of her own."""
        for n in range(20):
            patient = self.make_patient("P", f"P{n}", f"+161755502{n:02}")
            self.task("reply", "Asks.", f"conversation:{900 + n}", n, patient)
        for n in range(10):
            self.task("other", f"Another {n}.", f"x:{n}", n)
            Message.objects.create(
                direction="in", state="received", clinic=self.clinic, patient=self.patient, body=f"And {n}?",
                address="+16175550142", key=f"in:more{n}", created_at=clock.now(),
            )  # fmt: skip

    def test_pages_of_a_patient_without_gaps(self):
        pages = {
            ("/worklist/", None): 11,
            (self.at("worklist_task", self.urgent), "htmx"): 15,
            (self.at("worklist_task", self.urgent), None): 18,
            ("/inbox/", None): 10,
            (self.conversation.link, None): 22,
            (f"/patients/{self.patient.pk}/", None): 20,
        }
        assert not CareGap.objects.filter(patient=self.patient).exists()
        for wait in (lambda: None, self.busy):
            wait()
            found = {(a, h): self.count(a, HTMX if h else None) for a, h in pages}
            assert found == pages
