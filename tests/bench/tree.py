"""Seconds that goal trees take, and how deep they are: `python tests/bench/tree.py [spans] [folder]`.

The synthetic runs of `analysis.py`, as traces of 31 spans and as one single trace; then every trace of
a folder of trace files, set by set (a set is a folder in it).
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from halo_otel.analysis.goals.tree import goal_trees
from halo_otel.model.goal import GoalNode
from halo_otel.service.loading import load
from halo_otel.window.single import SingleWindow
from halo_otel.window.view import View
from tests.bench import analysis

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
ONE_TRACE = """
update window_single.spans set trace_id = repeat('f', 32),
    parent_span_id = case when parent_span_id = '' and span_id <> printf('%016x', 63)
                          then printf('%016x', 63) else parent_span_id end
"""


def depth(tree: Sequence[GoalNode]) -> int:
    """Levels on the longest way down."""
    depths: list[int] = []
    for node in tree:
        depths.append(1 if node.parent < 0 else depths[node.parent] + 1)
    return max(depths)


def measure(what: str, view: View) -> None:
    """Grow every tree of a view three times and print the best, with and without making each node.

    CPU seconds are of all threads: on a busy machine they say more than the clock.
    """
    traces = [row[0] for row in view.con.execute("select distinct trace_id from spans").fetchall()]
    spans = view.con.execute("select count(*) from spans").fetchall()[0][0]
    grown, read, cpu = [], [], []
    for _ in range(3):
        start, worked = time.perf_counter(), time.process_time()
        trees = goal_trees(view, traces)
        grown.append(time.perf_counter() - start)
        cpu.append(time.process_time() - worked)
        nodes = sum(len(list(tree)) for tree in trees.values())
        read.append(time.perf_counter() - start)
    print(
        f"{what}: {spans:,} spans, {len(trees):,} traces, {nodes:,} goals: {min(grown):.2f} s,"
        f" CPU {min(cpu):.2f} s; {min(read):.2f} s with every goal read"
    )


@contextmanager
def loaded(folder: Path) -> Iterator[View]:
    with SingleWindow() as window:
        for batch in load([folder], lambda *bad: None, workers=1):
            window.insert(batch)
        with window.view() as view:
            yield view


def deep(folder: Path) -> None:
    """One line of the table: how deep the trees of a set are."""
    with loaded(folder) as view:
        rows = view.con.execute("select distinct trace_id from spans").fetchall()
        start = time.perf_counter()
        trees = goal_trees(view, [row[0] for row in rows]).values()
        seconds = time.perf_counter() - start
    depths = [depth(tree) for tree in trees]
    nodes = [len(tree) for tree in trees]
    print(
        f"{folder.name:20} {len(depths):7} {min(depths):4} {median(depths):7.0f} {max(depths):4}"
        f" {min(nodes):6} {median(nodes):7.0f} {max(nodes):6} {sum(nodes):7} {seconds:6.2f}"
    )


def main(spans: int, corpus: Path) -> None:
    traces = spans // (3 * analysis.STEPS + 1)
    with SingleWindow() as window:
        con = window._connection
        con.execute(analysis._FILL, {"traces": traces, "steps": analysis.STEPS})
        con.execute(analysis._INSERT)
        with window.view() as view:
            measure("many traces", view)
        con.execute(ONE_TRACE)
        with window.view() as view:
            measure("one trace", view)
    if corpus.is_dir():
        print(f"{'':20} {'traces':>7} {'depth min/median/max':>17} {'goals min/median/max':>21}")
        for folder in sorted(path for path in corpus.iterdir() if path.is_dir()):
            deep(folder)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 100_000,
        Path(sys.argv[2]) if len(sys.argv) > 2 else CORPUS,
    )
