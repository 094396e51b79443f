"""What people decided about replies, as labelled data for training and evaluation. It stays in the clinic.

A line is `triage_replies` input (id, channel, lang, context, outbound, text) with `labels`, `level` and `by`: "sample" for a
verdict of the weekly sample (with its weight), "flags" for decisions in a conversation. The id is a keyed hash. Names,
numbers and addresses of the patient are blanked; what else they wrote of themselves is still in the text.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Q

from engage.inbox.arrival import CONTEXTS
from engage.inbox.consequences import LEVEL
from engage.inbox.models import Flag, Level, SampleItem
from engage.messaging.models import Message
from engage.patients.models import Patient

LEVELS = {int(level): name for name, level in LEVEL.items()}
NUMBER = re.compile(r"\+?\(?\d[\d\s().-]{5,}\d")
ADDRESS = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b")
AT_ONCE = 500


def lines(since: date | None = None) -> Iterator[dict[str, Any]]:
    """Each decided reply once, the oldest first; the sample's verdict goes before decisions in the conversation."""
    decided = Flag.objects.exclude(state=Flag.State.PROPOSED).values("message")
    judged = SampleItem.objects.exclude(verdict=None).values("message")
    rows = Message.objects.heard().filter(Q(pk__in=decided) | Q(pk__in=judged)).order_by("pk")
    if since is not None:
        rows = rows.filter(created_at__date__gte=since)
    rows = rows.select_related("patient", "reply_to", "reading").prefetch_related("flags", "sampled")
    for message in rows.iterator(chunk_size=AT_ONCE):
        yield asked(message) | answer(message)


def asked(message: Message) -> dict[str, Any]:
    """What triage was given, without what names the patient."""
    ours, patient = message.reply_to, message.patient
    return {
        "id": hmac.new(settings.SECRET_KEY.encode(), message.key.encode(), hashlib.sha256).hexdigest()[:16],
        "channel": message.channel,
        "lang": message.language,
        "context": CONTEXTS.get(ours.about.partition(":")[0], "") if ours else "",
        "outbound": blanked(ours.body, patient) if ours else "",
        "text": blanked(message.body, patient),
    }


def answer(message: Message) -> dict[str, Any]:
    """What people made of it."""
    standing = [f for f in message.flags.all() if f.state != Flag.State.DISMISSED]
    item = next((i for i in message.sampled.all() if i.verdict is not None), None)
    if item is not None:
        agreed = (
            item.labels if item.verdict == item.said else None
        )  # less grave than said: what it is was not asked
        labels = [item.label] if item.label else agreed
        return {"labels": labels, "level": LEVELS[item.verdict or 0], "by": "sample", "weight": item.weight}
    level = min((f.level for f in standing), default=Level.ROUTINE)
    return {"labels": sorted({f.label for f in standing}), "level": LEVELS[level], "by": "flags"}


def blanked(text: str, patient: Patient | None) -> str:
    """The text without the patient's names, and without numbers and addresses."""
    text = ADDRESS.sub("[address]", NUMBER.sub("[number]", text))
    names = {part for name in ((patient.given, patient.family) if patient else ()) for part in name.split()}
    for name in sorted((n for n in names if len(n) > 1), key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(name)}\b", "[name]", text, flags=re.IGNORECASE)
    return text
