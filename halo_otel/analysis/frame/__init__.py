"""The traces to judge as compact TEMP tables with dense integer ids, so that detectors are short SQL.

    spans   frame_trace     t, trace_id, last_arrival_ns                 one row per trace
            frame_span      t, s, p, span_id, kind, agent, tool, …       one row per span; p = parent's s
    calls   frame_turn      t, s, agent, start_ns, end_ns, tokens, …     model calls
            frame_call      t, s, agent, tool, sig, obs, failed, …       logical tool calls
            frame_repeated  t, agent, place, s, sig, obs, failed         calls of runs that may loop
    mending frame_mended    s                                    failures that were made good
    path    frame_path      s, t, on_path_ns, through_ns             time that a run waited for
    speech  frame_speech    t, s, agent, place, prompt, finish, …    turns with what they led to
    texts   frame_text      t, s, kind, arguments, result, input, …      what was said, bounded
    flow    frame_argument  t, s, tool, name, value, is_id, src, …       what calls were made with
    offers  frame_offer     t, agent, definitions                        which tools agents were given
            frame_shape     t, s, tool, failed, shape                    arguments without their values
    touches frame_touch     t, s, agent, key, mark, nth, base, …          calls about one resource, its versions
    idle    frame_idle      t, s, agent, gap_ns, run_ns, …               times in which agents did nothing
    votes   frame_vote      t, votes, asked, …                           what speaks for success or failure

`s` grows with (trace, start time, span id), so "earlier in the trace" is `<`. An agent is the span's
own, else the nearest ancestor's, else the service. `tokens` and `cost` stand only where they are stated
deepest, so their sum counts nothing twice. `sig` is the hash of tool and arguments, `obs` of what came
back, both without volatile parts (`signatures`); NULL is unknown. A tool call recorded twice, by the
agent and by the MCP client below it, is one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from halo_otel.analysis.frame import (
    calls,
    flow,
    idle,
    mending,
    offers,
    path,
    signatures,
    spans,
    speech,
    texts,
    touches,
    votes,
)

_TABLES: Final = (
    *spans.TABLES,
    *calls.TABLES,
    *mending.TABLES,
    *path.TABLES,
    *texts.TABLES,
    *flow.TABLES,
    *speech.TABLES,
    *offers.TABLES,
    *votes.TABLES,
    *touches.TABLES,
    *idle.TABLES,
)

FAILURES: Final = "failures"
_HOLDS: Final = f"""
select table_name from duckdb_tables() where temporary and estimated_size > 0
union all
select '{FAILURES}' where exists (from frame_span where failed)
"""  # noqa: S608 our name


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The TEMP tables on `con` and how many traces and spans stand in them.

    `holds` are the tables that have any row, and `FAILURES` if any span failed.
    """

    con: duckdb.DuckDBPyConnection
    traces: int
    spans: int
    holds: frozenset[str]


def build(con: duckdb.DuckDBPyConnection, traces: Sequence[str]) -> Frame:
    """Materialise `traces` from the view's relations; replaces the frame that was on `con`."""
    drop(con)
    signatures.install(con)
    spans.build(con, traces)
    calls.build(con)
    mending.build(con)
    path.build(con)
    speech.build(con)
    texts.build(con)
    flow.build(con)
    offers.build(con)
    votes.build(con)
    touches.build(con)
    idle.build(con)
    return Frame(
        con=con,
        traces=spans.count(con, "frame_trace"),
        spans=spans.count(con, "frame_span"),
        holds=frozenset(name for (name,) in con.execute(_HOLDS).fetchall()),
    )


def drop(con: duckdb.DuckDBPyConnection) -> None:
    """Free the frame's memory; nothing happens without a frame."""
    for table in _TABLES:
        con.execute(f"drop table if exists temp.{table}")
