"""What every console page needs: where the person can go, and whether the sender is alive."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from engage.accounts.models import Role, User
from engage.console.access import AUDITORS, CAMPAIGNERS, CARE, EVERYONE, READERS, SORTERS

NAVIGATION = (
    ("worklist", "Worklist", "/worklist/", CARE),
    ("inbox", "Inbox", "/inbox/", CARE),
    ("patients", "Patients", "/patients/", READERS),
    ("campaigns", "Campaigns", "/campaigns/", (*CAMPAIGNERS, Role.COORDINATOR)),
    ("measures", "Measures", "/measures/", EVERYONE),
    ("delivery", "Delivery", "/delivery/", (*CAMPAIGNERS, Role.AUDITOR)),
    ("sorting", "Sorting", "/sorting/", (*SORTERS, Role.AUDITOR)),
    ("audit", "Audit", "/audit/", AUDITORS),
    ("setup", "Set-up", "/setup/", CAMPAIGNERS),
)


def console(request: HttpRequest) -> dict[str, Any]:
    """Navigation for the signed-in person; nothing for anyone else."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {}
    return {
        "navigation": [
            {"slug": slug, "title": title, "href": href, "current": request.path.startswith(href)}
            for slug, title, href, roles in NAVIGATION
            if user.role in roles
        ],
        "simulated": settings.CARRIER == "simulator",
        "simulator_url": settings.SIMULATOR_URL,
    }
