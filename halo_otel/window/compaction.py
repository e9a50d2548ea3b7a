"""What is about no agent is left out of a sealed window, and counted.

Operators attach whole pipelines: most traces there have no agent span. A window is written anew
without them into a second file, which then takes the first one's place.

- A trace is an agent's if any window holds a span of it that bears agent telemetry, or a GenAI log
  record that bears its id. All of it stays, in every window.
- Of all other traces only counts per service stay (`let_go`), and so of the log records that bear no
  agent trace's id. GenAI log records always stay.

A window waits until the one after it is sealed: agents' spans are sent as they end, so a trace had
at least a whole `window.length` to show one, and the scheduled analysis has seen the window as it
came. What arrives later for a trace that was let go is a new trace. If it is an agent's span, the
earlier spans are gone: that is the price.
"""

from collections.abc import Iterable
from typing import Final

from halo_otel.duck import Connection
from halo_otel.window.file import LET_GO_SUMS, WindowFile, attach, discard, new_of, sync, wal_of
from halo_otel.window.schema import TABLES, LetGo
from halo_otel.window.tables import create_tables
from halo_otel.window.texts import referenced

# Rows that must be dispensable, else the file stays as it is: writing the others anew costs as much
# as storing them did.
LET_GO_SHARE_MIN: Final = 0.1

_NEW: Final = "compacted"  # what the new file is attached as
_USED: Final = f"FROM {_NEW}.spans SELECT {{id}} UNION FROM {_NEW}.log_records SELECT {{id}}"  # noqa: S608 our name
# Which rows of the tables stay; those of other tables all do. Spans and log records come first.
_SIFTED: Final = {
    "spans": "trace_id NOT IN (FROM strange_traces)",
    "log_records": "genai_event IS NOT NULL OR trace_id NOT IN (FROM strange_traces)",
    "resources": f"resource_id IN ({_USED.format(id='resource_id')})",
    "scopes": f"scope_id IN ({_USED.format(id='scope_id')})",
    "texts": f"text_id IN ({referenced(_NEW)})",
}
_MADE: Final = ("window_info", "let_go")

_STRANGE_TRACES: Final = """
CREATE TEMP TABLE strange_traces AS
FROM {old}.spans SELECT trace_id UNION FROM {old}.log_records SELECT trace_id
"""
_KNOWN_TRACES: Final = """
DELETE FROM strange_traces WHERE trace_id IN (
    FROM {window}.spans SELECT trace_id WHERE span_kind <> 'other'
    UNION ALL
    FROM {window}.log_records SELECT trace_id WHERE genai_event IS NOT NULL AND trace_id <> '')
"""
# A trace counts for the service of its first span, so that the sum counts it once.
_LET_GO: Final = """
CREATE OR REPLACE TEMP TABLE let_go AS
WITH strange_spans AS (
    FROM {old}.spans SELECT coalesce(service, '') AS service, trace_id, start_ns
    WHERE trace_id IN (FROM strange_traces)),
parts AS (
    FROM (FROM strange_spans SELECT arg_min(service, start_ns) AS service GROUP BY trace_id)
    SELECT service, 1 AS traces, 0 AS spans, 0 AS log_records
    UNION ALL FROM strange_spans SELECT service, 0, 1, 0
    UNION ALL FROM {old}.log_records SELECT coalesce(service, ''), 0, 0, 1
    WHERE genai_event IS NULL AND trace_id IN (FROM strange_traces))
FROM parts SELECT service, sum(traces)::BIGINT AS traces, sum(spans)::BIGINT AS spans,
                  sum(log_records)::BIGINT AS log_records
GROUP BY service
"""


def rewrite(con: Connection, file: WindowFile, windows: Iterable[str]) -> LetGo | None:
    """Write what is to stay of a sealed `file` to `new_of` its path, whole and synced to the disk.

    Returns what it left out; None if that is so little that nothing was written. `windows` are the
    databases of all windows, each done with before the next is asked for; `con` is for this call
    alone. Raises `duck.Error` and `OSError`; then nothing is left behind.
    """
    let_go = _survey(con, file, windows)
    if let_go is None:
        return None
    new = new_of(file.path)
    try:
        discard(new)
        attach(con, new, database=_NEW)
        try:
            _copy(con, file)
        finally:
            con.execute(f"DETACH {_NEW}")
        if wal_of(new).exists():
            raise OSError(f"{wal_of(new)} could not be brought into its file")
        sync(new)
    except BaseException:
        discard(new)
        raise
    return let_go


def _survey(con: Connection, file: WindowFile, windows: Iterable[str]) -> LetGo | None:
    """What to let go of, counted per service in `temp.let_go`; None if it is too little.

    The other windows are asked only if this one alone does not settle that: where all is about agents,
    a survey takes some milliseconds however many windows there are.
    """
    least = max(1, LET_GO_SHARE_MIN * (file.spans + file.log_records))
    let_go = None
    con.execute(_STRANGE_TRACES.format(old=file.database))
    for asked in ([file.database], windows):
        for window in asked:
            con.execute(_KNOWN_TRACES.format(window=window))
        con.execute(_LET_GO.format(old=file.database))
        row = con.execute(f"FROM temp.let_go SELECT {LET_GO_SUMS}").fetchone()
        assert row is not None, "an aggregate has one row"
        let_go = LetGo(*row)
        if let_go.spans + let_go.log_records < least:
            return None
    return let_go


def _copy(con: Connection, file: WindowFile) -> None:
    create_tables(con, _NEW, file.start_ns, file.end_ns)
    con.execute(f"UPDATE {_NEW}.window_info SET sealed = true")  # noqa: S608 our name
    con.execute(f"DELETE FROM {_NEW}.journal_offset")  # noqa: S608 our name
    con.execute(f"INSERT INTO {_NEW}.let_go BY NAME FROM temp.let_go")
    for table in TABLES:
        if table not in _MADE:
            stays = _SIFTED.get(table, "true")
            con.execute(
                f"INSERT INTO {_NEW}.{table} BY NAME FROM {file.database}.{table} WHERE {stays}"
            )
    con.execute(f"CHECKPOINT {_NEW}")
