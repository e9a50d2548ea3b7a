"""Keyed masks: what was equal is equal still, and nothing else can be told."""

import json
import string
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.model.span import AnyValue
from halo_otel.redact.mask import Rules
from halo_otel.redact.redactor import Lists, Redactor

KINDS = ("credentials", "email", "phone", "card", "iban", "national_id", "ip", "custom")
KEY, OTHER_KEY = b"k" * 32, b"l" * 32
CARD = "4539 1488 0343 6467"
LOCAL = st.text(alphabet=string.ascii_lowercase + string.digits, min_size=1, max_size=12)
EMAILS = st.builds("{}@{}.example.org".format, LOCAL, LOCAL)


def redactor(
    key: bytes = KEY,
    *,
    counted: Counter[str] | None = None,
    lists: Lists | None = None,
    custom: dict[str, str] | None = None,
) -> Redactor:
    found = Counter[str]() if counted is None else counted

    def count(kind: str, number: int) -> None:
        found[kind] += number

    return Redactor(key, Rules(KINDS, custom), count, lists)


PLAIN = redactor()


@given(EMAILS, EMAILS)
def test_masks_are_equal_where_values_are(one: str, other: str) -> None:
    masked, other_masked = PLAIN.text(f"to {one} now"), PLAIN.text(f"to {other} now")
    assert (masked == other_masked) is (one == other)
    assert one not in masked


@given(EMAILS)
def test_a_mask_depends_on_the_value_and_the_key_alone(value: str) -> None:
    assert redactor().text(value) == PLAIN.text(value)  # another start, the same key
    assert redactor(OTHER_KEY).text(value) != PLAIN.text(value)
    assert PLAIN.text(f"x {value} y") == f"x {PLAIN.text(value)} y"


@given(st.text(alphabet=string.ascii_letters + ' "{}[]\n,', max_size=200))
def test_a_text_without_sensitive_values_is_the_same_object(text: str) -> None:
    assert PLAIN.text(text) is text


MIXED = st.lists(
    st.sampled_from(
        ["password=", '"', "@", "a@b.c", ".de", "+49301234567", CARD, " ", "\\", "Bearer ", "abcdefghijkl",
         "card ", "[", "]", "DE44 5001 0517 5407 3249 31", "secret: ", "(415) 555-2671", "8.8.8.8", "EMP-123456", "{", "}", ":"]
    ),
    max_size=12,
).map("".join)  # fmt: skip
WITH_CUSTOM = redactor(custom={"employee": r"EMP-\d{6}", "word": "[a-p]+"})


@given(MIXED)
def test_masked_twice_is_masked_once(text: str) -> None:
    """Also with a pattern of the operator's that matches what masks are made of."""
    masked = WITH_CUSTOM.text(text)
    assert WITH_CUSTOM.text(masked) == masked


def test_how_a_number_is_written_makes_no_difference() -> None:
    assert PLAIN.text(f"card {CARD}") == PLAIN.text(f"card {CARD.replace(' ', '')}")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([CARD, int(CARD.replace(" ", "")), "ann@shop.test", "x", "", "+4930123456"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["card", "ann@shop.test", "password", "n"]), inner, max_size=3
        )
        | inner.map(json.dumps)
    ),
    max_leaves=8,
)


@given(JSON)
def test_json_stays_json_of_the_same_form(value: Any) -> None:
    text = json.dumps(value)
    assert _form(json.loads(PLAIN.text(text))) == _form(value)
    assert "ann@shop.test" not in PLAIN.text(text)


def _form(value: Any) -> Any:
    """Its lists and objects; a text that holds JSON has the form of that."""
    if isinstance(value, dict):
        return [_form(item) for item in value.values()]
    if isinstance(value, list):
        return [_form(item) for item in value]
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            return _form(json.loads(value))
        except ValueError:
            return None
    return None


def test_a_number_becomes_a_text_however_deep_it_stands() -> None:
    inner = json.dumps({"card": 4539148803436467, "n": [1, 2.5]})
    text = json.dumps(
        {"visa card": [4539148803436467], "arguments": inner, "say": "card 1: 4539148803436467, ok"}
    )
    masked = PLAIN.text(text)
    stand_in = PLAIN.text("card 4539148803436467").removeprefix("card ")
    left = json.loads(masked)
    assert left["visa card"] == [stand_in]
    assert json.loads(left["arguments"]) == {"card": stand_in, "n": [1, 2.5]}
    assert left["say"] == f"card 1: {stand_in}, ok"


def test_the_name_of_an_attribute_tells_what_its_value_is() -> None:
    attributes: dict[str, AnyValue] = {
        "db.password": "hunter22",
        "card_number": 4539148803436467,
        "n": 4539148803436467,
    }
    left = PLAIN.attributes(attributes)
    assert str(left["db.password"]).startswith("[secret ")
    assert str(left["card_number"]).startswith("[card number ")
    assert left["n"] == 4539148803436467
    assert PLAIN.attributes({"a@b.example": 1}) == {PLAIN.text("a@b.example"): 1}
    assert PLAIN.value({"x": b"mail ann@shop.test", "y": b"\xff"}) == {
        "x": PLAIN.text("mail ann@shop.test").encode(),
        "y": b"\xff",
    }


def test_lists_of_attributes() -> None:
    """A hidden value has a hash of its own, whatever its type; the name stays."""
    lists = Lists(allowed=("gen_ai.*", "n"), denied=("gen_ai.user",))
    hiding = redactor(lists=lists)
    left = hiding.attributes({"gen_ai.tool": "a", "gen_ai.user": "bo", "n": 1, "m": [1], "o": "bo"})
    assert (left["gen_ai.tool"], left["n"]) == ("a", 1)
    assert left["o"] == left["gen_ai.user"] == hiding.attributes({"o": "bo"})["o"]
    assert left["m"] != left["o"]
    assert hiding.attributes(left) == left


def test_an_own_pattern_has_its_name() -> None:
    masked = WITH_CUSTOM.text("Ü EMP-123456 and EMP-123457")
    assert masked.startswith("Ü [employee ")
    assert "EMP" not in masked


def test_what_is_found_is_counted_by_kind() -> None:
    counted: Counter[str] = Counter()
    redactor(counted=counted).text(f"ann@shop.test, bob@shop.test, card {CARD}, from 8.8.4.4")
    assert counted == {"e-mail": 2, "card number": 1, "IP address": 1}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("from 8.8.4.4:443", True),
        ('"client": "2a00:1450:4001:82a::200e"', True),
        ("10.0.0.1, 127.0.0.1, 192.168.1.7, 203.0.113.9, ::1", False),
        (
            "Chrome/114.0.57.90, v1.2.3.4, version 1.2.3.4, pkg==1.2.3.4, 1.2.3.4.5, 300.1.1.1",
            False,
        ),
        ("at 12:30:45, std::vec::Vec, 00:1a:2b:3c:4d:5e", False),
    ],
)
def test_public_addresses(text: str, is_one: bool) -> None:
    assert (PLAIN.text(text) != text) is is_one


@pytest.mark.parametrize("size", [1, 2])
def test_time_is_in_proportion(size: int, hostile: Callable[[int], list[str]]) -> None:
    for text in hostile(size * 20_000):
        WITH_CUSTOM.text(text)


@pytest.fixture
def hostile() -> Callable[[int], list[str]]:
    def texts(chars: int) -> list[str]:
        pieces = (
            "a",
            "a@",
            "1 ",
            "secret",
            "+1",
            "password=",
            "sk-",
            "AB12 ",
            "[",
            "://a:bbbb@",
            "eyJ",
            "1.",
            "{[",
        )
        return [(piece * chars)[:chars] for piece in pieces]

    return texts


RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "card_number", "db.password", "hidden", "ann@shop.test"]),
        MIXED | st.integers(0, 10**17) | st.lists(MIXED, max_size=2),
        max_size=3,
    ),
    max_size=12,
)


@given(RECORDS, st.booleans())
def test_many_records_together_are_as_each_by_itself(
    records: list[dict[str, AnyValue]], many: bool
) -> None:
    """Also what is counted; `many` so that RE2 is asked, not each part."""
    text = "so much that nothing of all this is sensitive, " * 400
    more: list[dict[str, AnyValue]] = [{"a": text}] if many else []
    records = [*records, *more]
    lists, custom = Lists(denied=("hidden",)), {"word": "EMP-[0-9]+"}
    apart, together = Counter[str](), Counter[str]()
    one = redactor(counted=apart, lists=lists, custom=custom)
    other = redactor(counted=together, lists=lists, custom=custom)
    assert list(other.each(lambda r: dict(other.attributes(r)), records)) == [
        one.attributes(r) for r in records
    ]
    assert together == apart
    assert list(other.each(lambda r: dict(other.attributes(r)), records)) == [
        one.attributes(r) for r in records
    ]


def test_a_private_key_goes_as_a_whole() -> None:
    lines = "\n".join(f"MIIEvQIBADAN{number:04}Bgkqhkiwhatever9Lk2m" * 2 for number in range(24))
    key = "-----BEGIN " + f"RSA PRIVATE KEY-----\n{lines}\nQ9==\n-----END RSA PRIVATE KEY-----"
    for text in (key, json.dumps({"key": key})):
        left = PLAIN.text(text)
        assert "whatever" not in left
        assert "Q9==" not in left
