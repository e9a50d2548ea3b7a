"""Numbers by which states know people, each by the check of the authority that gives it out.

A check character lets one wrong number in ten to twenty through, and traces are full of numbers. So a number
counts if its form is its own (dots and dashes, letters in their places, a date within) and its check
holds, or if it is called what it is in the words before it. Where there is no check, it must be called so.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from halo_otel.redact import beginning, compiled


@dataclass(frozen=True, slots=True)
class Number:
    """One kind of number. `holds` judges its value without spaces, dots and dashes, the words before it, and
    how it is written; `shapes` are what `redact.shape` shows of any text that has one, `words` what stands in
    it, in small letters, if anything must."""

    kind: str
    pattern: re.Pattern[str]
    holds: Callable[[str, str, str], bool]
    shapes: tuple[bytes, ...]
    words: tuple[str, ...] = ()


_SSN: Final = r"\b\d{3}-\d{2}-\d{4}\b"
_CPF: Final = r"\b(?:\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11})\b"
_RESIDENT: Final = r"\b[1-9]\d{5}(?:19|20)\d{9}[\dX]\b"
_FISCAL: Final = r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b"
_NIR: Final = r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"
_STEUER: Final = r"\b[1-9]\d(?: ?\d{3}){3}\b"
_DNI: Final = r"\b(?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]\b"
_AADHAAR: Final = r"\b[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}\b"
_NINO: Final = r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"
# In small letters, what names of ids begin with, and the names.
_BEGINNINGS: Final = (
    "ssn", "social", "itin", "sin", "nhs", "bsn", "pesel", "ahv", "avs", "personn", "cpr", "passport", "reisepass",
    "passeport", "pasaporte", "driv", "führerschein", "national", "identity", "personalausweis",
)  # fmt: skip
_IDS: Final = (
    "ssn|social.?security|itin|sin\\b|nhs|bsn|pesel|ahv|avs|personnummer|cpr|passport|reisepass|passeport|pasaporte"
    "|driv(?:er|ing).{0,3}licen[cs]e|führerschein|national.?id|identity.?card|personalausweis"
)
_CALLED_ID: Final = re.compile(
    rf"(?<![A-Za-z])(?i:(?:{_IDS})(?:[ _.-]{{0,2}}(?:card|number|num|no|nr|id|#))?\.?(?: \([\w ]{{1,16}}\))?"
    r"(?: (?:is|ist|lautet))?)[\s:=#\"'\\]{1,5}(?P<v>[A-Z]{0,2}[0-9][0-9A-Z]{0,4}(?:[ .-]?[0-9A-Z]){4,12})\b"
)
_ID_DIGITS_MIN: Final = 6
_WRITTEN_SSN: Final = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
# Names of ids that are taken as they are, in RE2's syntax: every text with one matches.
CALLED: Final = rf"(?:^|[^A-Za-z])(?i:{_IDS})"
PATTERNS: Final = (_SSN, _CPF, _RESIDENT, _FISCAL, _NIR, _STEUER, _DNI, _AADHAAR, _NINO)

# A name of a field may be part of a longer one: `customer_ssn`.
_CALLED_SSN: Final = re.compile(r"(?i)\bssn\b|social.?security|\bssn_|_ssn\b")
_CALLED_CPF: Final = re.compile(r"(?i)(?<![a-z])cpf(?![a-z])")
_CALLED_STEUER: Final = re.compile(
    r"(?i)steuer.?id|steuer.?identifikation|identifikationsnummer|(?<![a-z])(?:idnr|tax.?id|tin)(?![a-z])"
)
_CALLED_DNI: Final = re.compile(r"(?i)(?<![a-z])(?:dni|nif|nie)(?![a-z])|documento nacional")
_CALLED_AADHAAR: Final = re.compile(r"(?i)aadhaa?r|uidai")
_CALLED_NINO: Final = re.compile(
    r"(?i)(?<![a-z])(?:nino|ni.?(?:number|no))(?![a-z])|national.?insurance"
)


def called(text: str, lower: str) -> Iterator[re.Match[str]]:
    """Whatever the country: what follows the name of an id at once (group `v`), six digits and more among its
    characters. `lower` is `text` in small letters."""
    if len(lower) != len(text):
        return
    hints = [word for word in _BEGINNINGS if word in lower]
    for match in beginning(_CALLED_ID, hints, text, lower) if hints else ():
        # What is called a social security number and written as one is judged as one.
        judged = match[0][:2].lower() in ("ss", "so") and _WRITTEN_SSN.fullmatch(match["v"])
        if sum(map(str.isdigit, match["v"])) >= _ID_DIGITS_MIN and not judged:
            yield match


def _ssn(value: str, before: str, written: str) -> bool:
    """Numbers that were never issued are left out (SSA: no area 000, 666, 9xx, no group 00, no serial
    0000), and those printed in advertisements."""
    area, group, serial = value[:3], value[3:5], value[5:]
    issued = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    published = value in ("078051120", "219099999", "123456789")
    return issued and not published and bool(_CALLED_SSN.search(before))


def _cpf(value: str, before: str, written: str) -> bool:
    """Brazil: two check digits, weighted 10 to 2 and 11 to 2, modulo 11. Without dots it must be called one."""
    if value == written and not _CALLED_CPF.search(before):
        return False
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


def _steuer(value: str, before: str, written: str) -> bool:
    """Germany (BZSt): ISO 7064 MOD 11,10 over ten digits, of which one or two values occur more than once."""
    product = 10
    for digit in value[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    holds = (11 - product) % 10 == int(value[10]) and len(set(value[:10])) in (8, 9)
    return holds and bool(_CALLED_STEUER.search(before))


def _dni(value: str, before: str, written: str) -> bool:
    """Spain (Real Decreto 1553/2005): the letter is the number modulo 23; X, Y, Z stand for 0, 1, 2."""
    number = int(value[:-1].translate(_DNI_FIRST))
    holds = "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == value[-1]
    return holds and value != "12345678Z" and bool(_CALLED_DNI.search(before))


_DNI_FIRST: Final = str.maketrans("XYZ", "012")


def _aadhaar(value: str, before: str, written: str) -> bool:
    """India (UIDAI): Verhoeff's check digit, in the dihedral group of order ten."""
    check = 0
    for place, digit in enumerate(reversed(value)):
        check = _VERHOEFF_PRODUCT[check][_permuted(int(digit), place % 8)]
    return check == 0 and bool(_CALLED_AADHAAR.search(before))


# J. Verhoeff, Error Detecting Decimal Codes (1969): rotations 0-4, reflections 5-9.
_VERHOEFF_PRODUCT: Final = tuple(
    tuple((a + b) % 5 + 5 * (b > 4) if a < 5 else (a - b) % 5 + 5 * (b < 5) for b in range(10))
    for a in range(10)
)
_VERHOEFF_PERMUTATION: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permuted(digit: int, times: int) -> int:
    for _ in range(times):
        digit = _VERHOEFF_PERMUTATION[digit]
    return digit


def _nino(value: str, before: str, written: str) -> bool:
    """United Kingdom (HMRC NIM39110): prefixes that are never given out; no check."""
    given = value[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ") and value != "QQ123456C"
    return given and bool(_CALLED_NINO.search(before))


# The last eight digits of a NIR, however they are grouped; it must have spaces.
_NIR_ENDS: Final = (b"000-000-00", b"000000-00", b"000-00000")
NUMBERS: Final = (
    Number("social security number", compiled(_SSN), _ssn, (b"000-00-0000",), ("ssn", "social")),
    Number("taxpayer number (CPF)", compiled(_CPF), _cpf, (b"000-000-000-00",)),
    Number("taxpayer number (CPF)", compiled(_CPF), _cpf, (b"0" * 11,), ("cpf",)),
    Number("resident identity number", compiled(_RESIDENT), _resident, (b"0" * 17,)),
    Number("tax code (codice fiscale)", compiled(_FISCAL), _fiscal, (b"AAAAAA00A00A000A",)),
    Number("social security number (NIR)", compiled(_NIR), _nir, _NIR_ENDS),
    Number(
        "tax number (IdNr)",
        compiled(_STEUER),
        _steuer,
        (b"0" * 11, b"00-000-000-000"),
        ("steuer", "identifikation", "idnr", "tax", "tin"),
    ),
    Number(
        "national id (DNI, NIE)",
        compiled(_DNI),
        _dni,
        (b"0000000A", b"0000000-A"),
        ("dni", "nif", "nie", "documento"),
    ),
    Number(
        "Aadhaar number",
        compiled(_AADHAAR),
        _aadhaar,
        (b"0" * 12, b"0000-0000-0000"),
        ("aadhaar", "aadhar", "uidai"),
    ),
    Number(
        "national insurance number",
        compiled(_NINO),
        _nino,
        (b"AA000000A", b"AA-00-00-00-A", b"AA-000000-A"),
        ("nino", "ni", "insurance"),
    ),
)
