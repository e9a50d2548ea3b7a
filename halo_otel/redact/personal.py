"""Personal data that proves itself: numbers with a checksum.

Cards by the Luhn algorithm (ISO/IEC 7812-1) and their issuers' ranges, IBAN by ISO 7064 MOD 97-10 and the
country's length (ISO 13616), national ids by their own check characters. One digit string in ten passes
Luhn, so a card must be written like one, or be called one. A US social security number has no checksum:
it must be called one, too. Numbers that issuers and standards publish as examples are nobody's.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from halo_otel.redact import Sensitive, compiled, for_re2, squeezed

_CARD: Final = (
    r"\b(?:[3-6]\d{3}[ -]\d{4}[ -]\d{4}[ -]\d{4}|3[47]\d{2}[ -]\d{6}[ -]\d{5}|[3-6]\d{14,15})\b"
)
_IBAN: Final = r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
_SSN: Final = r"\b\d{3}-\d{2}-\d{4}\b"
_CPF: Final = r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"
_RESIDENT: Final = r"\b[1-9]\d{5}(?:19|20)\d{9}[\dX]\b"
_FISCAL: Final = r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b"
_NIR: Final = r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}\b"
PREFILTER: Final = "|".join(map(for_re2, (_CARD, _IBAN, _SSN, _CPF, _RESIDENT, _FISCAL, _NIR)))

_BEFORE: Final = 40  # characters before a number in which it may be called what it is
_CALLED_CARD: Final = re.compile(r"(?i)\b(?:card|visa|master ?card|amex|pan|cc)(?:\b|_)|card")
_CALLED_SSN: Final = re.compile(r"(?i)\bssn\b|social.?security|\bssn_|_ssn\b")
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
_IBAN_LENGTHS: Final = {
    "NO": 15, "BE": 16, "DK": 18, "FI": 18, "NL": 18, "SI": 19, "AT": 20,
    "EE": 20, "LT": 20, "LU": 20, "CH": 21, "HR": 21, "LI": 21, "LV": 21, "BG": 22, "DE": 22, "GB": 22,
    "IE": 22, "RS": 22, "AE": 23, "IL": 23, "AD": 24, "CZ": 24, "ES": 24, "RO": 24, "SA": 24, "SE": 24,
    "SK": 24, "PT": 25, "IS": 26, "TR": 26, "FR": 27, "GR": 27, "IT": 27, "SM": 27, "AL": 28, "CY": 28,
    "HU": 28, "PL": 28, "BR": 29, "UA": 29, "MT": 31,
}  # fmt: skip


def find(text: str) -> list[Sensitive]:
    """The personal numbers in `text`, in the order in which they stand there, one for each place."""
    found: list[Sensitive] = []
    for number in sorted(_all(text)):
        if not found or number.start >= found[-1].end:
            found.append(number)
    return found


def _all(text: str) -> Iterator[Sensitive]:
    for kind, pattern, holds in _KINDS:
        for match in pattern.finditer(text):
            value = squeezed(match[0]).replace(".", "")
            if holds(value, text[max(0, match.start() - _BEFORE) : match.start()], match[0]):
                yield Sensitive(match.start(), match.end(), kind, value, f"****{value[-4:]}")


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
    issued = (
        value[0] == "4" or "51" <= value[:2] <= "55" or value[:4] == "6011" or value[:2] == "65"
    )
    amex = value[:2] in ("34", "37")
    if len(value) != (15 if amex else 16) or not (issued or amex):
        return False
    return is_luhn(value) and (value != written or bool(_CALLED_CARD.search(before)))


def _iban(value: str, before: str, written: str) -> bool:
    return value not in _EXAMPLE_IBANS and is_iban(value)


def _ssn(value: str, before: str, written: str) -> bool:
    """Numbers that were never issued are left out (SSA: no area 000, 666, 9xx, no group 00, no serial
    0000), and those printed in advertisements."""
    area, group, serial = value[:3], value[3:5], value[5:]
    issued = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    published = value in ("078051120", "219099999", "123456789")
    return issued and not published and bool(_CALLED_SSN.search(before))


def _cpf(value: str, before: str, written: str) -> bool:
    """Brazil: two check digits, weighted 10 to 2 and 11 to 2, modulo 11."""
    for length in (9, 10):
        total = sum(int(value[i]) * (length + 1 - i) for i in range(length))
        if int(value[length]) != total * 10 % 11 % 10:
            return False
    return len(set(value)) > 2 and value != "12345678909"


def _resident(value: str, before: str, written: str) -> bool:
    """China (GB 11643): ISO 7064 MOD 11-2 over a region, a date of birth and a serial number."""
    month, day = int(value[10:12]), int(value[12:14])
    total = sum(int(digit) * 2 ** (17 - i) for i, digit in enumerate(value[:17]))
    if value == "11010519491231002X":  # the standard's own
        return False
    return 1 <= month <= 12 and 1 <= day <= 31 and "10X98765432"[total % 11] == value[17]


_FISCAL_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8,
         12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def _fiscal(value: str, before: str, written: str) -> bool:
    """Italy (DM 23 December 1976): odd places by the table, even ones by their place, modulo 26."""
    total = sum(
        _FISCAL_ODD[char] if i % 2 == 0 else int(char, 36) - (0 if char.isdigit() else 10)
        for i, char in enumerate(value[:15])
    )
    return chr(ord("A") + total % 26) == value[15] and value != "RSSMRA85T10A562S"


def _nir(value: str, before: str, written: str) -> bool:
    """France (INSEE): 97 minus the number modulo 97; Corsica counts as 19 and 18."""
    if len(value) != 15:
        return False
    number = value[:13].replace("A", "0").replace("B", "0")
    shift = 1_000_000 if "A" in value[:13] else 2_000_000 if "B" in value[:13] else 0
    return 97 - (int(number) - shift) % 97 == int(value[13:]) and " " in written


_KINDS: Final[tuple[tuple[str, re.Pattern[str], Callable[[str, str, str], bool]], ...]] = (
    ("card number", compiled(_CARD), _card),
    ("IBAN", compiled(_IBAN), _iban),
    ("social security number", compiled(_SSN), _ssn),
    ("taxpayer number (CPF)", compiled(_CPF), _cpf),
    ("resident identity number", compiled(_RESIDENT), _resident),
    ("tax code (codice fiscale)", compiled(_FISCAL), _fiscal),
    ("social security number (NIR)", compiled(_NIR), _nir),
)
