"""The list: one row per patient, the right order, groups, filters, and pages that neither skip nor repeat."""

from datetime import UTC, datetime, timedelta
from random import Random

from django.http import QueryDict
from django.test import override_settings

from engage.lib import clock
from engage.worklist import board
from engage.worklist.board import Asked, Place
from engage.worklist.models import Reason, Task
from tests.base import NOON, CastTestCase


def make(cast, about, hours, patient=None, priority=Task.Priority.ROUTINE, **more):
    fields = {
        "reason": Reason.REPLY, "summary": "Asks.", "about": about, "due_at": clock.now() + timedelta(hours=hours),
        "clinic": cast.clinic, "patient": patient, "priority": priority,
    } | more  # fmt: skip
    return Task.objects.create(**fields)


def names(page):
    return [row.patient.family if row.patient else row.first.about for row in page.rows]


class Order(CastTestCase):
    def test_urgent_first_then_by_deadline_one_row_per_patient(self):
        ben, cid = self.make_patient("B", "Ben"), self.make_patient("C", "Cid")
        make(self, "a:1", 3, self.patient)
        make(self, "a:2", -20, ben)
        make(self, "a:3", 1, cid, priority=Task.Priority.URGENT)
        make(self, "a:4", 50, cid)
        make(self, "a:5", 2)
        page = board.page(self.coordinator, Asked())
        assert names(page) == ["Cid", "Ben", "a:5", "Rivera"]
        assert [t.about for t in page.rows[0].tasks] == ["a:3", "a:4"]
        assert page.next is None

    def test_groups_follow_the_clinics_own_days(self):
        # NOON is Wednesday noon in New York. The week ends there on a Sunday night that is an hour shorter (8 March 2026).
        hours = {
            "urgent": 1, "late": -1, "tonight": 11.9, "tomorrow": 12.1, "sunday": 4 * 24 + 10.9, "monday": 4 * 24 + 11.1,
        }  # fmt: skip
        for about, ahead in hours.items():
            urgent = Task.Priority.URGENT if about == "urgent" else Task.Priority.ROUTINE
            make(self, about, ahead, priority=urgent)
        rows = board.page(self.coordinator, Asked()).rows
        grouped = {
            band: [r.first.about for r in some] for band, some in board.bands(rows, "America/New_York")
        }
        assert grouped == {
            "now": ["urgent"], "overdue": ["late"], "today": ["tonight"], "week": ["tomorrow", "sunday"],
            "later": ["monday"],
        }  # fmt: skip

    def test_what_is_put_off_or_done_is_not_there(self):
        make(self, "a:1", 1, state="snoozed", snoozed_until=NOON + timedelta(hours=1))
        make(self, "a:2", 1, state="done", outcome="answered")
        back = make(self, "a:3", 1, state="snoozed", snoozed_until=NOON)
        assert [r.first for r in board.page(self.coordinator, Asked()).rows] == [back]

    def test_another_clinics_and_nobodys_are_not_there_but_supervisors_see_nobodys(self):
        make(self, "other", 1, clinic=self.other_clinic)
        make(self, "nobody", 1, clinic=None)
        assert names(board.page(self.coordinator, Asked())) == []
        assert names(board.page(self.supervisor, Asked())) == ["nobody"]
        assert names(board.page(self.stranger, Asked())) == ["other"]

    def test_a_row_can_be_asked_for_alone(self):
        make(self, "a:1", 3, self.patient)
        lone = make(self, "a:2", 3)
        assert len(board.one(self.coordinator, f"p{self.patient.pk}").tasks) == 1
        assert board.one(self.coordinator, f"t{lone.pk}").first == lone
        assert board.one(self.stranger, f"p{self.patient.pk}") is None


class Filters(CastTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.luz = cls.make_patient("Luz", "Diaz", language="es")
        with override_settings(NOW=NOON):
            make(cls, "a:1", 1, cls.patient, queue="nurses", owner=cls.coordinator)
            make(cls, "a:2", 2, cls.luz, reason=Reason.CALL)
            make(cls, "a:3", 3, cls.patient, reason=Reason.CALL)

    def asked(self, query):
        return names(board.page(self.coordinator, Asked.of(QueryDict(query))))

    def test_each_narrows_and_a_row_keeps_all_that_waits_for_the_patient(self):
        assert self.asked("") == ["Rivera", "Diaz"]
        assert self.asked("queue=nurses") == ["Rivera"]
        assert self.asked("mine=1") == ["Rivera"]
        assert self.asked("language=es") == ["Diaz"]
        assert self.asked(f"clinic={self.clinic.pk}") == ["Rivera", "Diaz"]
        assert self.asked(f"clinic={self.other_clinic.pk}") == []
        calls = board.page(self.coordinator, Asked(reason=Reason.CALL))
        assert names(calls) == ["Diaz", "Rivera"]  # by the call's deadline, not by the other task's
        assert len(calls.rows[1].tasks) == 2

    def test_nonsense_is_left_out(self):
        assert Asked.of(QueryDict("queue=x&reason=y&clinic=z&language=1%2C2&mine=no")) == Asked()


class Pages(CastTestCase):
    def test_pages_neither_skip_nor_repeat_a_patient(self):
        random = Random(3)
        patients = [self.make_patient("P", f"P{n:03}") for n in range(60)]
        for n in range(240):
            patient = random.choice([*patients, None])
            make(self, f"x:{n}", random.randint(-40, 40), patient, priority=random.choice([0, 1, 2, 2, 2]))
        whole = board.page(self.coordinator, Asked(), size=1000)
        assert whole.next is None
        seen, after = [], None
        for _ in range(100):
            page = board.page(self.coordinator, Asked(), after, size=7)
            seen += [row.key for row in page.rows]
            after = page.next and Place.parse(str(page.next))
            if after is None:
                break
        assert seen == [row.key for row in whole.rows]
        assert len(set(seen)) == len(seen)

    def test_many_tasks_of_one_patient_do_not_make_a_short_page(self):
        for n in range(board.READ * 2):
            make(self, f"x:{n}", n / 100, self.patient)
        for n in range(5):
            make(self, f"y:{n}", 40 + n)
        page = board.page(self.coordinator, Asked(), size=4)
        assert names(page) == ["Rivera", "y:0", "y:1", "y:2"]
        assert page.next is not None

    def test_a_place_survives_the_address_and_nonsense_does_not(self):
        place = Place(1, datetime(2026, 3, 4, 17, 0, 0, 123456, tzinfo=UTC), 812)
        assert Place.parse(str(place)) == place
        for text in (
            "",
            "1",
            "1.2",
            "a.b.c",
            "1.-5.3",
            "1.9999999999999999999999.3",
            "9.999999999999999999.1",
        ):
            assert Place.parse(text) is None

    def test_the_number_of_queries_does_not_grow(self):
        for n in range(40):
            make(self, f"x:{n}", n, self.make_patient("P", f"P{n}"))
        self.coordinator.clinic_ids()
        with self.assertNumQueries(2):
            board.page(self.coordinator, Asked())
