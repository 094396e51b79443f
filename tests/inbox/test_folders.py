"""Folders: who sees what, in which order, and how many there are."""

from datetime import timedelta

from engage.inbox.folders import BY_SLUG, FOLDERS, counts
from engage.inbox.models import Conversation, Level
from engage.lib import clock
from tests.base import CastTestCase


class Folders(CastTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.made = 0
        hours = {"urgent": (Level.URGENT, 1), "unsorted": (Level.UNSORTED, 2), "old": (Level.SIGNIFICANT, 9)}
        hours |= {"new": (Level.SIGNIFICANT, 3), "thanks": (Level.ROUTINE, 50)}
        cls.rows = {
            name: cls.talk(level=level, waiting_since=clock.now() - timedelta(hours=h))
            for name, (level, h) in hours.items()
        }
        cls.rows["answered"] = cls.talk(state="waiting")
        cls.rows["later"] = cls.talk(state="snoozed", snoozed_until=clock.now())
        cls.rows["done"] = cls.talk(state="closed")
        cls.rows["elsewhere"] = cls.talk(
            clinic=cls.other_clinic, level=Level.URGENT, waiting_since=clock.now()
        )
        cls.rows["nobody"] = Conversation.objects.create(address="+16175550177", waiting_since=clock.now())

    @classmethod
    def talk(cls, **more):
        cls.made += 1
        clinic = more.pop("clinic", cls.clinic)
        patient = cls.make_patient(f"P{cls.made}", "Test", clinic=clinic)
        return Conversation.objects.create(patient=patient, clinic=clinic, address="x", **more)

    def names(self, slug, user=None):
        known = {row.pk: name for name, row in self.rows.items()}
        return [known[row.pk] for row in BY_SLUG[slug].ordered(user or self.nurse)]

    def test_urgent_first_then_unsorted_then_the_longest_waiting(self):
        assert self.names("open") == ["urgent", "unsorted", "old", "new", "thanks"]
        assert self.names("urgent") == ["urgent", "unsorted"]

    def test_the_others(self):
        assert self.names("waiting") == ["answered"]
        assert self.names("snoozed") == ["later"]
        assert self.names("closed") == ["done"]
        assert len(self.names("all")) == 8

    def test_mine_and_nobodys(self):
        self.rows["old"].owner = self.nurse
        self.rows["old"].save()
        assert self.names("mine") == ["old"]
        assert self.names("unassigned") == ["urgent", "unsorted", "new", "thanks"]

    def test_another_clinic_sees_its_own_only(self):
        assert self.names("all", self.stranger) == ["elsewhere"]

    def test_what_belongs_to_no_clinic_is_the_supervisors(self):
        assert "nobody" in self.names("unmatched", self.supervisor)
        assert self.names("unmatched") == []

    def test_pages_follow_each_other_by_key(self):
        for folder in FOLDERS:
            rows = list(folder.ordered(self.supervisor))
            for at, row in enumerate(rows):
                assert list(folder.page(self.supervisor, 50, row)) == rows[at + 1 :], folder.slug
                assert list(folder.page(self.supervisor, at + 1)) == rows[: at + 1], folder.slug

    def test_nobody_without_a_clinic_sees_anything(self):
        nobody = self.user("nobody", "nurse")
        nobody.clinics.clear()
        assert list(BY_SLUG["all"].page(nobody, 50)) == []

    def test_counts_take_one_query(self):
        fresh = self.user("fresh", "nurse")
        with self.assertNumQueries(2):  # the clinics of the person, the counts
            held = counts(fresh)
        assert held == {"urgent": 2, "open": 5, "mine": 0, "unassigned": 5, "unmatched": 0, "snoozed": 1}
