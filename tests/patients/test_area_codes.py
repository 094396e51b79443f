import pytest

from engage.patients import area_codes, zones


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("+14015550142", "RI"),
        ("+12055550142", "AL"),
        ("+17875550142", "PR"),
        ("+14165550142", ""),  # Toronto
        ("+18005550142", ""),
        ("+442079460000", ""),
        ("", ""),
    ],
)
def test_the_state_of_a_number(address, state):
    assert area_codes.state_of(address) == state


def test_every_state_has_codes_and_no_code_has_two_states():
    assert set(area_codes.CODES) == zones.CODES
    listed = [code for codes in area_codes.CODES.values() for code in codes.split()]
    assert len(listed) == len(set(listed)) == len(area_codes.STATE_OF)
    assert all(len(code) == 3 and code.isdigit() for code in listed)
