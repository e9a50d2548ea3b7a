"""Seconds and peak memory of one analysis: `python tests/bench/analysis.py [spans] [--profile] [path …]`.

With paths, of the traces in these files. `--profile` adds where the CPU seconds of all threads went,
table by table and detector by detector.

Synthetic agent runs, made by SQL: an agent, its model turns and calls, an HTTP span in each call; 2 % of
the traces loop, 2 % storm, 3 % fail with one of a few errors, one tool is slow in 3 % of the traces.
"""

import argparse
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script

from halo_otel.analysis import frame, judging, run
from halo_otel.analysis.causality import origins
from halo_otel.analysis.claims import folding
from halo_otel.analysis.detectors import DETECTORS
from halo_otel.analysis.usual import profile
from halo_otel.config import sections
from halo_otel.duck import Connection
from halo_otel.service.loading import collect_cycles_rarely, load
from halo_otel.window.single import SingleWindow
from halo_otel.window.view import View

STEPS = 10  # per trace, each a turn, a call and the HTTP span in it

_FILL = """
create or replace temp table made as
with step as (
  select trace, step, hash(trace) % 100 as fate, hash(trace, step) as dice
  from range($traces) as a (trace), range($steps) as b (step)),
part as (select *, unnest([0, 1, 2]) as part from step),
told as (
  select *, 'tool_' || case when fate < 4 then 0 else dice % 8 end as tool,
         case when fate < 2 then 'same' when fate < 4 then 'storm' else dice::varchar end as what,
         part = 1 and ((fate between 2 and 3) or (fate = 4 and step = 9)) as failed
  from part)
select printf('%032x', trace) as trace_id,
       printf('%016x', trace * 64 + step * 3 + part + 1) as span_id,
       case part when 2 then printf('%016x', trace * 64 + step * 3 + 2)
                 else printf('%016x', trace * 64 + 63) end as parent_span_id,
       case part when 0 then 'chat' when 1 then 'execute_tool ' || tool else 'POST' end as name,
       1700000000000000000 + trace * 100000000 + (step * 40 + part * 20)::bigint * 100000000 as start_ns,
       case part when 0 then 'llm' when 1 then 'tool' else 'other' end as span_kind,
       case when part = 1 then tool end as tool_name, dice,
       case when part = 1 then '{"q":"' || what || '"}' end as tool_arguments,
       case when part = 1 then 'result of ' || what || repeat(' lorem ipsum', 40) end as tool_result,
       case when failed then 'TimeoutError: gave up after ' || (dice % 90) || ' s' end as error_message,
       case when failed then 'status' end as error_source,
       case when part = 0 then 800 + dice % 900 end as input_tokens,
       (exp(((dice % 1000) / 1000.0 + (dice // 1000 % 1000) / 1000.0 + (dice // 1000000 % 1000) / 1000.0
             - 1.5) * 1.2) * 3e8 * case when fate = 5 and part = 1 and tool = 'tool_3' then 20 else 1 end
       )::bigint as ns, fate
from told
union all
select printf('%032x', trace), printf('%016x', trace * 64 + 63), '', 'invoke_agent worker',
       1700000000000000000 + trace * 100000000 - 1, 'agent', null, trace, null, null, null, null, null,
       41000000000, 0
from range($traces) as a (trace)
"""
_INSERT = """
insert into {database}.spans by name
select trace_id, span_id, parent_span_id, '' as trace_state, 0 as flags, name, 1 as kind, start_ns,
       start_ns + ns as end_ns, case when error_source is null then 0 else 2 end as status_code,
       coalesce(error_message, '') as status_message, '{{}}' as attributes, '[]' as events, '[]' as links,
       0 as dropped_attributes_count, 0 as dropped_events_count, 0 as dropped_links_count,
       1 as resource_id, 1 as scope_id, start_ns + ns as arrival_ns,
       row_number() over () as "position", 'bench' as service, span_kind, 'gen_ai' as dialects,
       case when span_kind = 'agent' then 'worker' end as agent_name, tool_name, tool_arguments,
       length(tool_arguments) as tool_arguments_chars, tool_result,
       length(tool_result) as tool_result_chars, error_message, error_source, input_tokens,
       case when span_kind = 'llm' then 'model-a' end as model_requested, '{{}}' as fact_sources
from made
"""


Spent = defaultdict[str, float]  # CPU seconds by part


def main(spans: int, paths: list[Path], *, profiled: bool) -> None:
    collect_cycles_rarely()  # as the engine and every command that reads files do
    with SingleWindow() as window:
        if paths:
            for batch in load(paths, lambda bad: None, workers=1):
                window.insert(batch)
        else:
            fill(window, spans)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        spent: Spent = defaultdict(float)
        if profiled:
            watch(spent)
        with window.view() as view:
            measure(view, before)
        for part, seconds in sorted(spent.items(), key=lambda one: -one[1]):
            print(f"{seconds:8.3f} s  {part}")


def fill(window: SingleWindow, spans: int) -> None:
    fill_database(window._connection, "window_single", spans)


def fill_database(con: Connection, database: str, spans: int) -> None:
    con.execute(_FILL, {"traces": spans // (3 * STEPS + 1), "steps": STEPS})
    con.execute(_INSERT.format(database=database))
    con.execute("drop table made")


def watch(spent: Spent) -> None:
    """Add what each part of an analysis takes to `spent`, from now on and for good."""

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **options: Any) -> Any:
            began = time.process_time()
            try:
                return function(*args, **options)
            finally:
                spent[part] += time.process_time() - began

        return measured

    places: list[tuple[Any, str, str]] = [
        (origins, "origins", "origins"),
        (folding, "links", "causes"),
        (profile, "learn", "usual"),
        (run, "judge", "judging in all"),
        (run, "reduce", "reduce"),
        *(
            (room, "build", f"frame.{room.__name__.rpartition('.')[2]}")
            for room in vars(frame).values()
            if hasattr(room, "TABLES") and hasattr(room, "build")
        ),
    ]
    for room, name, part in places:
        setattr(room, name, timed(part, getattr(room, name)))
    watched = tuple(
        replace(detector, find=timed(f"detector {detector.name}", detector.find))
        for detector in DETECTORS
    )
    vars(judging)["DETECTORS"] = watched


def measure(view: View, before_mib: float) -> None:
    start, worked = time.perf_counter(), time.process_time()
    report = run.analyse(view, settings=sections.Analysis(), until_ns=0, offline=True)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{report.window.spans} spans, {report.window.traces} traces: {seconds:.2f} s, CPU {cpu_s:.2f} s,"
        f" peak {peak:.0f} MiB (data alone {before_mib:.0f} MiB)"
    )
    for finding in report.findings:
        print(f"  {finding.severity:5} {finding.impact.traces_affected:6} {finding.title}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("spans", type=int, nargs="?", default=100_000)
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    main(asked.spans, asked.paths, profiled=asked.profile)
