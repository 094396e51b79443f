from zoneinfo import ZoneInfo

import pytest

from engage.patients import zones


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("Massachusetts", "MA"),
        ("ma", "MA"),
        (" KS ", "KS"),
        ("district of columbia", "DC"),
        ("Ontario", ""),
        ("", ""),
    ],
)
def test_states_in_words_and_codes(written, code):
    assert zones.state_code(written) == code


@pytest.mark.parametrize(
    ("state", "postal_code", "zone"),
    [
        ("MA", "", "America/New_York"),
        ("KS", "66213", "America/Chicago"),
        ("KS", "67735", ""),  # Goodland keeps mountain time, its neighbours do not
        ("KS", "", ""),
        ("FL", "33101", "America/New_York"),
        ("FL", "32501-1234", "America/Chicago"),
        ("FL", "32456", "America/New_York"),
        ("TN", "37902", "America/New_York"),
        ("TN", "38103", "America/Chicago"),
        ("TX", "79901", "America/Denver"),
        ("AZ", "85001", "America/Phoenix"),
        ("AZ", "86001", "America/Phoenix"),
        ("AZ", "86515", ""),
        ("ID", "83814", "America/Los_Angeles"),
        ("AK", "99501", "America/Anchorage"),
        ("AK", "99546", "America/Adak"),
        ("HI", "", "Pacific/Honolulu"),
        ("", "02118", ""),
        ("XX", "", ""),
    ],
)
def test_a_zone_only_when_there_is_no_doubt(state, postal_code, zone):
    assert zones.zone_of(state, postal_code) == zone


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("FL", {"America/New_York", "America/Chicago"}),
        ("AZ", {"America/Phoenix", "America/Denver"}),
        ("OR", {"America/Los_Angeles", "America/Denver"}),
        ("MA", {"America/New_York"}),
        ("", set()),
        ("XX", set()),
    ],
)
def test_every_zone_of_a_state_for_an_address_that_does_not_say_which(state, found):
    assert set(zones.possible(state)) == found


def test_every_state_has_a_rule_and_every_zone_exists():
    assert set(zones.WHOLE) | set(zones.SPLIT) == zones.CODES
    named = [*zones.WHOLE.values(), *zones.EXACT.values()]
    for usual, other, _, _ in zones.SPLIT.values():
        named += [usual, other]
    for name in set(named):
        ZoneInfo(name)
