"""Every address × every role × another clinic × GET and POST. A route without a declared policy fails here."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from engage.accounts.models import Role
from engage.audit.models import AuditEvent
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.caregaps.models import CareGap, Closure
from engage.console.access import Access
from engage.inbox.models import Conversation, Flag, Sample, SampleItem
from engage.lib import clock
from engage.messaging.models import Message, Stream, Template
from engage.worklist.models import Task
from tests.base import CastTestCase

# Open without sign-in: the way in, and the machines' addresses, which have their own proof (a signature, or no data).
PUBLIC = {
    "login",
    "logout",
    "healthz",
    "readyz",
    "metrics",
    "twilio_message",
    "twilio_status",
    "twilio_voice",
}


def routes(patterns=None, prefix=""):
    """(name, path, view, argument names) of every address of the product."""
    for entry in patterns if patterns is not None else get_resolver().url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, path)
        elif isinstance(entry, URLPattern):
            yield entry.name, path, entry.callback, tuple(entry.pattern.converters)


ROUTES = list(routes())
STAFF_ROUTES = [r for r in ROUTES if r[0] not in PUBLIC]


def test_every_route_has_a_name_and_a_declared_policy():
    assert not [path for name, path, *_ in ROUTES if not name]
    undeclared = [
        path for _, path, view, _ in STAFF_ROUTES if not isinstance(getattr(view, "access", None), Access)
    ]
    assert not undeclared


def test_the_walk_has_something_to_walk():
    assert len(STAFF_ROUTES) > 20


def body(answer):
    """What an answer says, also when it is streamed."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


class Walk(CastTestCase):
    """One of everything in Harbor Clinic, and one person of each role in both clinics."""

    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        now, clinic, patient = clock.now(), cls.clinic, cls.patient
        gap = CareGap.objects.create(
            patient=patient, measure="CMS130", period_start=now.date().replace(month=1, day=1), rules="2025.1",
            status="open", opened_on=now.date(), due_since=now.date(),
        )  # fmt: skip
        closure = Closure.objects.create(
            gap=gap, what="colonoscopy", done_on=now.date(), recorded_by=cls.coordinator
        )
        task = Task.objects.create(
            clinic=clinic, patient=patient, reason="reply", summary="Asks for a call.", about="walk:1",
            due_at=now + timedelta(hours=4),
        )  # fmt: skip
        conversation = Conversation.objects.create(patient=patient, clinic=clinic, address="+16175550142")
        message = Message.objects.create(
            direction="in", state="received", clinic=clinic, patient=patient, address="+16175550142",
            body="call me", key="in:walk",
        )  # fmt: skip
        out = Message.objects.create(
            clinic=clinic,
            patient=patient,
            address="+16175550142",
            body="hello",
            key="out:walk",
            author=cls.nurse,
        )
        flag = Flag.objects.create(
            conversation=conversation, message=message, label="question", level=2, source="lexicon"
        )
        stream = Stream.objects.create(name="walk", clinic=clinic)
        campaign = Campaign.objects.create(name="Walk", measure="CMS130", stream=stream)
        campaign.clinics.add(clinic)
        touch = Touch.objects.create(campaign=campaign, position=1, kind="call_task")
        enrollment = Enrollment.objects.create(campaign=campaign, gap=gap, patient=patient, clinic=clinic)
        template = Template.objects.create(key="walk", name="Walk", body="Hello {first_name}", clinic=clinic)
        sample = Sample.objects.create(clinic=clinic, week=now.date(), replies=1)
        item = SampleItem.objects.create(sample=sample, message=message, position=1, said=3, weight=1)
        cls.objects = {
            "sample": sample, "item": item,
            "patient": patient, "gap": gap, "closure": closure, "task": task, "conversation": conversation,
            "message": message, "out": out, "flag": flag, "campaign": campaign, "touch": touch,
            "enrollment": enrollment, "template": template, "clinic": clinic,
        }  # fmt: skip
        cls.people = {role: cls.user(f"walk-{role}", role) for role in Role.values}
        cls.strangers = {role: cls.user(f"walk-other-{role}", role, cls.other_clinic) for role in Role.values}

    # Which object an address names, by the beginning of its name; the longest match counts.
    SUBJECTS = {
        "patient": "patient", "worklist": "task", "task": "task", "conversation": "conversation", "inbox": "conversation",
        "flag": "flag", "message": "message", "message_undo": "out", "message_cancel": "out",
        "message_re": "out", "campaign": "campaign",
        "gap": "gap", "close_gap": "gap", "defer": "gap", "closure": "closure", "undo_closure": "closure",
        "reopen": "closure",
        "enrollment": "enrollment", "template": "template", "review": "out", "touch": "touch",
        "sorting_sample": "sample", "sorting_item": "item",
        "setup_clinic": "clinic", "setup_hours": "clinic", "setup_approve": "template",
    }  # fmt: skip
    WORDS = {
        "slug": "urgent",
        "folder": "urgent",
        "measure": "CMS130",
        "code": "CMS130",
        "entry": "chest-pain",
        "number": 0,
    }  # not anybody's object

    def arguments(self, name, names):
        """Values for an address's arguments: (kwargs, whether one of them names a clinic's object)."""
        found, scoped = {}, False
        for argument in names:
            if argument in self.WORDS:
                found[argument] = self.WORDS[argument]
                continue
            subject = max((s for s in self.SUBJECTS if name.startswith(s)), key=len, default=None)
            assert subject, f"the walk does not know what {name} needs; add it to SUBJECTS"
            found[argument] = self.objects[self.SUBJECTS[subject]].pk
            scoped = True
        return found, scoped

    def each(self):
        for name, _path, view, names in STAFF_ROUTES:
            kwargs, scoped = self.arguments(name, names)
            yield name, reverse(name, kwargs=kwargs), view.access, scoped

    def setUp(self):
        self.client.raise_request_exception = False
        self.asking = None

    def ask(self, user, url, method, htmx=False, values=None):
        """The answer to this person, who stays signed in until another one asks."""
        if user != self.asking:
            self.client.force_login(user) if user else self.client.logout()
            self.asking = user
        headers = {"HX-Request": "true"} if htmx else {}
        return getattr(self.client, method)(url, values, headers=headers)

    def test_nobody_gets_in_without_signing_in(self):
        for name, url, access, _ in self.each():
            for method in ("get", "post"):
                for htmx in (False, True):
                    with self.subTest(route=name, method=method, htmx=htmx):
                        answer = self.ask(None, url, method, htmx)
                        # htmx is told to leave the page; a plain request is redirected.
                        where = answer.headers.get("HX-Redirect") or answer.headers.get("Location", "")
                        assert where.startswith("/accounts/login/") or answer.status_code == 405

    def test_each_role_sees_what_is_declared_and_nothing_else(self):
        for name, url, access, _ in self.each():
            for role, user in self.people.items():
                with self.subTest(route=name, role=role):
                    answer = self.ask(user, url, "get")
                    if role not in access.roles:
                        assert answer.status_code in (403, 405)
                    elif "GET" in access.methods:
                        assert answer.status_code in (200, 302), (url, answer.status_code)
                    else:
                        assert answer.status_code == 405

    def test_another_clinic_gets_404_and_changes_nothing(self):
        before = self.snapshot()
        for name, url, access, scoped in self.each():
            if not scoped:
                continue
            for role in access.roles:
                for method in [m.lower() for m in access.methods]:
                    for htmx in (False, True):
                        with self.subTest(route=name, role=role, method=method, htmx=htmx):
                            answer = self.ask(self.strangers[role], url, method, htmx)
                            assert answer.status_code == 404, (url, answer.status_code)
                            assert b"Rivera" not in answer.content
                            assert self.snapshot() == before

    def snapshot(self):
        rows = [type(o).objects.filter(pk=o.pk).values().get() for o in self.objects.values()]
        return rows, AuditEvent.objects.filter(patient_id=self.patient.pk).count()

    def test_lists_of_another_clinic_do_not_name_the_patient(self):
        for name, url, access, scoped in self.each():
            if scoped or "GET" not in access.methods:
                continue
            for role in access.roles:
                for query in ("", "?q=rivera"):
                    with self.subTest(route=name, role=role, query=query):
                        answer = self.ask(self.strangers[role], url + query, "get")
                        assert b"Rivera" not in body(answer).replace(b"rivera", b"")

    def test_whoever_sees_a_patient_leaves_an_audit_row(self):
        for name, url, access, _ in self.each():
            if "GET" not in access.methods:
                continue
            role = access.roles[0]
            with self.subTest(route=name):
                before = AuditEvent.objects.filter(patient_id=self.patient.pk).count()
                answer = self.ask(self.people[role], url + "?q=rivera", "get")
                shown = b"Rivera" in body(answer).replace(b"rivera", b"")
                after = AuditEvent.objects.filter(patient_id=self.patient.pk).count()
                assert not shown or after > before, f"{url} showed the patient without a trace"

    ODD = ("9" * 19, "²", "\x00", "9999999-99-99", "\U0001f9d1" * 300)
    ASKED = ("after", "before", "q", "draft", "ready", "in", "queue", "reason", "clinic", "language", "mine", "also", "over",
             "tasks", "heard", "patient", "actor", "action", "day", "to", "outcome", "body", "last", "key", "until", "note",
             "weeks", "item", "verdict", "label", "missed", "other", "sentence", "add", "says", "level", "drop", "seen",
             "typed", "task", "was", "add_examples", "add_counter", "off",
             "page", "status", "pcp", "age", "as_of", "done_on", "what", "code", "measure", "snooze", "name")  # fmt: skip

    def test_what_nobody_could_have_typed_never_breaks_a_page(self):
        for name, url, access, _ in self.each():
            for odd in self.ODD:
                for method in [m.lower() for m in access.methods]:
                    with self.subTest(route=name, method=method, odd=odd[:12]):
                        self.ask(
                            self.people[access.roles[0]], "/healthz", "get"
                        )  # signed in before the savepoint
                        savepoint = transaction.savepoint()
                        answer = self.ask(self.asking, url, method, values=dict.fromkeys(self.ASKED, odd))
                        transaction.savepoint_rollback(savepoint)
                        assert answer.status_code < 500, (url, odd[:12])

    def test_polls_carry_counts_only(self):
        for name, url, access, _ in self.each():
            if access.poll:
                answer = self.ask(self.people["nurse"], url, "get")
                assert b"Rivera" not in answer.content, name


@pytest.mark.django_db
def test_a_post_without_its_token_is_refused(client):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/accounts/login/", {"username": "a", "password": "b"}).status_code == 403
