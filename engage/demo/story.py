"""Three weeks in the demonstration's clinics, lived by the product itself with its clock held still.

Each day the campaigns advance, the carrier delivers (here: rows are marked as it would), patients answer through the same
door as the webhook, and staff act. So every page shows what the code really does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random

from django.conf import settings
from django.db import transaction
from django.db.models import Count

from engage.accounts.models import Clinic, User
from engage.campaigns.actions import close_gap
from engage.campaigns.jobs import advance
from engage.caregaps.jobs import find_gaps
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.demo import sorting
from engage.demo.campaigns import start_due
from engage.demo.script import LINES, UNKNOWN, URGENT_PAST, URGENT_TODAY, Line
from engage.inbox import actions as inbox
from engage.inbox.arrival import receive
from engage.inbox.models import Conversation
from engage.lib import clock
from engage.messaging.models import Attempt, Message
from engage.patients.models import ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Task

DAYS = 21
REPLY_SHARE = 0.22
CHANGED_WORDS = 9  # days ago
DONE_ELSEWHERE = ("CMS125", "CMS130")  # what patients tell of, and what a date of the last year closes


@contextmanager
def standing_at(moment: datetime) -> Iterator[None]:
    """Holds business time at a moment."""
    before, settings.NOW = settings.NOW, moment
    try:
        yield
    finally:
        settings.NOW = before


def alone_on(number: str) -> bool:
    """Whether one patient has this number."""
    return ContactPoint.objects.filter(value=number).values("patient").distinct().count() == 1


class Story:
    """The three weeks up to now; `random` decides who answers what."""

    def __init__(self, seed: int, users: dict[str, User], clinics: list[Clinic]) -> None:
        self.random = Random(seed + 7)  # noqa: S311 - repeatable on purpose
        self.users = users
        self.clinics = clinics
        self.now = clock.now()
        self.serial = 0
        self.lines: dict[str, list[Line]] = {}
        for line in LINES:
            self.lines.setdefault(line.language, []).extend([line] * line.weight)

    def first_night(self) -> None:
        with standing_at(self.morning(DAYS)):
            find_gaps(as_of=clock.today())

    def live(self) -> None:
        """Day after day until yesterday, then this morning, left for whoever opens the console."""
        for back in range(DAYS, 0, -1):
            with standing_at(self.morning(back)), transaction.atomic():
                if back % 7 == 0 and back != DAYS:
                    find_gaps(as_of=clock.today())
                start_due(self, back)
                advance(budget=None)
                delivered = self.carry()
            with standing_at(self.morning(back) + timedelta(hours=2)), transaction.atomic():
                self.answers(delivered, urgent=URGENT_PAST if back in (17, 12, 6) else ())
            with standing_at(self.morning(back) + timedelta(hours=4)), transaction.atomic():
                if back == CHANGED_WORDS:
                    sorting.change_words(self.users)
                self.staff_acts(share=0.9 if back > 2 else 0.4)
                self.calls(share=0.5)
                self.carry()
        self.this_morning()
        for weeks in range(sorting.WEEKS, -1, -1):
            with standing_at(self.now - timedelta(weeks=weeks)):
                share = 1.0 if weeks else sorting.CHECKED_SO_FAR
                sorting.check_samples(self.clinics, self.users["nurse"], share)
        sorting.begin_draft(self.users)

    def morning(self, days_ago: int) -> datetime:
        """11:00 in New York, 09:00 in Phoenix (in winter), so many days ago."""
        day = (self.now - timedelta(days=days_ago)).date()
        return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=16)

    # --- the carrier -------------------------------------------------------------------------------------
    def carry(self) -> list[Message]:
        """Marks what is due as the carrier would; gives what arrived."""
        now = clock.now()
        rows = Message.objects.filter(direction="out", state__in=Message.UNSENT).select_related(
            "contact_point"
        )
        due = [m for m in rows if m.not_before is None or m.not_before <= now]
        for message in due:
            self.hand_over(message, now)
        fields = [
            "state",
            "provider_sid",
            "accepted_at",
            "done_at",
            "attempts_made",
            "error_code",
            "state_reason",
        ]
        Message.objects.bulk_update(due, fields, batch_size=500)
        Attempt.objects.bulk_create(self.attempt(m) for m in due)
        return [m for m in due if m.state == Message.State.DELIVERED and m.patient_id]

    def hand_over(self, message: Message, now: datetime) -> None:
        self.serial += 1
        message.provider_sid = f"SM{self.serial:032x}"
        message.accepted_at = now
        message.done_at = now + timedelta(seconds=4)
        message.attempts_made = 1
        chance = self.random.random()
        if chance < 0.03:
            message.state, message.error_code = Message.State.UNDELIVERED, "30003"
            message.state_reason = "The phone could not be reached."
        elif chance < 0.06:
            message.state, message.state_reason = (
                Message.State.SENT,
                "On its way; the carrier has not confirmed it.",
            )
        else:
            message.state, message.state_reason = (
                Message.State.DELIVERED,
                "The carrier confirmed that it arrived.",
            )

    def attempt(self, message: Message) -> Attempt:
        at = message.accepted_at or clock.now()
        return Attempt(
            message=message, number=1, token_digest=f"demo{self.serial}-{message.pk}", started_at=at,
            deadline=at + timedelta(minutes=1), outcome=Attempt.Outcome.ACCEPTED, http_status=201,
            provider_sid=message.provider_sid or "",
        )  # fmt: skip

    # --- the patients -------------------------------------------------------------------------------------
    def answers(self, delivered: list[Message], urgent: tuple[Line, ...]) -> None:
        campaign_texts = [m for m in delivered if m.author_id is None and not m.safety]
        for message in campaign_texts:
            if self.random.random() < REPLY_SHARE:
                self.say(message.address, self.line_for(message.language or "en").text)
        for line in urgent[:1]:
            today = [m for m in campaign_texts if (m.language or "en") == line.language]
            candidates = [m for m in today or self.lately_texted(line.language) if alone_on(m.address)]
            if candidates:  # from a shared number it would wait for somebody to say whose it is
                self.say(self.random.choice(candidates).address, line.text)

    def lately_texted(self, language: str) -> list[Message]:
        """Texts of the last days that somebody may answer on a day without any."""
        rows = Message.objects.filter(direction="out", state="delivered", author=None, language=language)
        return list(rows.filter(clinic__slug="harbor", safety=False).order_by("-accepted_at", "pk")[:10])

    def line_for(self, language: str) -> Line:
        return self.random.choice(self.lines.get(language) or self.lines["en"])

    def say(self, number: str, words: str, at: datetime | None = None) -> Message:
        """A patient's text, through the same door as the webhook."""
        self.serial += 1
        return receive(
            sid=f"SM{self.serial:032x}", address=number, to=settings.TWILIO_FROM, body=words, raw={}, at=at
        )

    # --- the staff ----------------------------------------------------------------------------------------
    def staff_acts(self, share: float) -> None:
        """Most of what came in is answered and its task ended, in the way the script says."""
        known = {line.text: line for line in (*LINES, *URGENT_PAST)}
        for conversation in (
            Conversation.objects.open().exclude(patient=None).select_related("patient", "clinic")
        ):
            if self.random.random() > share:
                continue
            heard = (
                Message.objects.filter(patient=conversation.patient, direction="in").order_by("-id").first()
            )
            line = known.get(heard.body) if heard else None
            user = self.worker(conversation.clinic)
            if heard and line and user:
                self.handle(conversation, heard, line, user)

    def calls(self, share: float) -> None:
        """Most calls of the last days are made; some reach nobody."""
        made = (
            Outcome.BOOKED,
            Outcome.LEFT_VOICEMAIL,
            Outcome.WILL_CALL,
            Outcome.NO_ANSWER,
            Outcome.DECLINED,
        )
        for task in Task.objects.waiting().filter(reason="call").select_related("clinic"):
            if self.random.random() < share and (user := self.worker(task.clinic)):
                outcome = self.random.choices(made, (35, 25, 15, 18, 7))[0]
                worklist.finish(task, outcome, "Called in the afternoon.", by=user)

    def worker(self, clinic: Clinic | None) -> User | None:
        names = ["otherclinic"] if clinic and clinic.slug == "mesa" else ["coordinator", "nurse"]
        return self.users[self.random.choice(names)]

    def handle(self, conversation: Conversation, heard: Message, line: Line, user: User) -> None:
        inbox.mark_seen(conversation, user)
        if line.answer:
            inbox.reply(conversation, line.answer, by=user, key=f"demo:answer:{heard.pk}")
        if line.outcome == Outcome.ALREADY_DONE:
            self.record_closure(conversation, heard, user)
        for task in (
            Task.objects.open().filter(patient=conversation.patient).exclude(reason="no_way_to_reach")
        ):
            worklist.finish(task, line.outcome, "Handled by phone and text.", by=user)
        conversation.refresh_from_db()
        if not line.answer or self.random.random() < 0.7:
            inbox.close(conversation, by=user)

    def record_closure(self, conversation: Conversation, heard: Message, user: User) -> None:
        """Staff record what the patient said, with a date, and the gap closes."""
        told = CareGap.objects.open().filter(patient=conversation.patient, measure__in=DONE_ELSEWHERE)
        gap = told.order_by("measure").first()
        closers = MEASURES[gap.measure].closers_of(gap.group) if gap else []
        if gap is None or not closers:
            return
        close_gap(
            gap, what=closers[0].slug, done_on=clock.today() - timedelta(days=self.random.randrange(60, 250)),
            precision="day", place="Another clinic in town", known_by="patient_says", note="Said so in a text.",
            by=user, message_id=heard.pk,
        )  # fmt: skip

    # --- this morning -------------------------------------------------------------------------------------
    def this_morning(self) -> None:
        """Fresh replies nobody has handled, two of them urgent; a few tasks snoozed, owned and held."""
        recent = self.now - timedelta(minutes=95)
        with standing_at(recent), transaction.atomic():
            find_gaps(as_of=clock.today())
            texted = list(
                Message.objects.filter(direction="out", state="delivered", author=None, patient__isnull=False)
                .filter(patient__conversations=None)
                .order_by("-accepted_at")[:60]
            )
            self.random.shuffle(texted)
            for i, message in enumerate(texted[:26]):
                with standing_at(recent + timedelta(minutes=3 * i)):
                    self.say(message.address, self.line_for(message.language or "en").text)
            for number, words in UNKNOWN:
                self.say(number, words)
        with standing_at(self.now - timedelta(minutes=3)), transaction.atomic():
            self.urgent_now()
            self.shared_number()
        self.tidy_tasks()

    def urgent_now(self) -> None:
        for line, slug in zip(URGENT_TODAY, ("harbor", "riverside"), strict=True):
            patient = self.someone(line.language, slug)
            if patient:
                self.say(patient.contact_points.filter(system="phone").first().value, line.text)  # type: ignore[union-attr]

    def someone(self, language: str, slug: str) -> Patient | None:
        """A living adult of the clinic with a phone of their own, who has an open gap."""
        rows = Patient.objects.filter(
            clinic__slug=slug, language=language, deceased=False, conversations=None
        )
        rows = rows.filter(
            contact_points__system="phone", contact_points__state="active", gaps__status="open"
        )
        for patient in rows.order_by("id").distinct():
            value = patient.contact_points.filter(system="phone").first().value  # type: ignore[union-attr]
            if Patient.objects.filter(contact_points__value=value).count() == 1:
                return patient
        return None

    def shared_number(self) -> None:
        """A reply from a phone two patients share: somebody must say whose it is."""
        shared = (
            ContactPoint.objects.filter(system="phone", state="active", patient__clinic__slug="harbor")
            .values("value").annotate(n=Count("patient", distinct=True)).filter(n__gt=1).order_by("value").first()
        )  # fmt: skip
        if shared:
            self.say(shared["value"], "can we come Thursday instead?")

    def tidy_tasks(self) -> None:
        """Some tasks in every state: owned, snoozed, held by a colleague."""
        tasks = list(
            Task.objects.open()
            .filter(priority=2, clinic__slug__in=["harbor", "riverside"])
            .order_by("due_at")[:24]
        )
        for i, task in enumerate(tasks):
            if i % 4 == 0:
                worklist.hand_to(task, self.users["nurse"], by=self.users["coordinator"])
            elif i % 4 == 1 and i < 12:
                worklist.snooze(task, self.now + timedelta(days=1 + i % 3), by=self.users["coordinator"])
        if len(tasks) > 6:
            tasks[6].refresh_from_db()
            tasks[6].claim(self.users["nurse"])
