"""Window files of older versions are brought up to date, those of newer ones refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from halo_otel.errors import StateDamaged
from halo_otel.window.schema import SCHEMA_VERSION, TABLES
from halo_otel.window.store import WindowStore
from tests.window.pipelines import LENGTH_NS, a_record, agent_span, batch_of, web_span
from tests.window.samples import NOON_NS

Opener = Callable[..., WindowStore]
NAME = "20261121T120000Z.duckdb"

# The tables of version 1, in its order.
VERSION_1 = {
    "spans": """trace_id span_id parent_span_id trace_state flags name kind start_ns end_ns status_code
        status_message attributes events links dropped_attributes_count dropped_events_count
        dropped_links_count resource_id scope_id arrival_ns position service span_kind dialects
        agent_name agent_id session_id user_id provider model_requested model_served input_tokens
        output_tokens cache_read_tokens cache_write_tokens reasoning_tokens cost tool_name tool_call_id
        tool_arguments tool_arguments_chars tool_result tool_result_chars input_text input_text_chars
        output_text output_text_chars finish_reason error_type error_message error_source
        prompt_version fact_sources""",
    "log_records": """trace_id span_id time_ns observed_ns severity_number severity_text event_name body
        attributes flags dropped_attributes_count resource_id scope_id arrival_ns position service""",
    "resources": "resource_id attributes dropped_attributes_count schema_url",
    "scopes": "scope_id name version attributes dropped_attributes_count schema_url",
    "journal_offset": "journal_offset",
    "window_info": "schema_version start_ns end_ns sealed",
}


def age(path: Path) -> None:
    """Make a window file one of version 1, with the rows it has."""
    with duckdb.connect(str(path)) as con:
        for (table,) in con.execute("FROM duckdb_tables() SELECT table_name").fetchall():
            con.execute(f"ALTER TABLE {table} RENAME TO new_{table}")
            if table in VERSION_1:
                columns = ", ".join(f'"{name}"' for name in VERSION_1[table].split())
                con.execute(f"CREATE TABLE {table} AS FROM new_{table} SELECT {columns}")
            con.execute(f"DROP TABLE new_{table}")
        con.execute("UPDATE window_info SET schema_version = 1")


def written(open_store: Opener, *, sealed: bool) -> Path:
    """A file of version 1 with two traces and a log record."""
    store = open_store()
    rows = batch_of(agent_span(1, 1), web_span(2, 2), a_record(1, "gen_ai.choice"))
    store.insert(NOON_NS, rows, 10)
    if sealed:
        store.seal_before(NOON_NS + LENGTH_NS)
    store.close()
    age(store.directory / NAME)
    return store.directory / NAME


@pytest.mark.parametrize("sealed", [False, True])
def test_an_old_file_is_read_with_what_it_has(open_store: Opener, sealed: bool) -> None:
    path = written(open_store, sealed=sealed)
    store = open_store()
    (window,) = store.windows()
    assert (window.spans, window.log_records, store.resume_offset) == (2, 1, 10)
    assert window.state == ("sealed" if sealed else "open")
    with store.view(0) as view:
        for table in ("spans", "log_records", "resources", "scopes"):
            names = [column[0] for column in view.con.execute(f"FROM {table}").description or ()]
            assert names == list(TABLES[table])
        query = "FROM spans SELECT span_kind, model_requested, agent_version ORDER BY span_id"
        assert view.con.execute(query).fetchall() == [
            ("llm", "gpt-4o", None),
            ("other", None, None),
        ]
        assert len(view.trace_spans(f"{1:032x}")) == 1
    store.close()
    with duckdb.connect(str(path), read_only=True) as con:
        query = "FROM window_info SELECT schema_version"
        assert con.execute(query).fetchall() == [(SCHEMA_VERSION,)]


def test_an_old_open_window_goes_on(open_store: Opener) -> None:
    written(open_store, sealed=False)
    store = open_store()
    changed = agent_span(3, 1, name="newer")
    store.insert(NOON_NS, batch_of(changed, position=5), 20)
    store.insert(NOON_NS + LENGTH_NS, batch_of(agent_span(4, 1), position=9), 30)
    with store.view(0) as view:
        assert [span.name for span in view.trace_spans(f"{1:032x}")] == [
            "step 1",
            "newer",
            "step 4",
        ]
        query = "FROM spans SELECT span_kind, prompt_version, service, fact_sources <> '{}'"
        rows = view.con.execute(f"{query} WHERE span_kind = 'llm'").fetchall()
        assert rows == [("llm", None, "booking", True)] * 3


def test_an_old_sealed_window_is_compacted_like_any_other(open_store: Opener) -> None:
    written(open_store, sealed=True)
    store = open_store()
    store.seal_before(NOON_NS + 2 * LENGTH_NS)
    assert store.compact()
    (window,) = store.windows()
    assert (window.spans, window.log_records, window.let_go.spans) == (1, 1, 1)


def test_a_newer_file_stops_the_start(open_store: Opener) -> None:
    store = open_store()
    store.insert(NOON_NS, batch_of(web_span(1, 1)), 1)
    store.close()
    with duckdb.connect(str(store.directory / NAME)) as con:
        con.execute(f"UPDATE window_info SET schema_version = {SCHEMA_VERSION + 1}")
    told = rf"its schema version is {SCHEMA_VERSION + 1}, newer than {SCHEMA_VERSION}\. Move"
    with pytest.raises(StateDamaged, match=told):
        open_store()


DIE = """
import os, signal, sys
from halo_otel import duck
from halo_otel.window import upgrade
from halo_otel.window.file import attach, database_of
from pathlib import Path
path = Path(sys.argv[1])
con = duck.connect(path.parent, memory_limit_bytes=1 << 28, threads=1)
attach(con, path)
lines = 0
def trace(frame, event, argument):
    global lines
    if frame.f_code.co_filename != upgrade.__file__:
        return None
    if event == "line":
        lines += 1
        if lines == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    return trace
sys.settrace(trace)
upgrade.bring_up_to_date(con, database_of(path))
"""


@pytest.mark.parametrize("step", [5, 60, 120])
def test_killed_meanwhile_the_next_start_goes_on(open_store: Opener, step: int) -> None:
    path = written(open_store, sealed=True)
    done = subprocess.run([sys.executable, "-c", DIE, str(path), str(step)], check=False)
    assert done.returncode == -9
    with open_store().view(0) as view:
        assert len(view.trace_spans(f"{1:032x}")) == 1
