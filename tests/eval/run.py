"""How good the findings are: `python tests/eval/run.py [--generator alpha|beta] [--seeds a:b]`.

Plants every fault in windows of traffic, analyses them, and counts: precision, recall, where the cause
is found, false alarms on clean windows, calibration, and the naive rules beside it. `--tune` takes the
even seeds (and the applications told with them), `--report` the odd ones, which nobody tunes on.
"""

import argparse
import importlib
import multiprocessing
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.analysis.run import analyse
from halo_otel.config.sections import Analysis
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.report import Report
from halo_otel.window.single import SingleWindow
from tests.eval import naive, tables
from tests.eval.scenario import FAULTS, Window
from tests.eval.score import Judged, judge

GENERATORS: Final = ("alpha", "beta")
_PROCESSES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One window to make and analyse; without a fault it is clean."""

    generator: str
    seed: int
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one window brought."""

    task: Task
    dialect: str
    application: str
    lures: tuple[str, ...]
    judged: tuple[Judged, ...]
    naive_hit: bool
    naive_false: int
    spans: int
    seconds: float


def report_on(window: Window) -> Report:
    """The report on a window as one stored window, every trace settled."""
    builder = RowBuilder()
    last_ns = 0
    for position, span in enumerate(window.spans):
        builder.add_span(span, span.end_ns, position)
        last_ns = max(last_ns, span.end_ns)
    for position, record in enumerate(window.log_records, len(window.spans)):
        builder.add_log_record(record, record.observed_ns, position)
        last_ns = max(last_ns, record.observed_ns)
    with SingleWindow(None) as stored:
        stored.insert(builder.batch())
        with stored.view() as view:
            return analyse(view, settings=Analysis(), until_ns=last_ns + 1, offline=True)


def make(task: Task) -> Window:
    """The window of a task."""
    windows = importlib.import_module(f"tests.eval.{task.generator}.windows")
    made = windows.clean(task.seed) if task.fault is None else windows.faulty(task.seed, task.fault)
    assert isinstance(made, Window), "a generator gives windows"
    return made


def outcome(task: Task) -> Outcome:
    """Make the window, analyse it, judge every finding."""
    began = time.perf_counter()
    window = make(task)
    judged = tuple(judge(one, window) for one in report_on(window).findings)
    seconds = time.perf_counter() - began
    hit, false = naive.hits(window, naive.claims(window))
    return Outcome(
        task=task,
        dialect=window.dialect,
        application=window.application,
        lures=window.lures,
        judged=judged,
        naive_hit=bool(hit),
        naive_false=false,
        spans=len(window.spans),
        seconds=seconds,
    )


def tasks(
    generators: Iterable[str], seeds: Sequence[int], clean: int, faults: Iterable[str]
) -> list[Task]:
    """Every fault once per seed, and `clean` windows whose seeds have the parity of `seeds`."""
    step, first = 2, seeds[0]
    return [
        Task(generator=generator, seed=seed, fault=fault)
        for generator in generators
        for seed, fault in [
            *((seed, fault) for fault in faults for seed in seeds),
            *((first + step * number, None) for number in range(clean)),
        ]
    ]


def measured(todo: Sequence[Task]) -> list[Outcome]:
    """All outcomes, in the order of the tasks."""
    with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
        return pool.map(outcome, todo, chunksize=4)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", choices=GENERATORS, help="only this one")
    parser.add_argument("--seeds", default="0:10", help="from:to, of which --tune takes the even")
    parser.add_argument("--clean", type=int, default=150, help="clean windows per generator")
    parser.add_argument("--fault", action="append", help="only this one; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="print every miss and false finding")
    parser.add_argument("--no-corpora", action="store_true")
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--tune", action="store_true", help="even seeds (the default)")
    half.add_argument("--report", action="store_true", help="odd seeds, other applications")
    told = parser.parse_args()
    first, end = map(int, told.seeds.split(":"))
    seeds = [seed for seed in range(first, end) if seed % 2 == told.report]
    here = Path(__file__).parent
    there = [one for one in GENERATORS if (here / one / "windows.py").exists()]
    chosen = [told.generator] if told.generator else there
    faults = told.fault or [one.name for one in FAULTS]
    for generator in chosen:
        outcomes = measured(tasks([generator], seeds, told.clean, faults))
        print(f"\n== generator {generator}, {'report' if told.report else 'tune'}, seeds {seeds}")
        tables.show(outcomes, verbose=told.verbose)
    if not told.no_corpora:
        tables.show_corpora()


if __name__ == "__main__":
    main()
