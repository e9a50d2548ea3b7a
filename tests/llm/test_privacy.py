"""What leaves by each rule, and the record of it."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.llm.conversation import Payload
from halo_otel.llm.lines import Lines
from halo_otel.llm.privacy import Payloads, Sent, Veil
from halo_otel.redact.mask import Rules, mask

MAIL = "anna@shop.example"


@pytest.mark.parametrize(
    ("payloads", "left"),
    [
        ("none", r"12 times: \[tool\.result: 20 characters, sha256 [0-9a-f]{12}\] \[e-mail\]"),
        ("redacted", r"12 times: to \[e-mail\] \[e-mail\]"),
        ("full", rf"12 times: to {MAIL} {MAIL}"),
    ],
)
def test_three_rules(payloads: Payloads, left: str) -> None:
    veil = Veil(payloads)
    payload = Payload(field="tool.result", text=f"to {MAIL}")
    assert re.fullmatch(left, veil.text("12 times: ", payload, f" {MAIL}"))
    assert veil.fields == ({} if payloads == "none" else {"tool.result": 20})
    assert veil.masked == {"none": {"e-mail": 1}, "redacted": {"e-mail": 2}, "full": {}}[payloads]


@given(st.text(min_size=8))
def test_with_none_no_payload_leaves(text: str) -> None:
    veil = Veil("none")
    left = veil.text(Payload(field="f", text=text), Payload(field="f", text=text))
    one, two = left[: len(left) // 2], left[len(left) // 2 :]
    assert one == two, "the same texts are seen to be the same"
    assert text not in left


def test_a_name_in_our_text_makes_a_secret_of_the_payload() -> None:
    text = Veil("redacted").text('{"password": "', Payload(field="f", text="hunter22"), '"}')
    assert text == '{"password": "[secret]"}'


def test_values() -> None:
    value = {"to": [MAIL, 4539148803436467, 1.5, True, None]}
    assert Veil("redacted").value(value) == {"to": ["[e-mail]", 4539148803436467, 1.5, True, None]}
    assert Veil("full").value(value) == value


def test_the_record_is_bounded_and_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "llm" / "sent.jsonl"

    async def record() -> None:
        sent = Sent(file, 4096)
        for n in range(200):
            await sent.record(b"x" * n, {"n": n})

    asyncio.run(record())
    files = sorted(file.parent.iterdir())
    assert sum(each.stat().st_size for each in files) <= 4096
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for each in reversed(files) for line in each.read_text().splitlines()]
    numbers = [line["n"] for line in lines]
    assert numbers == list(range(numbers[0], 200))
    assert len(numbers) > 15
    assert all(line["bytes"] == line["n"] for line in lines)


def test_threads_that_append_lose_no_line_but_the_oldest(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "some.jsonl", 4096, "keep them")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: lines.append(f"{n:03d} {'x' * 40}"), range(400)))
    kept = list(lines)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 4096
    assert len(kept) == len(set(kept)) > 40
    assert all(len(line) == 44 for line in kept)


def test_a_line_torn_by_a_crash_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_bytes(b"whole\ntor")
    lines = Lines(file, 4096, "keep them")
    lines.append("next")
    assert list(lines) == [b"whole", b"tor", b"next"]


def test_patterns_of_the_operator_are_masked_too() -> None:
    rules = Rules.usual({"employee": r"EMP-\d{6}"})
    veil = Veil("redacted", rules)
    assert veil.text("ask EMP-123456 or ", MAIL) == "ask [employee] or [e-mail]"
    assert veil.masked == {"employee": 1, "e-mail": 1}
    assert Veil("full", rules).text("EMP-123456") == "EMP-123456"


@given(st.lists(st.sampled_from(["EMP-123456", MAIL, "x", " 4111 1111 1111 1111", "\n"])))
def test_what_is_masked_is_suspected_before(parts: list[str]) -> None:
    """The copy of a window asks `mask` only about texts that match the prefilter."""
    rules = Rules.usual({"employee": r"EMP-\d{6}"})
    text = "".join(parts)
    suspected = pc.match_substring_regex(pa.array([text]), pattern=rules.prefilter)[0].as_py()
    assert suspected or mask(text, rules).text == text
