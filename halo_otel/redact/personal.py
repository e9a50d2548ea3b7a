"""Personal data that proves itself: numbers with a checksum.

Cards by the Luhn algorithm (ISO/IEC 7812-1) and their issuers' ranges, IBAN by ISO 7064 MOD 97-10 and the
country's length (ISO 13616), `national` ids by their own check characters. One digit string in ten passes
Luhn, so a card must be written like one, or be called one. Numbers that issuers and standards publish as
examples are nobody's.
"""

import re
from collections.abc import Iterator
from typing import Final

from halo_otel.redact import Sensitive, compiled, for_re2, national, shape, squeezed
from halo_otel.redact.national import Number

_CARD: Final = r"\b(?:[2-689]\d{3}[ -]\d{4}[ -]\d{4}[ -]\d{1,4}(?:[ -]\d{3})?|3[0-9]\d{2}[ -]\d{6}[ -]\d{4,5}|[2-689]\d{12,18})\b"
_IBAN: Final = r"\b[A-Z][A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
PREFILTER: Final = "|".join((*map(for_re2, (_CARD, _IBAN, *national.PATTERNS)), national.CALLED))

_CALLED: Final = "id number"
_BEFORE: Final = 40  # characters before a number in which it may be called what it is
_CALLED_CARD: Final = re.compile(
    r"(?i)\b(?:card|visa|master ?card|amex|pan|cc)(?:\b|_)|card|kredit|credit|debit|tarjeta"
)
# Cards that payment providers publish for tests (Stripe, Adyen, PayPal); many more follow from their few digits.
_TEST_CARDS: Final = frozenset(
    "4012888888881881 4242424242424242 5105105105105100 5200828282828210 378282246310005"
    " 371449635398431 378734493671000 6011000990139424 30569309025904 38520000023237 3566002020360505"
    " 4917610000000000 5454545454545454 2223003122003222 4539578763621486 4916338506082832".split()
)
_TEST_RANGES: Final = ("400000", "411111", "424242", "555555", "601111", "353011", "510510")
# IBANs that the registry and encyclopedias print.
_EXAMPLE_IBANS: Final = frozenset(
    "DE89370400440532013000 GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555"
    " FR1420041010050500013M02606 FR7630006000011234567890189 ES9121000418450200051332"
    " NL91ABNA0417164300 CH9300762011623852957 BE68539007547034 AT611904300234573201"
    " IT60X0542811101000000123456 DE75512108001245126199 PL61109010140000071219812874".split()
)
# The IBAN registry (SWIFT, ISO 13616).
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in (
        (15, "NO"), (16, "BE"), (18, "DK FI FK FO GL NL SD"), (19, "MK SI"),
        (20, "AT BA EE KZ LT LU MN XK"), (21, "CH HR LI LV"), (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"), (24, "AD CZ ES MD PK RO SA SE SK TN VG"), (25, "LY PT ST"), (26, "IS TR"),
        (27, "BI DJ FR GR IT MC MR SM"), (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"), (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"), (31, "MT SC"), (32, "LC"), (33, "RU"),
    )
    for country in countries.split()
}  # fmt: skip
# ISO/IEC 7812 ranges as the schemes publish them: from, to, and the lengths of a number.
_ISSUED: Final = (
    ("4", "4", (13, 16, 19)), ("51", "55", (16,)), ("2221", "2720", (16,)), ("34", "34", (15,)), ("37", "37", (15,)),
    ("300", "305", (14, 16)), ("3095", "3095", (14, 16)), ("36", "36", (14, 16)), ("38", "39", (14, 16)),
    ("6011", "6011", (16, 19)), ("644", "649", (16, 19)), ("65", "65", (16, 19)), ("3528", "3589", (16, 19)),
    ("62", "62", (16, 17, 18, 19)), ("81", "82", (16, 17, 18, 19)), ("50", "50", (16, 19)), ("56", "58", (16, 19)),
    ("6304", "6304", (16, 19)), ("67", "67", (16, 19)), ("2200", "2204", (16, 19)), ("60", "60", (16,)), ("9792", "9792", (16,)),
)  # fmt: skip


def find(text: str) -> list[Sensitive]:
    """The personal numbers in `text`, in the order in which they stand there, one for each place."""
    found: list[Sensitive] = []
    # What is recognised by its form has its own name, what is only called an id has none.
    for number in sorted(_all(text), key=lambda one: (one.start, one.kind == _CALLED, one.end)):
        if not found or number.start >= found[-1].end:
            found.append(number)
    return found


def _all(text: str) -> Iterator[Sensitive]:
    shaped = shape(text)
    if not any(seen in shaped for seen in _ALL_SHAPES):
        return
    lower = text.lower()
    for match in national.called(text, lower):
        value = squeezed(match["v"]).replace(".", "")
        yield Sensitive(match.start("v"), match.end("v"), _CALLED, value, f"****{value[-4:]}")
    for number in _NUMBERS:
        for seen in number.shapes:
            if seen in shaped:
                break
        else:
            continue
        if number.words and not any(word in lower for word in number.words):
            continue
        for match in number.pattern.finditer(text):
            value = squeezed(match[0]).replace(".", "")
            before = text[max(0, match.start() - _BEFORE) : match.start()]
            if number.holds(value, before, match[0]):
                yield Sensitive(match.start(), match.end(), number.kind, value, f"****{value[-4:]}")


def is_luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def is_iban(value: str) -> bool:
    """Whether `value` has its country's length and remainder 1 (ISO 13616, ISO 7064 MOD 97-10)."""
    if len(value) != _IBAN_LENGTHS.get(value[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in value[4:] + value[:4])) % 97 == 1


def _card(value: str, before: str, written: str) -> bool:
    if value in _TEST_CARDS or value.startswith(_TEST_RANGES) or len(set(value)) <= 3:
        return False
    issued = any(
        low <= value[: len(low)] <= high and len(value) in lengths for low, high, lengths in _ISSUED
    )
    called = value != written or _CALLED_CARD.search(before)
    return issued and is_luhn(value) and bool(called)


def _iban(value: str, before: str, written: str) -> bool:
    return value not in _EXAMPLE_IBANS and is_iban(value)


_ALL_SHAPES: Final = (
    b"000",
    b"AA00",
    b"AA-00",
    b"00-00-00",
)  # one of these is in each of the following
_NUMBERS: Final = (
    Number(
        "card number",
        compiled(_CARD),
        _card,
        (b"0000-0000-0000-0", b"0000-000000-0000", b"0" * 13),
    ),
    Number("IBAN", compiled(_IBAN), _iban, (b"AA00",)),
    *national.NUMBERS,
)
