"""Judging survives what senders claim."""

from halo_otel.analysis.goals.tree import goal_tree
from halo_otel.analysis.run import analyse
from halo_otel.config import sections
from tests.analysis.conftest import Traffic, view_of

INT64_MAX = 2**63 - 1


def test_times_and_tokens_at_the_edge_of_64_bits(traffic: Traffic) -> None:
    traffic.healthy(5)
    wild = traffic.run()
    for number in range(20):
        wild.call("search", {"q": number}, "x").turn()
    for place, row in enumerate(wild.rows):
        row.update(start_ns=(0, INT64_MAX, -INT64_MAX)[place % 3], end_ns=INT64_MAX)
        row.update(input_tokens=INT64_MAX, output_tokens=INT64_MAX)
    with view_of(traffic.rows) as view:
        report = analyse(view, settings=sections.Analysis(), until_ns=0, offline=True)
        assert report.window.settled == 6
        assert goal_tree(view, wild.trace_id)
