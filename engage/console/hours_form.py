"""The hours of a clinic's automatic messages: an administrator narrows what the law and the product permit."""

from datetime import time
from typing import Any, ClassVar

from django import forms

from engage.accounts.models import Clinic
from engage.messaging import windows


def hours_field(label: str, hours: windows.Hours) -> forms.TimeField:
    start, end = hours or (None, None)
    widget = forms.TimeInput(
        attrs={"type": "time", "min": f"{start:%H:%M}", "max": f"{end:%H:%M}"}, format="%H:%M"
    )
    return forms.TimeField(label=label, required=False, widget=widget)


class HoursForm(forms.Form):
    """When a clinic's automatic messages may go: within the law's and the product's hours, never beyond them."""

    NAMES: ClassVar = {"weekdays": "Weekdays", "saturday": "Saturday", "sunday": "Sunday"}

    def __init__(self, *args: Any, clinic: Clinic, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clinic, self.widest = clinic, windows.widest(clinic.state)
        for day, widest in self.widest.items():
            if widest is not None:
                self._add(day, widest)

    def _add(self, day: str, widest: tuple[time, time]) -> None:
        name, stored = self.NAMES[day], self.clinic.sending_hours
        start, end = stored.get(day, [None, None]) or (None, None)
        if day != "weekdays":
            may = self.clinic.sunday_sending if day == "sunday" else stored.get(day, []) is not None
            self.fields[day] = forms.BooleanField(label=f"Send on {name}s", required=False, initial=may)
        for word, own, widest_at in (("from", start, widest[0]), ("to", end, widest[1])):
            field = hours_field(f"{name}, {word}", widest)
            field.initial = own or f"{widest_at:%H:%M}"
            self.fields[f"{day}_{word}"] = field

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for day, widest in self.widest.items():
            if widest is not None and (day == "weekdays" or data.get(day)):
                self._check(day, widest, data)
        return data

    def _check(self, day: str, widest: tuple[time, time], data: dict[str, Any]) -> None:
        start, end = data.get(f"{day}_from") or widest[0], data.get(f"{day}_to") or widest[1]
        data[f"{day}_from"], data[f"{day}_to"] = start, end
        span = f"{widest[0]:%H:%M} to {widest[1]:%H:%M}"
        if start < widest[0] or end > widest[1]:
            self.add_error(
                f"{day}_from", f"The law and the product permit {span}; a clinic may only narrow that."
            )
        elif start >= end:
            self.add_error(f"{day}_to", "The end must be after the beginning.")

    def save(self) -> None:
        """Keeps what is narrower than permitted, and nothing where it is not."""
        hours: dict[str, list[str] | None] = {}
        for day, widest in self.widest.items():
            if widest is None:
                continue
            if day != "weekdays" and not self.cleaned_data[day]:
                hours |= {day: None} if day == "saturday" else {}
                continue
            own = (self.cleaned_data[f"{day}_from"], self.cleaned_data[f"{day}_to"])
            if None not in own and own != widest:
                hours[day] = [f"{at:%H:%M}" for at in own]
        self.clinic.sending_hours = hours
        self.clinic.sunday_sending = bool(self.cleaned_data.get("sunday"))
        self.clinic.save(update_fields=["sending_hours", "sunday_sending"])
