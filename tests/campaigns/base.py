"""A campaign of the cast's clinic with its starters, and gaps for it."""

from datetime import date, timedelta

from django.test import override_settings

from engage.campaigns import actions, jobs, starters
from engage.campaigns.models import Campaign, Enrollment
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging.models import Message
from engage.messaging.outbox import ALL_LANES, claim
from engage.messaging.stops import Stops
from tests.base import NOON, CastTestCase


def make_campaign(name: str, clinic, **more) -> Campaign:
    campaign = Campaign.objects.create(name=name, **({"measure": "CMS130"} | more))
    campaign.clinics.add(clinic)
    starters.give_cadence(campaign)
    return campaign


def make_gap(patient, measure="CMS130", **more) -> CareGap:
    fields = {
        "period_start": date(2026, 1, 1),
        "rules": "2026.1",
        "status": "open",
        "opened_on": date(2026, 1, 5),
        "due_since": date(2026, 1, 1),
    } | more
    return CareGap.objects.create(patient=patient, measure=measure, **fields)


def looked() -> Stops:
    stops = Stops()
    stops.read()
    return stops


class CampaignCase(CastTestCase):
    """`self.gap` is the cast patient's open gap; `self.campaign` is a draft for it."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.set_up_campaign()

    @classmethod
    def set_up_campaign(cls) -> None:
        starters.ensure_templates("supervisor")
        cls.campaign = cls.make_campaign("Screening")
        cls.gap = cls.make_gap(cls.patient)

    @classmethod
    def make_campaign(cls, name: str, **more) -> Campaign:
        return make_campaign(name, cls.clinic, **more)

    @classmethod
    def make_gap(cls, patient, measure="CMS130", **more) -> CareGap:
        return make_gap(patient, measure, **more)

    def launch(self) -> None:
        """Started and advanced once: the first texts are made."""
        actions.start(self.campaign, self.administrator)
        jobs.advance(None)

    def enrollment(self, gap=None, campaign=None) -> Enrollment:
        return Enrollment.objects.get(gap=gap or self.gap, campaign=campaign or self.campaign)

    def texts(self, gap=None):
        return Message.objects.filter(about=(gap or self.gap).about).order_by("pk")

    def accepted(self, message: Message, state="delivered") -> None:
        """As if the carrier had taken it when it was made."""
        Message.objects.filter(pk=message.pk).update(state=state, accepted_at=message.created_at)

    def deliver(self) -> int:
        """What may go now goes and arrives; how many texts."""
        gone = 0
        while (batch := claim(ALL_LANES, looked())).judged:
            sent = Message.objects.filter(pk__in=[p.message_id for p in batch.parcels])
            gone += sent.update(state="delivered", accepted_at=clock.now())
        return gone

    def later(self, days: float = 0, hours: float = 0):
        """Business time so much after noon of the cast's day."""
        return override_settings(NOW=NOON + timedelta(days=days, hours=hours))
