"""Forms of the patient's page: how to reach the patient, and what they agreed to."""

from typing import Any

from django import forms

from engage.lib import phone
from engage.patients.models import Channel, ContactPoint, Patient

CONSENT_CHANNELS = [(Channel.SMS, "Texts"), (Channel.VOICE, "Automated calls"), (Channel.EMAIL, "E-mail")]
LANGUAGES = [
    ("en", "English"), ("es", "Spanish"), ("pt", "Portuguese"), ("zh", "Chinese"), ("vi", "Vietnamese"),
    ("ht", "Haitian Creole"), ("ar", "Arabic"), ("fr", "French"), ("ru", "Russian"), ("tl", "Tagalog"), ("ko", "Korean"),
]  # fmt: skip


class ContactForm(forms.Form):
    """A phone number or an e-mail address told to staff."""

    system = forms.ChoiceField(label="Kind", choices=ContactPoint.System.choices)
    value = forms.CharField(label="Number or address", max_length=200)
    use = forms.ChoiceField(
        label="Use", choices=[("mobile", "Mobile"), ("home", "Home"), ("work", "Work")], required=False
    )
    agreed = forms.BooleanField(label="The patient agreed to care messages here", required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        value = data.get("value", "").strip()
        if data.get("system") == ContactPoint.System.EMAIL:
            data["value"] = self.email(value)
        elif value:
            data["value"] = self.number(value)
        return data

    def number(self, value: str) -> str:
        number = phone.parse(value)
        if not number.possible:
            self.add_error("value", f"{number.problem} Write it as 617-555-0123.")
        return number.e164

    def email(self, value: str) -> str:
        try:
            return str(forms.EmailField().clean(value)).lower()
        except forms.ValidationError:
            self.add_error("value", "This is not an e-mail address. Write it as ana@example.org.")
            return value


class ConsentForm(forms.Form):
    """A permission the patient gave or ended, told to staff."""

    point = forms.IntegerField(widget=forms.HiddenInput)
    channel = forms.ChoiceField(label="For", choices=CONSENT_CHANNELS)
    decision = forms.ChoiceField(
        label="The patient", choices=[("revoked", "wants it to stop"), ("granted", "agrees to it")]
    )
    note = forms.CharField(
        label="How you know",
        max_length=180,
        error_messages={"required": "Say how you know, such as “told me by phone”."},
    )


class PointStateForm(forms.Form):
    """Staff's word on a number: whose it is, whether it works."""

    point = forms.IntegerField(widget=forms.HiddenInput)
    state = forms.ChoiceField(
        choices=[
            ("active", "Works"),
            ("wrong_person", "Someone else's"),
            ("old", "No longer used"),
            ("voice_only", "Calls only"),
        ]
    )


class PreferencesForm(forms.ModelForm):
    """What outreach must respect for this patient."""

    class Meta:
        model = Patient
        fields = ["language", "preferred_channel", "detail_level", "confidential", "do_not_call"]
        widgets = {
            "language": forms.Select(choices=LANGUAGES),
            "detail_level": forms.Select(
                choices=[(0, "Generic wording only"), (1, "Details allowed (told of the risk)")]
            ),
        }
        labels = {
            "language": "Language",
            "preferred_channel": "Prefers",
            "detail_level": "What a message may say",
            "confidential": "Asked to be contacted only the way they chose (no campaigns)",
            "do_not_call": "Asked not to be called",
        }
