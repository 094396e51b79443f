"""The demonstration's campaigns: running, paused, stopped and a draft."""

from datetime import timedelta
from typing import TYPE_CHECKING

from engage.accounts.models import Clinic, User
from engage.campaigns import actions
from engage.campaigns.models import Campaign
from engage.campaigns.starters import give_cadence
from engage.lib import clock

if TYPE_CHECKING:
    from engage.demo.story import Story

Plan = tuple[str, str, str, tuple[str, ...], dict[str, list[str]], int | None, str]
CAMPAIGNS: tuple[Plan, ...] = (
    # name, purpose, measure, clinics, segment, starts so many days ago, and what happens to it
    ("Colorectal screening", "Everybody who is due, gently and in their language.", "CMS130", ("harbor",), {}, 21, ""),
    ("Breast screening", "Women without a mammogram for two years.", "CMS125", ("riverside",), {}, 14, ""),
    ("Blood pressure check", "High or unknown readings this year.", "CMS165", ("harbor", "riverside"), {}, 7, "paused"),
    ("Colorectal, Spanish", "A trial in Spanish.", "CMS130", ("riverside",), {"languages": ["es"]}, 18, "stopped"),
    ("Breast screening, Harbor", "Next month.", "CMS125", ("harbor",), {}, None, ""),
    ("Preventive care in Phoenix", "Colorectal screening for Mesa Verde.", "CMS130", ("mesa",), {}, 10, ""),
)  # fmt: skip


def make_campaigns(users: dict[str, User], clinics: list[Clinic]) -> None:
    """The campaigns as drafts; `start_due` starts each on its day."""
    by_slug = {c.slug: c for c in clinics}
    for name, purpose, measure, slugs, segment, _, _ in CAMPAIGNS:
        owner = users["campaigns"]
        campaign = Campaign.objects.create(
            name=name, purpose=purpose, measure=measure, segment=segment, owner=owner
        )
        campaign.clinics.set(by_slug[s] for s in slugs)
        give_cadence(campaign)


def start_due(story: "Story", days_ago: int) -> None:
    """Starts, pauses and stops campaigns as the day has it."""
    by = story.users["campaigns"]
    for name, _, _, _, _, begins, ending in CAMPAIGNS:
        campaign = Campaign.objects.get(name=name)
        if begins == days_ago:
            Campaign.objects.filter(pk=campaign.pk).update(created_at=clock.now() - timedelta(days=2))
            actions.start(campaign, by)
        elif ending == "paused" and days_ago == 3:
            actions.pause(campaign, by, "The new nurse schedule is not fixed yet.")
        elif ending == "stopped" and days_ago == 9:
            actions.stop(campaign, by)
