"""What people decided about replies, as labelled data for training and evaluation. It stays in the clinic.

A line is `triage_replies` input (id, channel, lang, context, outbound, text) with `labels`, `level` and `by`: "sample" for a
verdict of the weekly sample (with its weight), "flags" for decisions in a conversation. The id is a keyed hash. Identifiers
are taken out as for the second reader (engage.inbox.redaction); what else they wrote of themselves is still in the text.
"""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Q

from engage.inbox.arrival import CONTEXTS
from engage.inbox.consequences import LEVEL
from engage.inbox.models import Flag, Level, SampleItem
from engage.inbox.redaction import redacted
from engage.inbox.secondreading import names_of
from engage.messaging.models import Message

LEVELS = {int(level): name for name, level in LEVEL.items()}
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
    ours, names = message.reply_to, names_of(message)
    return {
        "id": hmac.new(settings.SECRET_KEY.encode(), message.key.encode(), hashlib.sha256).hexdigest()[:16],
        "channel": message.channel,
        "lang": message.language,
        "context": CONTEXTS.get(ours.about.partition(":")[0], "") if ours else "",
        "outbound": redacted(ours.body, names).text if ours else "",
        "text": redacted(message.body, names).text,
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
