"""How many parts a text is sent in: 3GPP TS 23.038 (alphabet) and 23.040 (concatenation)."""

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}[]~\\|€")


def segments(text: str) -> int:
    """160 units in one part and 153 in each of several; 70 and 67 when one character is outside GSM-7."""
    if BASIC.issuperset(text):
        return parts([1] * len(text), 160, 153) if len(text) > 160 else 1
    if (BASIC | EXTENDED).issuperset(text):
        return parts([2 if character in EXTENDED else 1 for character in text], 160, 153)
    return parts([2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67)


def parts(sizes: list[int], single: int, each: int) -> int:
    """Fills part after part; an escaped character or a surrogate pair is never cut in two."""
    if sum(sizes) <= single:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > each:
            count, used = count + 1, 0
        used += size
    return count
