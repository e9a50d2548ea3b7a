"""Tokens and cost count once, whoever states them again (conventions §7.5)."""

from halo_otel.analysis import frame
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.judging import judge
from halo_otel.analysis.usual import profile
from tests.analysis.conftest import Run, Traffic, view_of


def judged(traffic: Traffic) -> Judgement:
    with view_of(traffic.rows) as view:
        shard = frame.build(view.con, [run.trace_id for run in traffic.runs])
        (judgement,) = judge(shard, profile.learn(shard))
    return judgement


def turns(run: Run) -> list[dict[str, object]]:
    return [row for row in run.rows if row["span_kind"] == "llm"]


def test_an_agent_that_sums_up_its_calls_counts_nothing(traffic: Traffic) -> None:
    run = traffic.run().turn(tokens=100).turn(tokens=50)
    run.rows[0] |= {"input_tokens": 150, "output_tokens": 0, "cost": 3.0}
    for row, cost in zip(turns(run), (2.0, 1.0), strict=True):
        row["cost"] = cost
    judgement = judged(traffic)
    assert (judgement.tokens, judgement.cost) == (150, 3.0)


def test_usage_stated_only_by_the_agent_is_its_own(traffic: Traffic) -> None:
    run = traffic.run().turn().turn()
    for row in turns(run):
        row |= {"input_tokens": None, "output_tokens": None}
    run.rows[0] |= {"input_tokens": 70, "output_tokens": 7}
    assert judged(traffic).tokens == 77


def test_a_call_seen_by_framework_and_client_library_is_one_turn(traffic: Traffic) -> None:
    run = traffic.run().turn(tokens=100).turn(tokens=100).turn(tokens=40)
    outer, inner, other = turns(run)
    inner["parent_span_id"] = outer["span_id"]
    judgement = judged(traffic)
    assert judgement.tokens == 140
    assert judgement.turns == 2
    (work,) = [w for w in judgement.work if w.group.operation == "llm"]
    assert work.calls == 2
    assert other["span_id"] != inner["span_id"]


def test_the_outer_turn_has_the_usage_of_the_inner_ones(traffic: Traffic) -> None:
    run = traffic.run().turn(tokens=1).turn(tokens=100).turn(tokens=40)
    outer, first, second = turns(run)
    outer |= {"input_tokens": None, "output_tokens": None}
    first["parent_span_id"] = outer["span_id"]
    second["parent_span_id"] = first["span_id"]
    with view_of(traffic.rows) as view:
        shard = frame.build(view.con, [run.trace_id])
        found = shard.con.execute("select tokens from frame_turn").fetchall()
    assert found == [(40,)]
