"""Pages: delivery. What waits, how fast it goes, what is wrong, the switch over all sending, and receipts to take away."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from engage.accounts.models import Role, User
from engage.console.access import AUDITORS, CAMPAIGNERS, CARE, StaffRequest, listed, page, viewed
from engage.inbox.models import Reading
from engage.lib import clock
from engage.messaging import generation, health, receipts, switch
from engage.messaging.models import Breaker, Message

OPERATORS = CAMPAIGNERS
WATCHERS = (*OPERATORS, Role.AUDITOR)
MOST_ROWS = 100_000  # of one download; the command has no limit
SHOWN = 50
MONTH = timedelta(days=30)


@page(*WATCHERS)
def delivery(request: StaffRequest) -> HttpResponse:
    """The operator's page; with it, for those who care for patients, the messages a person must decide on."""
    context = now() | {
        "stop": switch.current(),
        "restored": generation.restored(),
        "may_switch": request.user.role in OPERATORS,
        "may_export": request.user.role in AUDITORS,
        "today": clock.today(zone_of(request.user)),
        "month_ago": clock.today(zone_of(request.user)) - MONTH,
    }
    if request.user.role in CARE:
        review = to_review(request.user)
        listed(request, "delivery.review", [m.patient_id for m in review])
        context |= {"review": review, "care": True}
    return render(request, "console/delivery/page.html", context)


def now() -> dict[str, Any]:
    """Counts and ages only."""
    rows, counted = health.depths_lately()
    heard = Reading.objects.order_by("-pk").select_related("message").first()
    return {
        "sender": health.sender_state(),
        "lanes": health.by_lane(rows),
        "counted": int((clock.machine_now() - counted).total_seconds()),
        "states": [s.label for s in health.UNSETTLED],
        "in_doubt": sum(r["count"] for r in rows if r["state"] == Message.State.IN_DOUBT),
        "to_decide": sum(r["count"] for r in rows if r["state"] == Message.State.NEEDS_REVIEW),
        "rate": health.rate(),
        "allowance": health.allowance(),
        "breakers": list(Breaker.objects.order_by("sender")),
        "last_callback": ago(health.last_callback(), clock.machine_now()),
        "last_heard": ago(heard.message.created_at if heard else None, clock.now()),
        "beats": [(name, ago(at, clock.machine_now())) for name, at in health.heartbeats().items()],
    }


def ago(moment: datetime | None, now: datetime) -> str:
    return health.ago((now - moment).total_seconds()) if moment else ""


def to_review(user: User) -> QuerySet[Message]:
    rows = Message.objects.visible_to(user).filter(state=Message.State.NEEDS_REVIEW)
    return rows.select_related("patient", "clinic").order_by("done_at")[:SHOWN]


@page(*WATCHERS, poll=True)
def delivery_now(request: StaffRequest) -> HttpResponse:
    """The moving part of the page, asked for every few seconds."""
    return render(request, "console/delivery/_now.html", now())


@page(*OPERATORS, methods=("GET", "POST"))
def delivery_stop(request: StaffRequest) -> HttpResponse:
    """Asks, with a reason, before it stops all sending."""
    problem = ""
    if request.method == "POST":
        try:
            switch.stop(request.user, request.POST.get("why", ""))
        except switch.SwitchError as error:
            problem = str(error)
        else:
            messages.success(request, "All sending is stopped.")
            return HttpResponseRedirect(reverse("delivery"))
    context = {"problem": problem, "lanes": health.by_lane(health.depths_lately()[0])}
    return render(request, "console/delivery/stop.html", context, status=422 if problem else 200)


@page(*OPERATORS, methods=("GET", "POST"))
def delivery_go_on(request: StaffRequest) -> HttpResponse:
    """Asks before sending goes on: what waited may be much, and all of it is due."""
    if request.method == "POST":
        return done(request, switch.go_on, "Sending goes on.")
    context = {"stop": switch.current(), "lanes": health.by_lane(health.depths_lately()[0])}
    return render(request, "console/delivery/go_on.html", context)


@page(*OPERATORS, methods=("GET", "POST"))
def delivery_release(request: StaffRequest) -> HttpResponse:
    """Says what a restored database has forgotten and what is done about it, and asks before sending goes on."""
    if request.method == "POST":
        return done(
            request, switch.release, "Sending goes on. What waited is looked up with the carrier first."
        )
    gone = generation.forgotten()
    context: dict[str, Any] = {"gone": bool(gone)}
    if gone:
        context |= {
            "since": min(f.since for f in gone),
            "until": max(f.until for f in gone),
            "missing": generation.still_missing(gone),
            "waiting": generation.waiting().count(),
        }
    return render(request, "console/delivery/release.html", context)


@require_POST
@page(*OPERATORS, methods=("POST",))
def delivery_try_again(request: StaffRequest) -> HttpResponse:
    """After a fault of our own set-up has been mended."""
    return done(request, switch.try_again, "One message is tried; if the carrier takes it, sending goes on.")


def done(request: StaffRequest, act: Any, said: str) -> HttpResponse:
    try:
        act(request.user)
    except switch.SwitchError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
    return HttpResponseRedirect(reverse("delivery"))


@page(*AUDITORS)
def delivery_receipts(request: StaffRequest) -> Any:
    """Receipts of the person's clinics as a file; recorded, and limited so that one click takes no whole year away."""
    form = request.GET.get("format", "csv")
    try:
        rows, since, until = asked_for(request)
    except ValueError as error:
        return refused(request, str(error))
    count = rows.count()
    if count > MOST_ROWS:
        many = f"That is {count:,} messages, and {MOST_ROWS:,} is the most: choose fewer days"
        return refused(request, f"{many}, or use the command export_receipts.")
    form = form if form in receipts.FORMATS else "csv"
    viewed(request, None, "receipts.export", messages=count, since=str(since), until=str(until), format=form)
    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    answer = StreamingHttpResponse(receipts.lines(rows, form), content_type=f"{kind}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="receipts-{since}-{until}.{form}"'
    return answer


def asked_for(request: StaffRequest) -> tuple[QuerySet[Message], date, date]:
    """The messages of the person's clinics in the days asked for, of the last month if none are. Raises ValueError."""
    zone = zone_of(request.user)
    since = day_of(request.GET.get("since", ""), clock.today(zone) - MONTH)
    until = day_of(request.GET.get("until", ""), clock.today(zone))
    if until < since:
        raise ValueError("The last day lies before the first.")
    after = datetime.combine(until + timedelta(days=1), time.min, zone)
    found = receipts.between(datetime.combine(since, time.min, zone), after)
    return found.filter(request.user.scope()), since, until


def day_of(text: str, default: date) -> date:
    try:
        found = date.fromisoformat(text) if text else default
    except ValueError:
        raise ValueError("Write the days as 2026-03-04.") from None
    if not date(2000, 1, 1) <= found <= date(2200, 1, 1):
        raise ValueError("The days must lie in this century or the next.")
    return found


def refused(request: StaffRequest, problem: str) -> HttpResponse:
    return render(request, "console/delivery/no_receipts.html", {"problem": problem}, status=422)


def zone_of(user: User) -> ZoneInfo:
    """Of the person's first clinic."""
    clinic = user.clinics.first()
    return ZoneInfo(clinic.time_zone if clinic else "UTC")


urlpatterns: list[URLPattern] = [
    path("", delivery, name="delivery"),
    path("now/", delivery_now, name="delivery_now"),
    path("stop/", delivery_stop, name="delivery_stop"),
    path("go-on/", delivery_go_on, name="delivery_go_on"),
    path("release/", delivery_release, name="delivery_release"),
    path("try-again/", delivery_try_again, name="delivery_try_again"),
    path("receipts/", delivery_receipts, name="delivery_receipts"),
]
