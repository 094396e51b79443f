"""States and time zones of addresses. Data, and functions that read it.

A zone is given only when the address leaves no doubt: a state on the border of two zones needs a postal code, and a
three-digit area that is itself divided gives none; then both zones are possible. Source: 49 CFR part 71 (boundaries), USPS
three-digit areas.
"""

STATES = {
    "alabama": "AL", "alaska": "AK", "arizona": "AZ", "arkansas": "AR", "california": "CA", "colorado": "CO",
    "connecticut": "CT", "delaware": "DE", "district of columbia": "DC", "florida": "FL", "georgia": "GA",
    "hawaii": "HI", "idaho": "ID", "illinois": "IL", "indiana": "IN", "iowa": "IA", "kansas": "KS",
    "kentucky": "KY", "louisiana": "LA", "maine": "ME", "maryland": "MD", "massachusetts": "MA", "michigan": "MI",
    "minnesota": "MN", "mississippi": "MS", "missouri": "MO", "montana": "MT", "nebraska": "NE", "nevada": "NV",
    "new hampshire": "NH", "new jersey": "NJ", "new mexico": "NM", "new york": "NY", "north carolina": "NC",
    "north dakota": "ND", "ohio": "OH", "oklahoma": "OK", "oregon": "OR", "pennsylvania": "PA",
    "rhode island": "RI", "south carolina": "SC", "south dakota": "SD", "tennessee": "TN", "texas": "TX",
    "utah": "UT", "vermont": "VT", "virginia": "VA", "washington": "WA", "west virginia": "WV", "wisconsin": "WI",
    "wyoming": "WY", "puerto rico": "PR", "guam": "GU", "american samoa": "AS", "virgin islands": "VI",
    "u.s. virgin islands": "VI", "northern mariana islands": "MP",
}  # fmt: skip
CODES = set(STATES.values())
EASTERN, CENTRAL, MOUNTAIN, PACIFIC = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
)
WHOLE = (
    dict.fromkeys(
        ("CT", "DC", "DE", "GA", "MA", "MD", "ME", "NC", "NH", "NJ", "NY", "OH", "PA", "RI", "SC", "VA", "VT", "WV"),
        EASTERN,
    )
    | dict.fromkeys(("AL", "AR", "IA", "IL", "LA", "MN", "MO", "MS", "OK", "WI"), CENTRAL)
    | dict.fromkeys(("CO", "MT", "NM", "UT", "WY"), MOUNTAIN)
    | dict.fromkeys(("CA", "WA"), PACIFIC)
    | {"HI": "Pacific/Honolulu", "PR": "America/Puerto_Rico", "VI": "America/Puerto_Rico", "GU": "Pacific/Guam"}
    | {"MP": "Pacific/Guam", "AS": "Pacific/Pago_Pago"}
)  # fmt: skip
# State → zone of most of it, its other zone, then the three-digit areas in the other, then the divided ones.
SPLIT: dict[str, tuple[str, str, set[str], set[str]]] = {
    "AK": ("America/Anchorage", "America/Adak", set(), set()),
    "AZ": ("America/Phoenix", MOUNTAIN, set(), {"860", "864", "865"}),  # the Navajo Nation keeps daylight time
    "FL": (EASTERN, CENTRAL, {"324", "325"}, set()),
    "ID": (MOUNTAIN, PACIFIC, {"838"}, {"835"}),
    "IN": (EASTERN, CENTRAL, {"463", "464", "476", "477"}, {"465", "475", "479"}),
    "KS": (CENTRAL, MOUNTAIN, set(), {"677", "678"}),
    "KY": (EASTERN, CENTRAL, {"420", "421", "422", "423", "424"}, {"401", "425", "426", "427"}),
    "MI": (EASTERN, CENTRAL, set(), {"498", "499"}),
    "ND": (CENTRAL, MOUNTAIN, set(), {"585", "586", "588"}),
    "NE": (CENTRAL, MOUNTAIN, {"693"}, {"690", "691", "692"}),
    "NV": (PACIFIC, MOUNTAIN, set(), {"898"}),
    "OR": (PACIFIC, MOUNTAIN, set(), {"979"}),
    "SD": (CENTRAL, MOUNTAIN, {"577"}, {"575", "576"}),
    "TN": (CENTRAL, EASTERN, {"374", "376", "377", "378", "379"}, {"373", "385"}),
    "TX": (CENTRAL, MOUNTAIN, {"799", "885"}, {"798"}),
}  # fmt: skip
# Single post offices that lie otherwise than their area.
EXACT = {
    **dict.fromkeys(("32456", "32457"), EASTERN),  # Port St. Joe
    **dict.fromkeys(("99546", "99547"), "America/Adak"),
    **dict.fromkeys(("86001", "86004", "86005", "86301", "86401", "86403", "86406"), "America/Phoenix"),
}  # fmt: skip


def state_code(written: str) -> str:
    """ "Massachusetts" or "ma" as "MA"; "" for anything that is no state."""
    text = written.strip()
    code = STATES.get(text.casefold(), text.upper())
    return code if code in CODES else ""


def zone_of(state: str, postal_code: str = "") -> str:
    """The IANA zone of an address in the United States; "" when two are possible."""
    if state in WHOLE:
        return WHOLE[state]
    if state not in SPLIT:
        return ""
    usual, other, others, divided = SPLIT[state]
    if postal_code[:5] in EXACT:
        return EXACT[postal_code[:5]]
    area = postal_code[:3]
    if len(area) < 3 or not area.isdigit() or area in divided:
        return ""
    return other if area in others else usual


def possible(state: str) -> tuple[str, ...]:
    """Every zone of a state, for an address that does not say which; () when the state is not known."""
    return SPLIT[state][:2] if state in SPLIT else tuple(filter(None, (zone_of(state),)))
