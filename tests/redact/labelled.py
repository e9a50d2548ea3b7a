"""Texts with what is sensitive in them marked: `⟦kind|value⟧`; everything else is not.

Written from how people, programs and issuers write these things, not from the patterns that look for them.
Numbers with checksums are made here by the published rules, so that none of them is anybody's by intention.
"""

import random
import re
import string
from collections.abc import Callable
from functools import cache
from typing import Final

_RANDOM: Final = random.Random(7)
_ALNUM: Final = string.ascii_letters + string.digits


def drawn(length: int, letters: str = _ALNUM) -> str:
    return "".join(_RANDOM.choices(letters, k=length))


def digits(length: int) -> str:
    return drawn(length, string.digits)


def card(prefix: str, length: int = 16) -> str:
    """ISO/IEC 7812-1: the check digit makes the sum of all a multiple of ten."""
    body = prefix + digits(length - 1 - len(prefix))
    for check in string.digits:
        total = 0
        for place, digit in enumerate(reversed(body + check)):
            value = int(digit) * (2 if place % 2 else 1)
            total += value // 10 + value % 10
        if total % 10 == 0:
            return body + check
    raise AssertionError


def grouped(number: str, joint: str = " ") -> str:
    if len(number) == 15:
        return joint.join((number[:4], number[4:10], number[10:]))
    return joint.join(number[i : i + 4] for i in range(0, len(number), 4))


def iban(country: str, bban: str) -> str:
    """ISO 13616: check digits are 98 minus the rest modulo 97."""
    turned = "".join(str(int(char, 36)) for char in bban + country + "00")
    return f"{country}{98 - int(turned) % 97:02}{bban}"


def cpf() -> str:
    number = digits(9)
    for _ in range(2):
        weights = range(len(number) + 1, 1, -1)
        rest = sum(int(d) * w for d, w in zip(number, weights, strict=True)) % 11
        number += str(0 if rest < 2 else 11 - rest)
    return f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"


def nir() -> str:
    number = f"2{_RANDOM.randint(50, 99)}{_RANDOM.randint(1, 12):02}{_RANDOM.randint(1, 95):02}{digits(6)}"
    check = 97 - int(number) % 97
    return f"{number[0]} {number[1:3]} {number[3:5]} {number[5:7]} {number[7:10]} {number[10:13]} {check:02}"


def dni() -> str:
    number = digits(8)
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def resident() -> str:
    number = f"330106{_RANDOM.randint(1950, 2005)}{_RANDOM.randint(1, 12):02}{_RANDOM.randint(1, 28):02}{digits(3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return (
        number + "10X98765432"[sum(int(d) * w for d, w in zip(number, weights, strict=True)) % 11]
    )


# Numbers that authorities and encyclopedias check by hand: not our own rules in reverse.
STEUER, AADHAAR = "86095742719", "2341 2341 2346"
FIRST: Final = "anna bob li.wei maria-jose o_brien x.y.z info juergen2 test.user".split()
HOSTS: Final = (
    "acme.com mail.firma.de posta.co.uk uni-koeln.de example.co.jp shop.com.br sub.dom.io".split()
)

MAKERS: Final[dict[str, tuple[Callable[[], str], ...]]] = {
    "email": (
        lambda: f"{_RANDOM.choice(FIRST)}@{_RANDOM.choice(HOSTS)}",
        lambda: f"{_RANDOM.choice(FIRST)}+{drawn(4)}@{_RANDOM.choice(HOSTS)}",
        lambda: f"{_RANDOM.choice(FIRST).upper()}{digits(2)}@{_RANDOM.choice(HOSTS)}",
    ),
    "phone": (
        lambda: f"+49 {digits(2).replace('0', '3')} {digits(7)}",
        lambda: f"+33 6 {digits(2)} {digits(2)} {digits(2)} {digits(2)}",
        lambda: f"+44 20 7{digits(3)} {digits(4)}",
        lambda: f"+1 (415) {digits(3)}-{digits(4)}",
        lambda: f"+91-98{digits(8)}",
        lambda: f"+551198{digits(7)}",
        lambda: f"(212) {digits(3)}-{digits(4)}",
        lambda: f"646-{digits(3)}-{digits(4)}",
        lambda: f"303.{digits(3)}.{digits(4)}",
    ),
    "card": (
        lambda: grouped(card("4")),
        lambda: grouped(card("53"), "-"),
        lambda: grouped(card("37", 15)),
        lambda: grouped(card("6011")),
    ),
    "iban": (
        lambda: iban("DE", digits(18)),
        lambda: grouped(iban("DE", digits(18))),
        lambda: iban("FR", digits(10) + drawn(11, string.digits + string.ascii_uppercase) + digits(2)),
        lambda: iban("NL", "INGB" + digits(10)),
        lambda: grouped(iban("GB", "LOYD" + digits(14))),
        lambda: iban("NO", digits(11)),
        lambda: iban("PL", digits(24)),
        lambda: grouped(iban("ES", digits(20))),
    ),
    "national_id": (cpf, nir, resident),
    "credentials": (
        lambda: "AKIA" + drawn(16, string.ascii_uppercase + "234567"),
        lambda: "ghp_" + drawn(36),
        lambda: "sk-" + "ant-api03-" + drawn(60),
        lambda: "sk-" + "proj-" + drawn(48),
        lambda: "xoxb-" + digits(12) + "-" + digits(12) + "-" + drawn(24),
        lambda: "glpat-" + drawn(20),
        lambda: "AIza" + drawn(35),
        lambda: "hf_" + drawn(34, string.ascii_letters) + "",
        lambda: "npm_" + drawn(36),
        lambda: "dop_v1_" + drawn(64, "0123456789abcdef"),
        lambda: "sk_" + "live_" + drawn(24),
    ),
}  # fmt: skip
# Where values stand: prose in several languages, JSON as it is and within a text, links, headers, code, tables.
PLACES: Final = (
    "Please use {} for this.", "{}", "Mein Kontakt ist {}, danke!", "Voici : {} (à vérifier)", "连接 {} 。", "Es {}.",
    '{{"value": "{}", "n": 3}}', '{{"arguments": "{{\\"to\\": \\"{}\\"}}"}}', "a;{};b", "| name | {} |",
    "\t{}\n", "x = '{}'  # todo", "<td>{}</td>", "['{}', 'b']", "key: {}\nother: 1",
)  # fmt: skip
WRITTEN: Final = (
    "mailto:⟦email|anna@acme.de⟧?subject=Hi", "From: Anna B <⟦email|a.b@acme.co⟧>", "git config user.email ⟦email|me@firma.io⟧",
    "https://api.shop.de/u?email=⟦email|x@y.org⟧&n=1", "card_number=⟦card|5425233430109903⟧", '"pan": "⟦card|4263982640269299⟧"',
    '{"card": ⟦card|4917484589897107⟧}', "my visa is ⟦card|4001919257537193⟧ exp 12/29", "SSN: ⟦national_id|536-90-4399⟧",
    '{"ssn": "⟦national_id|212-55-1234⟧"}', "customer_ssn=⟦national_id|601-22-9876⟧", f"Steuer-ID ⟦national_id|{STEUER}⟧",
    f"IdNr. ⟦national_id|{grouped(STEUER[:2])} {STEUER[2:5]} {STEUER[5:8]} {STEUER[8:]}⟧", f"Aadhaar no. ⟦national_id|{AADHAAR}⟧",
    f"mi DNI es ⟦national_id|{dni()}⟧", f'{{"nif": "⟦national_id|{dni()}⟧"}}', "NIE: ⟦national_id|X1234567L⟧",
    "National Insurance number ⟦national_id|AB 12 34 56 C⟧", "nino=⟦national_id|CE123456D⟧", "CF: ⟦national_id|MRTMTT91D08F205J⟧",
    "cpf 5⟦x|⟧", "Authorization: Bearer ⟦credentials|" + drawn(40) + "⟧", 'password="⟦credentials|hunter22⟧"',
    "curl -u x -H 'X-Api-Key: ⟦credentials|" + drawn(32) + "⟧'", "postgres://app:⟦credentials|S3cr3tPw⟧@db.shop.internal/x",
    "export AWS_SECRET_ACCESS_KEY=⟦credentials|" + drawn(40) + "⟧", "client_secret: ⟦credentials|" + drawn(30) + "⟧",
    "Cookie: ⟦credentials|sid=" + drawn(26) + "⟧", "-----BEGIN " + "RSA PRIVATE KEY-----\n⟦credentials|" + drawn(64) + "⟧\n",
    "from ⟦ip|8.8.4.4⟧ port 443", '{"client.address": "⟦ip|91.198.174.192⟧"}', "X-Forwarded-For: ⟦ip|2a00:1450:4001:82a::200e⟧, 10.0.0.1",
    "http://⟦ip|93.184.216.34⟧/index", "ssh root@⟦ip|172.217.16.14⟧",
    "tcp   0   0 10.0.0.1:22     ⟦ip|93.184.216.34⟧:51000",
)  # fmt: skip
# What only looks so. Each is a whole text.
HARMLESS: Final = (
    "550e8400-e29b-41d4-a716-446655440000", "order 4539148803436467 shipped", "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "trace 74f3e729e20d4aa3d68d651467cd2869 span 6fc017a9e1b2c3d4", "1732169234123456789", "2026-11-21T08:29:40.000Z +00:00",
    "2026-11-21 08:29:40.123456+02:00", "v1.2.3.4 and 10.0.0.1:8080", "Chrome/120.0.0.0 Safari/537.36", "package==4.12.0.88",
    "isbn 978-3-16-148410-0", "ean 4006381333931", "tel: 555-1234", "room 12-345-678", "lat 52.520008, lon 13.404954",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk", "sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "arn:aws:iam::123456789012:role/x", "sk-learn is a library, risk-averse-and-task-oriented-decision-making", "@decorator\ndef f(): ...",
    "npm i @types/node@20.1.0", "user@localhost", "git@github:org/repo", "a @ b", "max_tokens: 4096, token: null", "the password must be long",
    "tokens=1834", "Enter your password:", "api_key: <your key>", "secret = os.environ['S']", "AKIAIOSFODNN7EXAMPLE", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "4242 4242 4242 4242", "4111111111111111", "DE89 3704 0044 0532 0130 00", "DE44 5001 0517 5407 3249 32", "078-05-1120", "123-45-6789 widgets",
    "flight HAT271, seat 12A, fare 184.50", "reservation NIE123, tin of 86095742719 beans? no", "0x7ffd5e8c1000", "3.141592653589793", "1,234,567.89",
    "port 14317..14319", "10.1145/3442188.3445922", "RFC 5737: 192.0.2.1, 198.51.100.7", "127.0.0.1:5432", "::1", "fe80::1", "12:34:56:78",
    "00:1a:2b:3c:4d:5e", "std::collections::HashMap", "a::b", "C:\\Users\\x", "{{user.email}}", "phone: ${PHONE}", "+12 % and -3 %",
    "2 + 2 = 4", "1+1234567890123456789", "Zahl 12 345 678 901", "ABCDEF12A34B567C", "UTF-8 ISO-8859-1 AES-256", "GB2312 and BR2049",
    "HTTP/1.1 200 OK", "Content-Length: 123456789012", "epoch_ms=1732169234123", "id=11010519491231002X", "cpf inválido 111.111.111-11",
    "invoice 2024-000123-4567", "Monday 09.00-17.30", "Page 123 of 4567", "call_7Hs2kQ", "conversation-118273", "LO982207", "cublas-cu12        12.4.5.8\npillow        9.1.0.70", "(from torch) (9.5.1.17)", "chatcmpl-9xYz8W7v6U5t4S3r2Q1p",
    "req_011CSHoEeqs5C35K2UUqR7Fy", "toolu_01A09q90qw90lq917835lq9", "msg_abc123", "eyJub3QiOiJqd3QifQ", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=",
)  # fmt: skip

_MARK: Final = re.compile(r"⟦(\w+)\|([^⟧]*)⟧")
Labelled = tuple[str, list[tuple[int, int, str]]]


def unmarked(marked: str) -> Labelled:
    """The text, and where in it what stands."""
    text, places, end = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[end : mark.start()]
        if mark[2]:
            places.append((len(text), len(text) + len(mark[2]), mark[1]))
        text += mark[2]
        end = mark.end()
    return text + marked[end:], places


@cache
def all_texts() -> tuple[Labelled, ...]:
    """The same in every process: made once, in one order."""
    marked = [
        place.format(f"⟦{kind}|{make()}⟧")
        for kind, makers in MAKERS.items()
        for make in makers
        for place in PLACES
    ]
    return tuple(unmarked(one) for one in (*marked, *WRITTEN, *HARMLESS))
