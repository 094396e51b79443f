from datetime import date

import pytest
from django.db import connection

from engage.patients.search import birth_date, search
from tests.base import CastTestCase


class SearchTests(CastTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.jose = cls.make_patient(
            "José Luis", "Núñez", "+16175550177", mrn="MRN-0042", birth_date=date(1951, 12, 3), search_name="nunez jose luis"
        )  # fmt: skip
        cls.theirs = cls.make_patient("Ana", "Rivero", "+16025550142", clinic=cls.other_clinic, mrn="X1")
        cls.nobodys = cls.make_patient("Ana", "Riveros", clinic=None)

    def found(self, text, user=None):
        return [p.family for p in search(user or self.coordinator, text)]

    def test_by_the_start_of_the_name_in_either_order(self):
        for text in ("nunez", "Núñ", "NUNEZ JOSE", "núñez, jo", "José Núñez", "jose nun"):
            self.assertEqual(self.found(text), ["Núñez"], text)
        for text in ("unez", "nunez ana", "%", "_unez", "nunez%"):
            self.assertEqual(self.found(text), [], text)

    def test_by_record_number_whole(self):
        self.assertEqual(self.found("mrn-0042"), ["Núñez"])
        self.assertEqual(self.found("MRN-004"), [])

    def test_by_birth_date(self):
        for text in ("1951-12-03", "12/3/1951", "12.03.1951"):
            self.assertEqual(self.found(text), ["Núñez"], text)
        self.assertEqual(self.found("3/12/1951"), [])

    def test_by_phone_as_people_write_it(self):
        for text in ("6175550177", "(617) 555-0177", "+1 617 555 0177", "1-617-555-0177", "617555017"):
            self.assertEqual(self.found(text), ["Núñez"], text)
        self.assertEqual(self.found("617-555"), ["Núñez", "Rivera"])
        self.assertEqual(self.found("0177"), [])

    def test_nothing_finds_everyone_in_order(self):
        self.assertEqual(self.found("  "), ["Núñez", "Rivera"])

    def test_another_clinic_cannot(self):
        self.assertEqual(self.found("riv", self.stranger), ["Rivero"])
        self.assertEqual(self.found("6175550177", self.stranger), [])
        self.assertEqual(self.found("mrn-0042", self.stranger), [])
        self.assertEqual(self.found("riv", self.supervisor), ["Rivera", "Riveros"])

    def test_odd_text_finds_nothing_and_breaks_nothing(self):
        for text in ("\0", "a\0b", "'; --", "9999-99-99", "x" * 5000, "😀", "\ud800"):
            self.assertEqual(self.found(text) if text.strip("\0") else [], [], text[:10])

    def test_an_index_answers(self):
        if connection.vendor == "postgresql":  # a tiny table is read whole unless that is forbidden
            connection.cursor().execute("SET LOCAL enable_seqscan = off")
        for text in ("nunez", "mrn-0042", "1951-12-03", "6175550177"):
            plan = search(self.coordinator, text).explain()
            self.assertNotIn("SCAN patients_patient\n", plan + "\n")
            self.assertNotIn("Seq Scan on patients_patient", plan)


@pytest.mark.parametrize("text", ["1951-13-03", "2/30/1951", "12-03", "19511203", "abc"])
def test_what_is_no_day_is_none(text):
    assert birth_date(text) is None
