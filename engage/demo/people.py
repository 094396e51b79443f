"""The seven people who can sign in to the demonstration."""

import secrets

from django.conf import settings

from engage.accounts.models import Clinic, Role, User

CAST = (
    # username, first, last, role, clinics
    ("coordinator", "Carla", "Mendes", Role.COORDINATOR, ("harbor", "riverside")),
    ("nurse", "Noah", "Ellis", Role.NURSE, ("harbor", "riverside")),
    ("oncall", "Olivia", "Park", Role.ONCALL, ("harbor", "riverside")),
    ("campaigns", "Cam", "Whitfield", Role.CAMPAIGNS, ("harbor", "riverside")),
    ("supervisor", "Sofia", "Reyes", Role.SUPERVISOR, ("harbor", "riverside")),
    ("auditor", "Arthur", "Lind", Role.AUDITOR, ("harbor", "riverside")),
    ("otherclinic", "Odette", "Marsh", Role.COORDINATOR, ("mesa",)),
)


def make_users(clinics: list[Clinic]) -> dict[str, User]:
    """The users by name, made or as they are, each assigned to their clinics."""
    by_slug = {c.slug: c for c in clinics}
    users = {}
    for name, first, last, role, slugs in CAST:
        fields = {"first_name": first, "last_name": last, "role": role}
        users[name] = User.objects.get_or_create(username=name, defaults=fields)[0]
        users[name].clinics.set(by_slug[s] for s in slugs)
    return users


def set_passwords() -> str | None:
    """Gives every demo user DEMO_PASSWORD, or a random one where nobody has one yet; returns it when it is set.

    They share one password on purpose, and so one hash: hashing seven times would double the time of a start.
    """
    users = User.objects.filter(username__in=[row[0] for row in CAST])
    one = users.first()
    password = settings.DEMO_PASSWORD
    if one is None or (not password and one.password):
        return None
    password = password or "-".join(secrets.token_hex(2) for _ in range(3))
    if not (one.password and one.check_password(password)):
        one.set_password(password)
    users.update(password=one.password)
    return str(password)
