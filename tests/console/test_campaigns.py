import re
from datetime import timedelta

from engage.accounts.models import Clinic, Role
from engage.audit.models import AuditEvent
from engage.campaigns import jobs
from engage.campaigns.models import Campaign, Enrollment
from engage.messaging.models import Template
from engage.patients.models import ContactPoint
from tests.base import NOON
from tests.campaigns.base import CampaignCase

WORDING = "{first_name}, {clinic_name}: it is time for a check-up. Reply 1 or call {clinic_phone}. Reply STOP to opt out."


class PageCase(CampaignCase):
    def setUp(self) -> None:
        self.client.force_login(self.administrator)

    def url(self, tail: str = "") -> str:
        return f"/campaigns/{self.campaign.pk}/{tail}"

    def read(self, url: str, status: int = 200) -> str:
        answer = self.client.get(url)
        assert answer.status_code == status
        return re.sub(r"\s+", " ", answer.content.decode())


class ReadingTests(PageCase):
    def test_the_list_counts_each_campaign(self):
        self.launch()
        self.accepted(self.texts().get())
        html = self.read("/campaigns/")
        assert "Screening" in html
        assert re.findall(r'<td class="figure"[^>]*>(\d+)</td>', html) == ["1", "1", "0", "0", "0"]
        assert "11 Mar 2026" in html  # the last touch: 3 and 4 days on

    def test_the_list_asks_the_database_no_more_for_more_people(self):
        self.launch()
        self.client.get("/campaigns/")
        with self.assertNumQueries(FuzzyInt(1, 16)):
            self.client.get("/campaigns/")

    def test_the_funnel_prints_what_each_step_is_a_part_of(self):
        self.make_gap(self.make_patient("Bo", "Lee"))
        self.launch()
        self.accepted(self.texts().get())
        html = re.sub(r"<[^>]+>| ", " ", self.read(self.url()))
        for words in (
            "50% of 2 open gaps",
            "100% of 1 enrolled",
            "100% of 1 texted",
            "0% of 1 texted",
            "0% of 1 enrolled",
        ):
            assert words in re.sub(r"\s+", " ", html), words
        assert "No usable number" in html

    def test_people_are_listed_by_state_audited_and_linked_for_care_only(self):
        self.launch()
        assert "Rivera, Ana" in self.read(self.url())
        assert f"/patients/{self.patient.pk}/" not in self.read(self.url())
        assert AuditEvent.objects.filter(action="campaign.people", patient_id=self.patient.pk).count() == 2
        assert "Rivera" not in self.read(self.url("?state=left_out"))
        self.client.force_login(self.coordinator)
        assert f'href="/patients/{self.patient.pk}/"' in self.read(self.url())

    def test_people_of_a_clinic_that_is_not_ones_own_are_not_shown(self):
        self.campaign.clinics.add(self.other_clinic)
        self.make_gap(self.make_patient("Bo", "Strange", "+16025550150", clinic=self.other_clinic))
        self.launch()
        assert Enrollment.objects.count() == 2
        assert "Strange" not in self.read(self.url())

    def test_a_coordinator_reads_and_cannot_change(self):
        self.client.force_login(self.coordinator)
        html = self.read(self.url())
        assert "Edit" not in html and "/start/" not in html
        for tail in ("edit/", "start/", "preview/", "count/"):
            assert self.client.get(self.url(tail)).status_code == 403

    def test_another_clinic_cannot(self):
        self.client.force_login(self.user("othercampaigns", Role.CAMPAIGNS, self.other_clinic))
        touch = self.campaign.touches.first()
        for url in (self.url(), self.url("edit/"), self.url("stop/"), self.url("preview/"), self.url("count/"),
                    f"/campaigns/touches/{touch.pk}/wording/"):  # fmt: skip
            assert self.client.get(url).status_code == 404
        for url in (self.url("start/"), self.url("cadence/"), f"/campaigns/touches/{touch.pk}/check/"):
            assert self.client.post(url).status_code == 404
        assert Campaign.objects.get().state == "draft"
        assert "Screening" not in self.read("/campaigns/")

    def test_who_has_only_one_of_its_clinics_cannot_change_it(self):
        self.campaign.clinics.add(self.other_clinic)
        assert self.client.get(self.url()).status_code == 200
        assert self.client.post(self.url("start/")).status_code == 403

    def test_no_inline_style_or_script(self):
        self.launch()
        for url in ("/campaigns/", self.url(), self.url("edit/"), self.url("preview/?anybody=1")):
            html = self.read(url)
            assert not re.search(r'\sstyle="|<style|\son\w+="|<script(?![^>]*\ssrc=)', html), url


class FuzzyInt(int):
    """Equal to any number from `low` to `high`."""

    def __new__(cls, low, high):
        made = super().__new__(cls, high)
        made.low, made.high = low, high
        return made

    def __eq__(self, other):
        return self.low <= other <= self.high

    __hash__ = int.__hash__


class StateTests(PageCase):
    def test_start_asks_first_and_then_starts(self):
        assert "Count who would be reached" in self.read(self.url("start/"))
        assert Campaign.objects.get().state == "draft"
        answer = self.client.post(self.url("start/"))
        assert answer.headers["Location"] == self.url()
        assert Campaign.objects.get().state == "running"

    def test_pause_keeps_the_reason_and_resume_goes_on(self):
        self.launch()
        self.client.post(self.url("pause/"), {"why": "The nurse is away"})
        assert "The nurse is away" in self.read(self.url())
        self.client.post(self.url("resume/"))
        assert Campaign.objects.get().state == "running"

    def test_stop_says_what_it_ends(self):
        self.launch()
        html = self.read(self.url("stop/"))
        assert "It cannot be resumed." in html
        assert '<strong class="num">1</strong> people are in progress' in html
        self.client.post(self.url("stop/"))
        assert Campaign.objects.get().state == "stopped"
        answer = self.client.post(self.url("stop/"))
        assert answer.status_code == 422
        assert "The campaign is stopped: this is not possible now." in answer.content.decode()

    def test_what_is_not_ready_cannot_start(self):
        Template.objects.update(approved_at=None)
        assert "Touch 1 has no approved wording." in self.read(self.url("start/"))
        assert self.client.post(self.url("start/")).status_code == 422

    def test_a_get_changes_nothing(self):
        self.launch()
        for act in ("pause", "stop"):
            self.client.get(self.url(f"{act}/"))
        assert Campaign.objects.get().state == "running"


class EditingTests(PageCase):
    def test_a_new_campaign_has_cadence_and_approved_wording(self):
        fields = {"name": "Breast", "measure": "CMS125", "clinics": [self.clinic.pk]}
        answer = self.client.post("/campaigns/new/", fields)
        made = Campaign.objects.get(name="Breast")
        assert answer.headers["Location"] == f"/campaigns/{made.pk}/edit/"
        assert [(t.kind, t.wait_days, t.template_key) for t in made.touches.all()] == [
            ("text", 0, "cms125-first"), ("text", 3, "cms125-again"), ("call_task", 4, ""),
        ]  # fmt: skip
        assert AuditEvent.objects.get(action="campaign.new").subject_id == str(made.pk)

    def test_clinics_that_are_not_ones_own_cannot_be_chosen(self):
        fields = {"name": "X", "measure": "CMS125", "clinics": [self.other_clinic.pk]}
        assert self.client.post("/campaigns/new/", fields).status_code == 422
        assert "Mesa Clinic" not in self.read("/campaigns/new/")
        assert Campaign.objects.count() == 1

    def whom(self, **more):
        return {
            "name": "Screening",
            "measure": "CMS130",
            "clinics": [self.clinic.pk],
            "standing": "on",
        } | more

    def test_the_segment_is_saved_and_shown_again(self):
        self.client.post(
            self.url("edit/"), self.whom(min_age=50, max_age=70, languages=["en"], overdue_days=30)
        )
        assert Campaign.objects.get().segment == {
            "min_age": 50, "max_age": 70, "languages": ["en"], "overdue_days": 30,
        }  # fmt: skip
        assert 'value="50"' in self.read(self.url("edit/"))

    def test_ages_the_wrong_way_round_are_a_sentence(self):
        answer = self.client.post(self.url("edit/"), self.whom(min_age=70, max_age=50))
        assert answer.status_code == 422
        assert "nobody would be chosen" in answer.content.decode()

    def test_started_it_keeps_whom_it_chooses(self):
        self.launch()
        self.client.post(self.url("edit/"), {"name": "Renamed", "measure": "CMS125", "min_age": 90})
        found = Campaign.objects.get()
        assert (found.name, found.measure, found.segment) == ("Renamed", "CMS130", {})

    def cadence(self, *rows):
        data = {"touch-TOTAL_FORMS": 8, "touch-INITIAL_FORMS": 3}
        for i in range(8):
            kind, wait, unit = rows[i] if i < len(rows) else ("", 0, "days")
            data |= {f"touch-{i}-kind": kind, f"touch-{i}-wait_days": wait, f"touch-{i}-unit": unit}
        return self.client.post(self.url("cadence/"), data)

    def test_the_cadence_of_a_running_campaign_changes_what_is_still_to_come(self):
        self.launch()
        self.accepted(self.texts().get())
        answer = self.cadence(("text", 0, "days"), ("call_task", 2, "business"))
        assert answer.status_code == 302
        touches = self.campaign.touches.all()
        assert [(t.kind, t.wait_days, t.business_days) for t in touches] == [
            ("text", 0, False),
            ("call_task", 2, True),
        ]
        with self.later(days=3):
            assert jobs.advance(None) == {"call_task": 1}
        assert self.enrollment().state == "completed"

    def test_an_empty_cadence_is_refused(self):
        answer = self.cadence()
        assert answer.status_code == 422
        assert "Add at least one touch." in answer.content.decode()
        assert self.campaign.touches.count() == 3

    def test_a_wait_that_is_no_number_is_refused(self):
        assert self.cadence(("text", "soon", "days")).status_code == 422
        assert self.campaign.touches.count() == 3

    def test_a_stopped_campaign_is_not_changed(self):
        Campaign.objects.update(state="stopped")
        assert self.cadence(("text", 0, "days")).status_code == 422
        self.client.post(self.url("edit/"), {"name": "Other"})
        assert Campaign.objects.get().name == "Screening"


class WordingTests(PageCase):
    def setUp(self) -> None:
        super().setUp()
        self.touch = self.campaign.touches.get(position=1)
        self.page = f"/campaigns/touches/{self.touch.pk}/wording/"

    def test_saved_and_approved_it_is_used_by_this_campaign_only(self):
        self.client.post(self.page, {"language": "en", "body": WORDING, "approve": "on"})
        self.touch.refresh_from_db()
        assert self.touch.template_key == f"campaign-{self.campaign.pk}-{self.touch.pk}"
        row = Template.objects.get(key=self.touch.template_key, language="en", version=2)
        assert (row.approved_by, row.approved_at) == ("campaigns", NOON)
        assert Template.objects.filter(key="cms130-first").count() == 2
        self.launch()
        assert self.texts().get().body.startswith("Ana, Harbor Clinic: it is time for a check-up.")

    def test_not_approved_it_waits_and_the_version_before_stays(self):
        self.client.post(self.page, {"language": "en", "body": WORDING})
        self.launch()
        assert self.texts().get().body.startswith("Ana, Harbor Clinic here.")
        assert "Version 2 waits for approval" in self.read(self.page)
        self.client.post(self.page, {"language": "en", "body": WORDING, "approve": "on"})
        assert Template.objects.get(body=WORDING).approved_by == "campaigns"

    def test_another_language_lets_its_speakers_in(self):
        self.make_gap(self.make_patient("Linh", "Tran", "+16175550150", language="vi"))
        assert "Vietnamese" in self.read(self.page + "?language=vi")
        for touch in self.campaign.touches.filter(kind="text"):
            url = f"/campaigns/touches/{touch.pk}/wording/"
            self.client.post(url, {"language": "vi", "body": WORDING, "approve": "on"})
        self.launch()
        assert Enrollment.objects.filter(state="active").count() == 2

    def test_what_is_wrong_is_said_in_sentences_and_nothing_is_saved(self):
        for body, words in (
            ("{diagnosis} Reply STOP. {clinic_name} {clinic_phone}", "There is no placeholder {diagnosis}"),
            (
                "{clinic_name} {clinic_phone}: your colonoscopy. Reply STOP.",
                "may reveal a condition or a test",
            ),
            ("{clinic_name} {clinic_phone}: check-up.", "Say how to stop"),
            ("{clinic_name} {clinic_phone}: Reply YES. Reply STOP.", "CANCEL, END or YES"),
        ):
            answer = self.client.post(self.page, {"language": "en", "body": body, "approve": "on"})
            assert answer.status_code == 422
            assert words in answer.content.decode().replace("&#x27;", "'")
        assert not Template.objects.filter(key__startswith="campaign-").exists()

    def test_check_only_saves_nothing(self):
        answer = self.client.post(
            self.page, {"language": "en", "body": WORDING, "check": "1", "approve": "on"}
        )
        assert "Nothing is wrong with it." in answer.content.decode()
        assert not Template.objects.filter(body=WORDING).exists()

    def test_the_live_check_counts_segments(self):
        url = f"/campaigns/touches/{self.touch.pk}/check/"
        short = self.client.post(url, {"body": WORDING}).content.decode()
        assert "1 segment (GSM-7)" in short
        accented = self.client.post(url, {"body": WORDING + " Está aquí mañana, señora."}).content.decode()
        assert "2 segments (UCS-2)" in accented


class PreviewTests(PageCase):
    def test_the_count_has_reasons_languages_and_cost(self):
        self.make_gap(self.make_patient("Bo", "Lee", "+16175550150", language="es"))
        self.make_gap(self.make_patient("Cy", "Lee"))
        html = re.sub(r"<[^>]+>", " ", self.read(self.url("count/")))
        html = re.sub(r"\s+", " ", html)
        assert "2 of 3 people with an open gap would be reached" in html
        assert "No usable number 1" in html
        assert "Spanish, 2 text segments a person at most 1" in html
        assert "Segments in all, if nobody answers 4" in html

    def test_a_patient_found_by_name_sees_the_real_words(self):
        assert "Rivera, Ana" in self.read(self.url("preview/?q=rivera"))
        html = self.read(self.url(f"preview/?patient={self.patient.pk}"))
        assert "Ana, Harbor Clinic here. You are due for a health screening." in html
        assert "Would be reached." in html
        actions = AuditEvent.objects.filter(patient_id=self.patient.pk).values_list("action", flat=True)
        assert set(actions) == {"campaign.search", "campaign.preview"}

    def test_somebody_by_chance(self):
        assert "Rivera, Ana" in self.read(self.url("preview/?anybody=1"))

    def test_who_would_be_left_out_is_told_why(self):
        ContactPoint.objects.update(sms_consent="revoked")
        assert "Would be left out: the patient opted out." in self.read(
            self.url(f"preview/?patient={self.patient.pk}")
        )

    def test_who_is_not_chosen_is_not_found(self):
        other = self.make_patient("Ada", "Rivers", "+16175550151")
        assert "Rivers" not in self.read(self.url("preview/?q=rivers")).replace('value="rivers"', "")
        assert "does not choose this patient" in self.read(self.url(f"preview/?patient={other.pk}"))

    def test_a_patient_of_another_clinic_is_not_found(self):
        Clinic.objects.get(pk=self.other_clinic.pk)
        theirs = self.make_patient("Bo", "Strange", "+16025550150", clinic=self.other_clinic)
        self.make_gap(theirs)
        self.read(self.url(f"preview/?patient={theirs.pk}"), status=404)
        assert "Strange," not in self.read(self.url("preview/?q=strange"))

    def test_a_name_typed_by_someone_is_not_markup(self):
        assert "<b>x" not in self.read(self.url("preview/?q=<b>x"))

    def test_touches_are_dated_by_the_cadence(self):
        html = self.read(self.url(f"preview/?patient={self.patient.pk}"))
        for day in (0, 3, 7):
            assert f"{NOON + timedelta(days=day):%-d %b}, 12:00" in html
