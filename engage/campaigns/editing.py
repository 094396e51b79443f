"""Changing what a campaign says and when. A running one may change its wording and the touches still to come."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max

from engage.accounts.models import User
from engage.audit.models import record
from engage.campaigns import starters
from engage.campaigns.actions import CampaignError
from engage.campaigns.models import Campaign, Touch
from engage.lib import clock
from engage.messaging import templates
from engage.messaging.models import Template

EDITABLE = (Campaign.State.DRAFT, Campaign.State.RUNNING, Campaign.State.PAUSED)
MOST_TOUCHES = 8


@dataclass(frozen=True)
class Planned:
    """One row of the cadence as somebody has entered it."""

    kind: str
    wait_days: int
    business_days: bool


def check_editable(campaign: Campaign) -> None:
    if campaign.state not in EDITABLE:
        raise CampaignError(f"The campaign is {campaign.get_state_display().lower()}: it cannot be changed.")


def save_cadence(campaign: Campaign, planned: Sequence[Planned], *, by: User) -> None:
    """Replaces the cadence. People keep their place: who has had touch 2 goes on with touch 3 as it is then.

    A text keeps its wording; a new one begins with the starter's second text. Raises CampaignError.
    """
    check_editable(campaign)
    if not planned:
        raise CampaignError("Add at least one touch.")
    if len(planned) > MOST_TOUCHES:
        raise CampaignError(f"{MOST_TOUCHES} touches are the most.")
    with transaction.atomic():
        starters.ensure_templates(by.get_username(), (campaign.measure,))
        before = {t.position: t for t in campaign.touches.select_for_update()}
        for position, row in enumerate(planned, 1):
            touch = before.pop(position, None) or Touch(campaign=campaign, position=position)
            touch.kind, touch.wait_days, touch.business_days = row.kind, row.wait_days, row.business_days
            touch.template_key = _key_for(touch)
            touch.save()
        Touch.objects.filter(pk__in=[t.pk for t in before.values()]).delete()
        record(by, "campaign.cadence", campaign, touches=len(planned))


def _key_for(touch: Touch) -> str:
    if touch.kind != Touch.Kind.TEXT:
        return ""
    which = "first" if touch.position == 1 else "again"
    return touch.template_key or starters.template_key(touch.campaign.measure, which)


def save_wording(touch: Touch, language: str, body: str, *, approve: bool, by: User) -> Template:
    """A new version of a touch's wording in one language; sent messages keep the version they used.

    Not approved it is kept as a draft and the version before stays in use. Raises CampaignError with the first problem.
    """
    check_editable(touch.campaign)
    body = body.strip()
    if problems := templates.check(body):
        raise CampaignError(problems[0])
    with transaction.atomic():
        own_key(touch)
        latest = newest(touch.template_key, language)
        if latest is None or latest.body != body:
            latest = Template(
                key=touch.template_key,
                language=language,
                version=(latest.version if latest else 0) + 1,
                name=f"{touch.campaign.name}, touch {touch.position}"[:120],
                body=body,
            )
        if approve and latest.approved_at is None:
            latest.approved_at, latest.approved_by = clock.now(), by.get_username()
        latest.save()
        record(by, "template.write", latest, campaign=touch.campaign_id, approved=approve)
    return latest


def newest(key: str, language: str) -> Template | None:
    """The latest version, approved or not."""
    return Template.objects.filter(key=key, language=language).order_by("-version").first()


def own_key(touch: Touch) -> None:
    """Gives the touch wording of its own before it is changed: the starters belong to every campaign."""
    prefix = f"campaign-{touch.campaign_id}-"
    if touch.template_key.startswith(prefix):
        return
    key, shared = f"{prefix}{touch.pk}", touch.template_key
    latest = templates.approved(shared).values("language").annotate(last=Max("version"))
    for row in latest.values_list("language", "last"):
        old = Template.objects.get(key=shared, language=row[0], version=row[1])
        copied = {"body": old.body, "name": old.name, "purpose": old.purpose}
        approval = {"approved_at": old.approved_at, "approved_by": old.approved_by}
        Template.objects.get_or_create(key=key, language=row[0], version=1, defaults=copied | approval)
    touch.template_key = key
    touch.save(update_fields=["template_key"])
