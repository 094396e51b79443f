"""For machines that watch: is it ready, and what is it doing. Counts and ages only, so they need no sign-in."""

from collections.abc import Iterator

import redis
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from engage.caregaps.models import GapRun
from engage.inbox import wordlist
from engage.inbox.models import Conversation, Reading
from engage.lib import clock
from engage.messaging import health, switch
from engage.messaging.models import Breaker, Heartbeat, Message
from engage.worklist.models import Task


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """503 when the database does not answer, or no sender has shown itself for two minutes."""
    try:
        sender = health.sender_state()
        cluster = health.age_of("cluster")
        doing = delivery()
    except DatabaseError as error:
        return JsonResponse({"ready": False, "database": type(error).__name__}, status=503)
    silent = cluster is None or cluster > settings.HEARTBEAT_LATE + 60
    facts = {
        "ready": not sender["down"],
        "database": "ok",
        "queue": {"broker": broker(), "workers": "silent" if silent else "ok", "age": cluster},
        "sender": sender,
        "delivery": doing,
    }
    return JsonResponse(facts, status=200 if facts["ready"] else 503)


def delivery() -> dict[str, object]:
    """What a person sees on the delivery page, cheap enough to be asked every few seconds: nothing that waits is counted."""
    state, last = health.allowance(), health.last_callback()
    unsettled = Message.objects.filter(state__in=(Message.State.IN_DOUBT, Message.State.NEEDS_REVIEW))
    counts = dict(unsettled.values_list("state").annotate(n=Count("pk")))
    return {
        "in_doubt": counts.get(Message.State.IN_DOUBT, 0),
        "needs_review": counts.get(Message.State.NEEDS_REVIEW, 0),
        "rate": round(health.rate(), 2),
        "segments_today": state.used,
        "segments_a_day": state.limits.daily,
        "last_callback": last.isoformat() if last else None,
    }


def broker() -> str:
    """Whether the queue's broker answers; a silent one costs delay only, since rows are the truth."""
    if not settings.REDIS_URL:
        return "database"
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
    except redis.RedisError:
        return "silent"
    return "redis"


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text."""
    registry = CollectorRegistry()
    registry.register(Collector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Collector:
    """Reads everything anew for each scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from messages()
        yield gauge(
            "engage_heartbeat_age_seconds",
            "Since a process last showed itself",
            "name",
            {
                row.name: (clock.machine_now() - row.at).total_seconds()
                for row in Heartbeat.objects.exclude(name__startswith="generation:")
            },
        )
        states = dict(Breaker.objects.values_list("sender", "state"))
        yield gauge(
            "engage_breaker_open",
            "1 when a sender has stopped for the carrier's failures",
            "state",
            {state: float(sum(s == state for s in states.values())) for state in Breaker.State.values},
        )
        tasks = Task.objects.open().values_list("priority").annotate(n=Count("pk"))
        yield gauge("engage_tasks_open", "Open tasks", "priority", {str(p): float(n) for p, n in tasks})
        waiting = Conversation.objects.filter(state="open").values_list("level").annotate(n=Count("pk"))
        yield gauge(
            "engage_conversations_open", "Open conversations", "level", {str(k): float(n) for k, n in waiting}
        )
        yield from gap_runs()
        yield from triage()
        yield from capacity()


def capacity() -> Iterator[GaugeMetricFamily]:
    """The rate of the last minute, the sender's day, the switch, and when the carrier last spoke."""
    state, last = health.allowance(), health.last_callback()
    yield gauge(
        "engage_send_rate", "Messages a second handed to the carrier, last minute", "", {"": health.rate()}
    )
    yield gauge(
        "engage_segments_today",
        "Of the carriers' day; counted where a day has a limit",
        "",
        {"": float(state.used)},
    )
    if state.limits.daily is not None:
        yield gauge("engage_segments_a_day", "What a day allows", "", {"": float(state.limits.daily)})
    yield gauge(
        "engage_sending_stopped",
        "1 while an operator has stopped all sending",
        "",
        {"": float(switch.current() is not None)},
    )
    age = (clock.machine_now() - last).total_seconds() if last else float("nan")
    yield gauge("engage_callback_age_seconds", "Since the carrier last reported on a message", "", {"": age})


def messages() -> Iterator[GaugeMetricFamily]:
    """Depth per lane and state, the oldest of each, and what ended in the last hour."""
    depth = GaugeMetricFamily("engage_messages", "Messages without an end", labels=["lane", "state"])
    oldest = GaugeMetricFamily(
        "engage_messages_oldest_seconds", "The oldest of them", labels=["lane", "state"]
    )
    for row in health.depths_lately()[0]:
        depth.add_metric([row["lane"], row["state"]], row["count"])
        oldest.add_metric([row["lane"], row["state"]], row["oldest_seconds"])
    yield from (depth, oldest)
    counted = Message.objects.filter(status_conflict=True).count()
    yield gauge(
        "engage_messages_conflicting", "Contradictory reports of the carrier", "", {"": float(counted)}
    )


def gap_runs() -> Iterator[GaugeMetricFamily]:
    """The last care-gap run: how long ago, how it ended, what it did; a running one shows by its heartbeat."""
    last = GapRun.objects.filter(finished_at__isnull=False).order_by("-finished_at").first()
    age = (
        (clock.machine_now() - last.finished_at).total_seconds()
        if last and last.finished_at
        else float("nan")
    )
    yield gauge("engage_gap_run_age_seconds", "Since the last care-gap run ended", "", {"": age})
    running = GapRun.objects.filter(state=GapRun.State.RUNNING).count()
    yield gauge("engage_gap_run_running", "1 while a care-gap run is going on", "", {"": float(running)})
    if last is None:
        return
    yield gauge("engage_gap_run_seconds", "How long the last run took", "", {"": last.seconds})
    done = {
        name: float(getattr(last, name)) for name in ("opened", "closed", "excluded", "written", "looked_at")
    }
    yield gauge(
        "engage_gap_run_done", "Gaps the last run opened, closed, excluded; rows; patients", "what", done
    )
    ended = {
        state: float(last.state == state) for state in GapRun.State.values if state != GapRun.State.RUNNING
    }
    yield gauge("engage_gap_run_ended", "1 for how the last run ended", "state", ended)


def triage() -> Iterator[GaugeMetricFamily]:
    """Replies that triage could not sort, how long the oldest waits, and whether the word list is read."""
    unsorted = Reading.objects.filter(complete=False).aggregate(
        n=Count("pk"), oldest=Min("message__created_at")
    )
    age = max(0.0, (clock.now() - unsorted["oldest"]).total_seconds()) if unsorted["oldest"] else 0.0
    yield gauge(
        "engage_replies_unsorted", "Replies whose triage has not finished", "", {"": float(unsorted["n"])}
    )
    yield gauge("engage_replies_unsorted_oldest_seconds", "Since the oldest of them came", "", {"": age})
    untaken = Task.objects.open().filter(priority=Task.Priority.URGENT, escalated__gt=0)
    yield gauge(
        "engage_urgent_escalated", "Urgent replies nobody took in time", "", {"": float(untaken.count())}
    )
    broken = float(bool(wordlist.trouble()))
    yield gauge(
        "engage_word_list_broken", "1 when the shipped lexicon stands in for the clinic's", "", {"": broken}
    )


def gauge(name: str, words: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    found = GaugeMetricFamily(name, words, labels=[label] if label else [])
    for key, value in values.items():
        found.add_metric([key] if label else [], value)
    return found


urlpatterns: list[URLPattern] = [
    path("readyz", ready, name="readyz"),
    path("metrics", metrics, name="metrics"),
]
