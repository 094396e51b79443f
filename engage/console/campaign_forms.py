"""Forms of the campaigns' pages."""

from typing import Any

from django import forms
from django.db import transaction

from engage.accounts.models import Clinic, User
from engage.audit.models import record
from engage.campaigns import starters
from engage.campaigns.editing import MOST_TOUCHES, Planned
from engage.campaigns.models import Campaign, Touch
from engage.campaigns.segments import OLDEST, Segment, SegmentError
from engage.caregaps.measures import MEASURES
from engage.console.templatetags.words import LANGUAGES
from engage.messaging.actions import set_rate
from engage.patients.models import Patient, Practitioner

NEW = ("name", "purpose", "measure", "clinics")
STARTED = ("name", "purpose", "texts_per_minute")


class CampaignForm(forms.Form):
    """Name, purpose and whom a campaign chooses; once it has been started only its name, purpose and rate change."""

    name = forms.CharField(max_length=120)
    purpose = forms.CharField(max_length=300, required=False, help_text="For colleagues, in a sentence.")
    measure = forms.ChoiceField(label="Chooses by open gap of", choices=())
    clinics = forms.ModelMultipleChoiceField(
        Clinic.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one clinic."},
    )
    standing = forms.BooleanField(label="Takes in new gaps every night", required=False, initial=True)
    min_age = forms.IntegerField(label="From age", required=False, min_value=0, max_value=OLDEST)
    max_age = forms.IntegerField(label="To age", required=False, min_value=0, max_value=OLDEST)
    languages = forms.MultipleChoiceField(
        label="Only patients who speak", required=False, widget=forms.CheckboxSelectMultiple, choices=()
    )
    pcps = forms.ModelMultipleChoiceField(
        Practitioner.objects.none(),
        label="Only the panels of",
        required=False,
        help_text="None chosen: everybody's.",
    )
    overdue_days = forms.IntegerField(
        label="Due for at least (days)", required=False, min_value=0, max_value=36_500
    )
    texts_per_minute = forms.IntegerField(
        label="Texts a minute, at most",
        required=False,
        min_value=1,
        max_value=100_000,
        help_text="So that the clinic's phones can follow. Empty: as fast as the carriers allow.",
    )

    def __init__(self, data: Any = None, *, user: User, campaign: Campaign | None = None) -> None:
        self.user, self.campaign = user, campaign
        super().__init__(data, initial=stored(campaign) if campaign else None)
        mine = Clinic.objects.filter(pk__in=user.clinic_ids())
        doctors = Practitioner.objects.filter(panel__clinic__in=mine).distinct().order_by("name")
        choices: dict[str, Any] = dict(self.fields)
        choices["measure"].choices = [(m.id, f"{m.title['en']} ({m.id})") for m in MEASURES.values()]
        choices["clinics"].queryset = mine
        choices["pcps"].queryset = doctors
        choices["languages"].choices = spoken(user, campaign)
        if campaign is None:
            self.fields = {name: self.fields[name] for name in NEW}
        elif campaign.state != Campaign.State.DRAFT:
            self.fields = {name: self.fields[name] for name in STARTED}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "overdue_days" in self.fields:
            try:
                cleaned["segment"] = Segment.parse(segment_of(cleaned)).stored()
            except SegmentError as error:
                self.add_error(None, str(error))
        return cleaned

    @transaction.atomic
    def save(self) -> Campaign:
        """Writes the campaign; a new one gets the starter cadence and wording of its measure."""
        data, campaign = self.cleaned_data, self.campaign
        names = ("name", "purpose", "measure", "standing", "segment", "texts_per_minute")
        values = {k: data[k] for k in names if k in data}
        if campaign is None:
            campaign = Campaign.objects.create(owner=self.user, **values)
            starters.ensure_templates(self.user.get_username(), (campaign.measure,))
            starters.give_cadence(campaign)
        else:
            for name, value in values.items():
                setattr(campaign, name, value)
            campaign.save(update_fields=list(values))
            set_rate(campaign.stream, campaign.texts_per_minute)
        if "clinics" in data:
            campaign.clinics.set(data["clinics"])
        action = "campaign.edit" if self.campaign else "campaign.new"
        record(self.user, action, campaign, fields=sorted(self.changed_data))
        return campaign


def spoken(user: User, campaign: Campaign | None) -> list[tuple[str, str]]:
    """The languages of the clinics' patients, by name, and those the campaign has chosen already."""
    found = Patient.objects.filter(clinic__in=user.clinic_ids()).order_by().values_list("language", flat=True)
    codes = set(found.distinct()) | set(campaign.segment.get("languages", []) if campaign else [])
    return sorted(((code, LANGUAGES.get(code, code)) for code in codes if code), key=lambda pair: pair[1])


def stored(campaign: Campaign) -> dict[str, Any]:
    """A campaign as the form shows it."""
    fields = {
        name: getattr(campaign, name)
        for name in ("name", "purpose", "measure", "standing", "texts_per_minute")
    }
    return fields | {"clinics": list(campaign.clinics.all())} | dict(campaign.segment)


def segment_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: cleaned.get(name) for name in ("min_age", "max_age", "languages", "overdue_days")}
    return chosen | {"pcps": [p.pk for p in cleaned.get("pcps") or []]}


class TouchForm(forms.Form):
    """One row of the cadence; an empty row is no touch."""

    kind = forms.ChoiceField(label="Touch", choices=[("", "None"), *Touch.Kind.choices], required=False)
    wait_days = forms.IntegerField(label="Wait", min_value=0, max_value=365, required=False, initial=0)
    unit = forms.ChoiceField(
        label="Days", choices=[("days", "days"), ("business", "working days")], required=False, initial="days"
    )


CadenceForms = forms.formset_factory(
    TouchForm, extra=0, min_num=MOST_TOUCHES, max_num=MOST_TOUCHES, absolute_max=MOST_TOUCHES
)


def cadence_forms(campaign: Campaign, data: Any = None) -> Any:
    rows = [
        {"kind": t.kind, "wait_days": t.wait_days, "unit": "business" if t.business_days else "days"}
        for t in campaign.touches.all()
    ]
    return CadenceForms(data, prefix="touch", initial=rows)


def planned(forms_: Any) -> list[Planned]:
    """The rows that are touches, in order."""
    return [
        Planned(row["kind"], row.get("wait_days") or 0, row.get("unit") == "business")
        for row in forms_.cleaned_data
        if row.get("kind")
    ]


class WordingForm(forms.Form):
    """One touch's wording in one language."""

    language = forms.ChoiceField(choices=list(LANGUAGES.items()), widget=forms.HiddenInput)
    body = forms.CharField(label="Wording", max_length=1000, widget=forms.Textarea(attrs={"rows": 5}))
    approve = forms.BooleanField(label="A qualified person has approved this wording", required=False)
