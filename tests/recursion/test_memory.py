"""What is remembered, across processes and torn lines, within its bytes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.errors import Unwritable
from halo_otel.recursion.memory import Memory, key_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text(max_size=4), JSON), max_size=20))
def test_the_last_answer_stands(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, object]]
) -> None:
    file = tmp_path_factory.mktemp("memory") / "answers.jsonl"
    memory = Memory(file)
    for question, answer in asked:
        memory.put(key_of(question), answer)
    for read in (memory, Memory(file)):
        for question, answer in dict(asked).items():
            assert read.get(key_of(question)) == answer


def test_a_line_torn_by_a_crash_is_as_if_it_was_never_asked(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    memory = Memory(file)
    memory.put("a", {"says": "one"})
    memory.put("b", {"says": "two"})
    file.write_bytes(file.read_bytes()[:-5])
    again = Memory(file)
    assert again.get("a") == {"says": "one"}
    assert again.get("b") is None
    again.put("c", {"says": "three"})
    assert Memory(file).get("c") == {"says": "three"}


def test_both_files_stay_within_their_bytes_and_the_oldest_goes(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    memory = Memory(file, size_bytes=2_000)
    for number in range(200):
        memory.put(str(number), "x" * 40)
    files = list(tmp_path.iterdir())
    assert sum(each.stat().st_size for each in files) <= 2_000
    again = Memory(file)
    assert again.get("199") == "x" * 40
    assert again.get("0") is None


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unwritable, match="what the model answered"):
        Memory(tmp_path / "file" / "answers.jsonl").put("a", 1)


async def test_what_several_want_at_once_is_asked_once() -> None:
    memory, asked = Memory(), []
    both = asyncio.Event()

    async def ask() -> str:
        asked.append(1)
        if len(asked) == 2:
            both.set()
        await both.wait()  # nobody has an answer before both keys are asked for
        return "so"

    came = await asyncio.gather(*(memory.once(key, ask) for key in ("a", "a", "b", "a")))
    assert came == ["so"] * 4
    assert len(asked) == 2
    assert await memory.once("a", ask) == memory.get("a") == "so"
    assert len(asked) == 2


async def test_who_waited_for_one_that_failed_asks_itself() -> None:
    memory, asked = Memory(), []

    async def ask() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        if len(asked) == 1:
            raise KeyError
        return "so"

    came = await asyncio.gather(*(memory.once("a", ask) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in came] == [KeyError, str, str]
    assert len(asked) == 2


def test_threads_that_fill_the_file_together_lose_none_of_what_is_new(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "answers.jsonl", size_bytes=4_000)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: memory.put(str(number), "x" * 50), range(2_000)))
    memory.put("last", 1)
    again = Memory(tmp_path / "answers.jsonl", size_bytes=4_000)
    assert again.get("last") == 1
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4_000
    assert sum(again.get(str(number)) is not None for number in range(2_000)) >= 15
