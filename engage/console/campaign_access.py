"""Which campaigns somebody may see, and which they may change."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404

from engage.accounts.models import Role, User
from engage.campaigns.models import Campaign
from engage.console.access import CAMPAIGNERS

CAMPAIGN_READERS = (*CAMPAIGNERS, Role.COORDINATOR)


def find(user: User, pk: int) -> Campaign:
    """The campaign, when one of its clinics is theirs; else 404."""
    return get_object_or_404(Campaign.objects.visible_to(user).select_related("stream", "owner"), pk=pk)


def may_edit(user: User, campaign: Campaign) -> bool:
    """Only who answers for every clinic of a campaign changes it."""
    theirs = set(campaign.clinics.values_list("pk", flat=True))
    return user.role in CAMPAIGNERS and theirs <= set(user.clinic_ids())


def find_to_edit(user: User, pk: int) -> Campaign:
    campaign = find(user, pk)
    if not may_edit(user, campaign):
        raise PermissionDenied
    return campaign
