"""One window analysed once, in a process of its own: what `test_same_bytes` compares.

    python tests/analysis/same_bytes.py TELEMETRY SEED THREADS SHARDS

TELEMETRY is a pickled list of (span, position); its rows are inserted in an order that SEED decides, in
batches, the traces are cut into SHARDS, and the report's JSON goes to standard output.
"""

import pickle
import random
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script

from halo_otel.analysis import frame
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.judging import judge
from halo_otel.analysis.reduce import reduce
from halo_otel.analysis.run import resources_of, summed_up
from halo_otel.analysis.usual import profile
from halo_otel.config import sections
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.report import Report
from halo_otel.model.span import Span
from halo_otel.reports import contract
from halo_otel.window.single import SingleWindow
from halo_otel.window.view import View

SPANS_PER_BATCH = 500


def report_on(view: View, shards: int, chance: random.Random) -> Report:
    """As `run.analyse`, but the traces are judged in shards, in any order."""
    arrivals = view.traces_last_arrival()
    traces = [one.trace_id for one in arrivals if one.agent_spans]
    chance.shuffle(traces)
    view.join_logs(traces)
    cut = [traces[place::shards] for place in range(shards)]
    usual = profile.merge(profile.learn(frame.build(view.con, shard)) for shard in cut)
    judgements: list[Judgement] = []
    for shard in cut:
        judgements += judge(frame.build(view.con, shard), usual)
    chance.shuffle(judgements)
    resources = resources_of(view, judgements)
    reduced = reduce(judgements, settings=sections.Analysis(), resources=resources)
    window = summed_up(view, arrivals, judgements, 0, 0)
    return Report(window=window, coverage=reduced.coverage, findings=reduced.findings)


def main(telemetry: Sequence[tuple[Span, int]], seed: int, threads: int, shards: int) -> None:
    chance = random.Random(seed)
    inserted = chance.sample(telemetry, len(telemetry)) if seed else telemetry
    with SingleWindow(config=sections.Window(threads=threads)) as window:
        builder = RowBuilder()
        for place, (span, position) in enumerate(inserted, start=1):
            builder.add_span(span, span.end_ns, position)
            if place % SPANS_PER_BATCH == 0:
                window.insert(builder.batch())
        window.insert(builder.batch())
        with window.view() as view:
            sys.stdout.write(contract.render(report_on(view, shards, chance)))


if __name__ == "__main__":
    main(pickle.loads(Path(sys.argv[1]).read_bytes()), *map(int, sys.argv[2:]))
