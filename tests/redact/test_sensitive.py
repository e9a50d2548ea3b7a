"""What is sensitive in a text: issuers' forms, checksums, and what only looks so."""

import json
import random
import string

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.redact import credentials, personal, squeezed
from halo_otel.redact.mask import Rules
from tests.redact import labelled, unseen
from tests.redact.labelled import Labelled
from tests.redact.test_labelled import KINDS

ALNUM = string.ascii_letters + string.digits


def drawn(length: int, letters: str = ALNUM, seed: int = 1) -> str:
    """Characters as an issuer draws them; never in one piece in this file."""
    return "".join(random.Random(seed).choices(letters, k=length))


JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiI0NzExIn0." + drawn(43)
SECRETS = {
    "AWS access key": "AKIA" + drawn(16, string.ascii_uppercase + string.digits),
    "AWS secret key": "aws_secret_access_key = " + drawn(40),
    "GitHub token": "ghp_" + drawn(36),
    "GitLab token": "glpat-" + drawn(20),
    "Slack token": "xoxb-" + "204938471623-" + drawn(24),
    "Stripe live key": "sk_" + "live_" + drawn(24),
    "model provider's key": "sk-" + "proj-" + drawn(48),
    "Google API key": "AIza" + drawn(35),
    "SendGrid key": "SG." + drawn(22) + "." + drawn(43),
    "npm token": "npm_" + drawn(36),
    "Hugging Face token": "hf_" + drawn(34),
    "Azure storage key": "AccountName=a;AccountKey=" + drawn(86) + "==",
    "private key": "-----BEGIN " + "PRIVATE KEY-----\n" + drawn(64),
    "web token": JWT,
    "connection string with a password": "postgresql://app:" + "tr0ub4dor&3@db7.shop.internal/app",
    "secret setting": "A=1\nSESSION_SECRET='" + drawn(24) + "'\n",
}
NUMBERS = {
    "card number": "4539 1488 0343 6467",
    "IBAN": "DE44 5001 0517 5407 3249 31",
    "social security number": "SSN: 536-90-4399",
    "taxpayer number (CPF)": "529.982.247-25",
    "resident identity number": "11010119900307109" + "X",
    "tax code (codice fiscale)": "MRTMTT91D08F205J",
    "social security number (NIR)": "2 55 08 14 168 025 38",
}


@pytest.mark.parametrize(("kind", "text"), SECRETS.items())
def test_a_credential_has_its_kind_wherever_it_stands(kind: str, text: str) -> None:
    [found] = credentials.find(f"See:\n{text}\nand so on")
    assert found.kind == kind
    [quoted] = credentials.find(f'{{"content":"\\n{text}"}}'.replace("\n", "\\n"))
    assert quoted.kind == kind


@pytest.mark.parametrize(("kind", "text"), NUMBERS.items())
def test_a_number_has_its_kind(kind: str, text: str) -> None:
    [found] = personal.find(f"Customer {text}, since 2019")
    assert found.kind == kind
    assert found.value.endswith(found.shown[-4:])


@pytest.mark.parametrize("kind", sorted(NUMBERS.keys() - {"social security number"}))
def test_a_number_with_one_other_digit_is_none(kind: str) -> None:
    """Every checksum here finds any one wrong digit; a social security number has none."""
    text = NUMBERS[kind]
    place = max(i for i, char in enumerate(text) if char.isdigit())
    for digit in string.digits.replace(text[place], ""):
        wrong = text[:place] + digit + text[place + 1 :]
        assert not [one for one in personal.find(wrong) if one.kind == kind]


@given(st.sampled_from(sorted(SECRETS.items())))
def test_at_most_four_characters_are_shown(secret: tuple[str, str]) -> None:
    [found] = credentials.find(secret[1])
    assert len(found.shown.rstrip("*")) <= 4


DOCUMENTATION = [
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-your-api-key-goes-here-1234567890",
    "sk_test_" + drawn(24),
    "ghp_000000000000000000000000000000000000",
    "OPENAI_API_KEY=<your key>",
    "PASSWORD=${DB_PASSWORD}",
    "TOKEN=os.environ['TOKEN']",
    "API_KEY=settings.api_key.value",
    "MAX_TOKENS=100000000",
    "postgres://user:password@localhost/db",
    "postgres://postgres:mysecretpw9@example.com/db",
    "mongodb://<user>:<password>@cluster0.mongodb.net",
    "redis://:@cache:6379",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN PUBLIC KEY-----\n" + drawn(64),
    "eyJhbGciOi" + "." + "eyJzdWIi" + "." + "short",
    "sk-learn and sk-estimator-classification-report-generator",
    "X-Amz-Credential=AKIA" + drawn(16, string.ascii_uppercase + string.digits) + "%2F2026",
    "https://maps.shop.test/api?key=AIza" + drawn(35),
    "./.env  ./config/.env.local  id_rsa",
    "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ" + drawn(60),
]
ANYBODYS = [
    "4242 4242 4242 4242",
    "4111-1111-1111-1111",
    "5555 5555 5555 4444",
    "378282246310005",
    "order 4539148803436467",  # passes Luhn, is not called a card
    "GB82 WEST 1234 5698 7654 32",
    "DE89 3704 0044 0532 0130 00",
    "078-05-1120",
    "call 536-90-4399",
    "SSN 000-12-3456",
    "111.111.111-11",
    "550e8400-e29b-41d4-a716-446655440000",
    "1732169234123456",
    "AB12 CDEF 3456 GHIJ 7890",
    "2026-11-21 06:30:12.123456",
]


@pytest.mark.parametrize("text", DOCUMENTATION)
def test_what_documentation_shows_is_no_credential(text: str) -> None:
    assert credentials.find(text) == []


@pytest.mark.parametrize("text", ANYBODYS)
def test_examples_and_other_numbers_are_nobodys(text: str) -> None:
    assert personal.find(text) == []


def test_a_card_is_one_when_it_is_called_one() -> None:
    assert personal.find("card_number=4539148803436467")


@given(st.integers(min_value=0, max_value=10**14))
def test_one_digit_in_ten_checks(number: int) -> None:
    digits = f"4{number:014d}"
    assert sum(personal.is_luhn(f"{digits}{check}") for check in range(10)) == 1


@given(
    st.lists(
        st.sampled_from([*SECRETS.values(), *NUMBERS.values(), *DOCUMENTATION, *ANYBODYS])
        | st.text(max_size=20),
        max_size=4,
    ).map(" ".join)
)
def test_the_prefilter_sees_all_that_is_found(text: str) -> None:
    """RE2 and Python agree where it matters: no text with a find is passed over."""
    for part in (credentials, personal):
        if part.find(text):
            found = duckdb.execute(
                "select regexp_matches(?, ?)", [text.replace("\x00", ""), part.PREFILTER]
            ).fetchone()
            assert found == (True,)


@pytest.mark.parametrize(
    "texts", [labelled.all_texts(), unseen.all_texts()], ids=["labelled", "unseen"]
)
def test_each_part_is_asked_about_what_it_would_find(texts: tuple[Labelled, ...]) -> None:
    """What RE2 lets pass has nothing that a part would find, in text and within JSON."""
    rules = Rules(KINDS)
    every = {text for plain, _ in texts for text in (plain, json.dumps(plain))}
    suspects = rules.suspects([*every, "so long that RE2 is asked " * 1000])
    for text in every:
        assert rules.find(text, suspects.get(text, [])) == rules.find(text), text


@given(st.text(alphabet="4539 1488-0343\n6467ABCDE-sk_live_=:/@.", max_size=120))
def test_finds_stand_in_order_and_never_overlap(text: str) -> None:
    for part in (credentials, personal):
        found = part.find(text)
        ends = [0, *(one.end for one in found)]
        assert all(one.start >= end for one, end in zip(found, ends, strict=False))
        assert all(one.value in squeezed(text).replace(".", "") for one in found)
