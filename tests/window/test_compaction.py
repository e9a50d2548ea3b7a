"""What is about no agent goes, what is about one stays, and a crash leaves one file or the other."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.config import sections
from halo_otel.errors import StateDamaged, Unwritable
from halo_otel.model.span import LogRecord, Span
from halo_otel.selfobs import Counters
from halo_otel.window import store as store_module
from halo_otel.window.compaction import rewrite
from halo_otel.window.schema import LetGo
from halo_otel.window.store import WindowStore
from halo_otel.window.view import View
from tests.window.pipelines import LENGTH_NS, a_record, agent_span, batch_of, web_span
from tests.window.samples import NOON_NS

Opener = Callable[..., WindowStore]
DUE_NS = NOON_NS + 2 * LENGTH_NS  # when the first window is let go of


def arrive(store: WindowStore, window: int, *items: Span | LogRecord) -> None:
    offset = store.resume_offset + 100
    store.insert(NOON_NS + window * LENGTH_NS, batch_of(*items, position=offset), offset)


def compact(store: WindowStore, now_ns: int = DUE_NS) -> None:
    store.seal_before(now_ns)
    while store.compact():
        pass


def shown(store: WindowStore) -> list[str]:
    """What a view over everything shows: spans and log records, by trace and number."""
    with store.view(0) as view:
        return told(view)


def told(view: View) -> list[str]:
    spans = view.con.execute("FROM spans SELECT trace_id, span_id").fetchall()
    records = view.con.execute("FROM log_records SELECT trace_id, event_name").fetchall()
    return sorted(
        [f"{int(trace, 16)}/{int(span, 16)}" for trace, span in spans]
        + [f"{int(trace or '0', 16)}:{event}" for trace, event in records]
    )


def test_only_the_traces_of_agents_stay_and_the_others_are_counted(
    store: WindowStore, counters: Counters
) -> None:
    arrive(
        store,
        0,
        agent_span(1, 1),
        web_span(2, 1),
        a_record(1),
        web_span(3, 2),
        web_span(4, 2),
        a_record(2),
        a_record(None),
        a_record(3),
        web_span(5, 4),
        a_record(5, "gen_ai.choice"),
        a_record(None, "gen_ai.choice"),
    )
    compact(store)
    assert shown(store) == ["0:gen_ai.choice", "1/1", "1/2", "1:", "5:gen_ai.choice"]
    (window,) = store.windows()
    assert (window.spans, window.log_records) == (2, 3)
    assert window.let_go == LetGo(traces=2, spans=3, log_records=3)
    assert window.state == "sealed"
    with duckdb.connect(str(window.path), read_only=True) as con:
        assert con.execute("FROM let_go").fetchall() == [("shop", 2, 3, 3)]
    for name, value in (("traces", 2), ("spans", 3), ("log_records", 3)):
        assert counters.value(f"halo.window.let_go_{name}") == value


def test_spans_whose_telemetry_is_in_log_records_are_an_agents(store: WindowStore) -> None:
    arrive(store, 0, web_span(1, 1), web_span(2, 2))
    arrive(store, 1, a_record(1, "gen_ai.user.message"))
    compact(store, NOON_NS + 3 * LENGTH_NS)
    assert shown(store) == ["1/1", "1:gen_ai.user.message"]


def test_a_window_waits_for_the_one_after_it(store: WindowStore) -> None:
    arrive(store, 0, web_span(1, 1), web_span(2, 2))
    compact(store, DUE_NS - 1)
    assert shown(store) == ["1/1", "2/2"]
    arrive(store, 1, agent_span(3, 1))
    compact(store, DUE_NS)
    assert shown(store) == ["1/1", "1/3"]


def test_a_trace_with_an_agent_in_an_earlier_or_a_later_window_is_whole(store: WindowStore) -> None:
    arrive(store, 0, agent_span(1, 1), web_span(2, 2))
    arrive(store, 1, web_span(3, 1), web_span(4, 2), web_span(5, 3))
    compact(store, DUE_NS)
    arrive(store, 2, agent_span(6, 2), web_span(7, 1))
    compact(store, NOON_NS + 9 * LENGTH_NS)
    # Trace 2 showed its agent only when its first window had been let go of: that part is gone.
    assert shown(store) == ["1/1", "1/3", "1/7", "2/4", "2/6"]
    assert [window.let_go.spans for window in store.windows()] == [1, 1, 0]


def test_keep_all_keeps_everything(open_store: Opener) -> None:
    store = open_store(keep="all")
    arrive(store, 0, web_span(1, 1), a_record(None))
    compact(store)
    assert shown(store) == ["0:", "1/1"]


def test_little_is_not_worth_a_new_file(store: WindowStore) -> None:
    arrive(store, 0, *[agent_span(number, 1) for number in range(19)], web_span(99, 2))
    assert store.windows()[0].path is not None
    compact(store)
    assert len(shown(store)) == 20
    assert store.windows()[0].let_go == LetGo()


def test_resources_and_scopes_go_with_their_rows(store: WindowStore) -> None:
    arrive(store, 0, agent_span(1, 1), web_span(2, 2))
    compact(store)
    with store.view(0) as view:
        query = "FROM resources SELECT attributes"
        (row,) = view.con.execute(query).fetchall()
        assert json.loads(row[0])["service.name"] == "booking"
        (span,) = view.trace_spans(f"{1:032x}")
        assert span.scope.name == "agents"


def test_long_texts_go_with_their_spans(store: WindowStore) -> None:
    said, page = "a question " * 500, "<p>a basket</p>" * 500
    answering = agent_span(1, 1)
    asked = replace(answering, attributes={**answering.attributes, "gen_ai.prompt": said})
    arrive(store, 0, asked, replace(web_span(2, 2), attributes={"body": page}))
    compact(store)
    with store.view(0) as view:
        (span,) = view.trace_spans(f"{1:032x}")
        assert span.attributes["gen_ai.prompt"] == said
        texts = view.con.execute("FROM texts SELECT text").fetchall()
        assert texts
        assert all(text in said for (text,) in texts)


def test_a_restart_knows_what_was_let_go(open_store: Opener) -> None:
    store = open_store()
    arrive(store, 0, agent_span(1, 1), web_span(2, 2), a_record(2))
    arrive(store, 1, agent_span(3, 3))
    compact(store)
    before, offset = store.windows(), store.resume_offset
    store = open_store()
    assert [(w.spans, w.log_records, w.state, w.let_go) for w in store.windows()] == [
        (w.spans, w.log_records, w.state, w.let_go) for w in before
    ]
    assert store.resume_offset == offset
    assert shown(store) == ["1/1", "3/3"]
    compact(store, NOON_NS + 9 * LENGTH_NS)
    assert store.windows()[0].let_go == before[0].let_go


def test_a_window_of_strangers_only_keeps_its_offset(open_store: Opener) -> None:
    store = open_store()
    arrive(store, 0, web_span(1, 1))
    offset = store.resume_offset
    compact(store)
    assert shown(store) == []
    assert open_store().resume_offset == offset


def test_a_view_keeps_what_it_shows_and_the_file_waits_for_it(store: WindowStore) -> None:
    arrive(store, 0, agent_span(1, 1), web_span(2, 2))
    store.seal_before(DUE_NS)
    with store.view(0) as view:
        assert store.compact() is False  # the new file is ready, the old one is read
        assert told(view) == ["1/1", "2/2"]
        assert store.windows()[0].let_go == LetGo()
    assert store.compact() is True
    assert shown(store) == ["1/1"]


def test_a_window_that_expires_meanwhile_leaves_nothing(open_store: Opener) -> None:
    store = open_store(retention=600)
    arrive(store, 0, agent_span(1, 1), web_span(2, 2))
    store.seal_before(DUE_NS)
    with store.view(0):
        assert store.compact() is False
    assert len(store.expire(NOON_NS + 9 * LENGTH_NS)) == 1
    assert store.compact() is True
    assert list(store.directory.iterdir()) == []


def test_rows_come_in_and_views_open_while_a_window_is_written(
    store: WindowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(store, 0, agent_span(1, 1), web_span(2, 2))
    seen: list[list[str]] = []

    def meanwhile() -> None:
        arrive(store, 2, agent_span(3, 3))
        store.seal_before(DUE_NS)
        assert store.expire(NOON_NS + 999 * LENGTH_NS) == []  # it is being read
        seen.append(shown(store))

    def rewrite_slowly(*arguments: Any) -> LetGo | None:
        thread = Thread(target=meanwhile)
        thread.start()
        thread.join()
        return rewrite(*arguments)

    monkeypatch.setattr(store_module, "rewrite", rewrite_slowly)
    compact(store)
    assert seen == [["1/1", "2/2", "3/3"]]
    assert shown(store) == ["1/1", "3/3"]


def test_a_disk_that_refuses_leaves_the_window_whole(store: WindowStore) -> None:
    arrive(store, 0, agent_span(1, 1), web_span(2, 2))
    store.seal_before(DUE_NS)
    (store.directory / "20261121T120000Z.new").mkdir()
    with pytest.raises(Unwritable, match=r"20261121T120000Z\.duckdb cannot be written anew"):
        store.compact()
    assert store.compact() is False
    assert shown(store) == ["1/1", "2/2"]
    arrive(store, 2, web_span(3, 3))
    assert shown(store) == ["1/1", "2/2", "3/3"]


def test_a_damaged_window_is_named(open_store: Opener) -> None:
    store = open_store()
    arrive(
        store, 0, *[agent_span(n, 1) for n in range(6000)], *[web_span(9, n) for n in range(6000)]
    )
    store.seal_before(DUE_NS)
    store.close()
    path = store.directory / "20261121T120000Z.duckdb"
    whole = path.read_bytes()
    middle = len(whole) * 3 // 10
    path.write_bytes(whole[:middle] + b"\xff" * 300_000 + whole[middle + 300_000 :])
    store = open_store()
    store.seal_before(DUE_NS)
    with pytest.raises(StateDamaged, match=r"20261121T120000Z\.duckdb"):
        store.compact()
    assert [path.name for path in store.directory.glob("*.new*")] == []


arrivals = st.lists(
    st.tuples(
        st.integers(1, 4),  # trace
        st.sampled_from(["agent", "web", "log", "event", "loose log"]),
    ),
    max_size=6,
)


def an_item(number: int, trace: int, kind: str) -> Span | LogRecord:
    if kind in ("agent", "web"):
        return (agent_span if kind == "agent" else web_span)(number, trace)
    return a_record(
        None if kind == "loose log" else trace, "gen_ai.choice" if kind == "event" else ""
    )


@settings(max_examples=10, deadline=None)
@given(st.lists(arrivals, min_size=1, max_size=5), st.booleans())
def test_what_views_show_of_agents_is_never_changed_and_counts_add_up(
    windows: list[list[tuple[int, str]]], restart: bool
) -> None:
    with TemporaryDirectory() as directory:

        def opened() -> WindowStore:
            store = WindowStore(Path(directory), sections.Window(), Counters())
            store.open()
            return store

        store, number = opened(), 0
        sent: Counter[int] = Counter()
        for window, items in enumerate([*windows, [], []]):
            for trace, kind in items:
                number += 1
                arrive(store, window, an_item(number, trace, kind))
                sent[NOON_NS + window * LENGTH_NS] += 1
            store.seal_before(NOON_NS + (window + 1) * LENGTH_NS)
            before = of_agents(store)
            if restart:
                store.close()
                store = opened()
                store.seal_before(NOON_NS + (window + 1) * LENGTH_NS)
            while store.compact():
                pass
            assert of_agents(store) == before
        for info in store.windows():
            gone = info.let_go.spans + info.let_go.log_records
            assert info.spans + info.log_records + gone == sent[info.start_ns]
        with store.view(0) as view:  # every window was due
            (strange,) = view.con.execute(STRANGE).fetchall()
            assert strange == (0,)
        store.close()


AGENTS_TRACES = """
    FROM raw_spans SELECT trace_id WHERE span_kind <> 'other'
    UNION FROM log_records SELECT trace_id WHERE genai_event IS NOT NULL"""
STRANGE = f"""
    SELECT count(*) FROM (
        FROM raw_spans SELECT trace_id
        UNION ALL FROM log_records SELECT trace_id WHERE genai_event IS NULL)
    WHERE trace_id = '' OR trace_id NOT IN ({AGENTS_TRACES})"""


def of_agents(store: WindowStore) -> list[Any]:
    """All columns of all rows that are about agents."""
    with store.view(0) as view:
        return [
            sorted(
                view.con.execute(
                    f"FROM {table} WHERE trace_id IN ({AGENTS_TRACES}) {also}"
                ).fetchall(),
                key=repr,
            )
            for table, also in (
                ("raw_spans", ""),
                ("log_records", "AND (trace_id <> '' OR genai_event IS NOT NULL)"),
            )
        ]


CRASH = """
import json, os, shutil, signal, sys
from pathlib import Path
from halo_otel.config import sections
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.window.test_compaction import DUE_NS, compact, shown

prepared, home = Path(sys.argv[1]), Path(sys.argv[2])
changes = home.with_suffix(".changes")

def opened():
    store = WindowStore(home, sections.Window(), Counters())
    store.open()
    store.seal_before(DUE_NS)
    return store

def compact_and_die(step=None):
    # Without a step nobody dies, and it notes at which lines the files are not what they were.
    lines, before, changed = set(), None, []
    def trace(frame, event, argument):
        nonlocal before
        if frame.f_code.co_name not in ("rewrite", "_copy", "attach", "sync", "replace", "compact"):
            return None
        line = frame.f_code.co_name, frame.f_lineno
        if event == "line" and line not in lines:
            lines.add(line)
            if len(lines) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            files = None if step else {path.name: path.read_bytes() for path in home.iterdir()}
            if files != before:
                before = files
                changed.append(len(lines))
        return trace
    store = opened()
    sys.settrace(trace)
    while store.compact():
        pass
    sys.settrace(None)
    changes.write_text(json.dumps([*changed, len(lines)]))
    os._exit(0)

def look():
    store = opened()
    found = {
        "new": sorted(path.name for path in home.glob("*.new*")),
        "shown": shown(store),
        "info": [[w.spans, w.let_go.spans] for w in store.windows()],
        "offset": store.resume_offset,
    }
    compact(store)
    found["after"] = shown(store)
    print(json.dumps(found), flush=True)
    os._exit(0)

def forked(work, *arguments):
    child = os.fork()
    if not child:
        work(*arguments)
    return os.waitpid(child, 0)[1]

def compacted(*step):
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(prepared, home)
    return forked(compact_and_die, *step)

# The next start knows the files alone: between two lines that change them all kills are one.
assert compacted() == 0
for step in json.loads(changes.read_text()):
    assert compacted(step) == signal.SIGKILL
    assert forked(look) == 0
assert compacted() == 0
assert forked(look) == 0
"""


def test_killed_at_any_line_the_window_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    prepared = WindowStore(tmp_path / "prepared", sections.Window(), Counters())
    prepared.open()
    arrive(prepared, 0, agent_span(1, 1), web_span(2, 2), a_record(2))
    arrive(prepared, 1, web_span(3, 1))
    offset = prepared.resume_offset
    prepared.seal_before(DUE_NS)
    prepared.close()
    command = [sys.executable, "-c", CRASH, str(prepared.directory), str(tmp_path / "home")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    old = (["1/1", "1/3", "2/2", "2:"], [[2, 0], [1, 0]])
    new = (["1/1", "1/3"], [[1, 1], [1, 0]])
    states = [(each["shown"], each["info"]) for each in found]
    swapped = states.index(new)
    assert states == [old] * swapped + [new] * (len(states) - swapped)
    assert 6 < swapped < len(states) - 2
    assert all(each["after"] == new[0] for each in found)
    assert all((each["new"], each["offset"]) == ([], offset) for each in found)


def test_a_pipeline_of_web_traffic_shrinks_to_its_agents(store: WindowStore) -> None:
    rng = Random(1)

    def a_trace(number: int) -> list[Span]:
        """Ten spans with a kilobyte each; a model call among them in every tenth trace."""
        return [
            replace(
                (agent_span if (number % 10, span) == (0, 3) else web_span)(span, number),
                status_message=rng.randbytes(500).hex(),
            )
            for span in range(10)
        ]

    for part in range(4):
        numbers = range(500 * part, 500 * (part + 1))
        arrive(store, 0, *[span for number in numbers for span in a_trace(number)])
    store.seal_before(DUE_NS)
    before = store.windows()[0]
    compact(store)
    after = store.windows()[0]
    print(f"\n{before.spans} spans in {before.bytes_} bytes, {after.spans} in {after.bytes_}")
    assert before.spans == after.spans + after.let_go.spans == 20_000
    assert (after.spans, after.let_go.traces) == (2_000, 1_800)
    assert after.bytes_ < before.bytes_ / 4
