"""What the tools of an environment tell, over small traffic and over recorded runs."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from halo_otel.recursion.environment.arguments import schema
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.registry import TOOLS, call
from halo_otel.recursion.environment.reply import BYTES_MIN
from halo_otel.recursion.environment.tables import TABLES
from tests.analysis.conftest import Traffic
from tests.recursion.environments import (
    INJECTION,
    bookings,
    environment_of,
    first,
    real_runs,
)

BY_NAME = {tool.name: tool for tool in TOOLS}


@pytest.fixture(scope="module")
def small() -> Iterator[Environment]:
    with environment_of(bookings().rows) as environment:
        yield environment


@pytest.fixture(scope="module", params=["tau-airline", "intercode-sql"])
def real(request: pytest.FixtureRequest) -> Iterator[Environment]:
    with real_runs(request.param) as environment:
        yield environment


def told(environment: Environment, name: str, **arguments: object) -> list[dict[str, Any]]:
    """The objects in a tool's reply."""
    reply = call(environment, name, arguments)
    assert not reply.failed, reply.text
    return [json.loads(text) for text in reply.text.split("\n")[2:-1] if text]


def failing(environment: Environment) -> str:
    return first(environment, "select min(trace_id) from traces where outcome = 'failed'")


def booking(environment: Environment, trace_id: str) -> str:
    sql = "select span_id from spans where trace_id = ? and tool = 'book'"
    return first(environment, sql, trace_id)


def asked_of(environment: Environment) -> dict[str, dict[str, object]]:
    """Ordinary arguments for every tool."""
    trace_id, span_id = environment.rows(
        "select trace_id, span_id from spans order by all limit 1"
    )[0]
    other = first(environment, "select max(trace_id) from traces")
    return {
        "overview": {},
        "clusters": {},
        "findings": {},
        "query": {"sql": "select * from spans order by trace_id, step"},
        "search": {"pattern": "a"},
        "goal_tree": {"trace_id": trace_id},
        "trace": {"trace_id": trace_id},
        "span": {"trace_id": trace_id, "span_id": span_id},
        "compare": {"failing": trace_id, "passing": other},
        "path": {"trace_id": trace_id, "span_id": span_id},
        "cohort": {"traces": {"traces": [trace_id]}},
    }


def test_every_tool_is_described_and_has_a_strict_schema() -> None:
    for tool in TOOLS:
        parameters = schema(tool.arguments)
        assert len(tool.description) > 40
        jsonschema.Draft202012Validator.check_schema(parameters)
        assert "$ref" not in json.dumps(parameters)
        for node in objects(parameters):
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


def objects(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def test_the_query_tool_documents_every_column(small: Environment) -> None:
    for table in TABLES:
        columns = small.rows(f"select column_name from (describe {table.name})")
        assert [name for (name,) in columns] == list(table.columns)
        assert table.name in BY_NAME["query"].description


@pytest.mark.parametrize("name", [tool.name for tool in TOOLS])
@pytest.mark.parametrize("bytes_max", [BYTES_MIN, 2_000, 32_000])
def test_every_tool_answers_real_runs_within_its_bytes(
    real: Environment, name: str, bytes_max: int
) -> None:
    arguments = asked_of(real)[name] | {"bytes_max": bytes_max}
    reply = call(real, name, arguments)
    assert not reply.failed, reply.text
    assert len(reply.text.encode()) <= bytes_max
    assert call(real, name, json.dumps(arguments)) == reply
    assert reply.text.count(real.fence.boundary) == 2


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("serach", {}, "did you mean 'search'"),
        ("overview", "{", "no JSON object"),
        ("overview", "[" * 20_000, "no JSON object"),
        ("overview", '{"bytes_max": NaN}', "no JSON"),
        ("overview", "7", "dictionary"),
        (
            "overview",
            {"bytes_max": 10**9},
            "bytes_max: Input should be less than or equal to 32000",
        ),
        ("overview", {"depth": 1}, "depth: Extra inputs"),
        ("trace", {}, "trace_id: Field required"),
        ("trace", {"trace_id": "f" * 32}, "there is no trace"),
        ("trace", {"trace_id": "../../etc/passwd"}, "trace_id: String should match"),
        ("span", {"trace_id": "f" * 32, "span_id": "f" * 16}, "trace lists its spans"),
        ("path", {"trace_id": "f" * 32, "span_id": "f" * 16}, "trace lists its spans"),
        ("goal_tree", {"trace_id": "f" * 32}, "there is no trace"),
        ("compare", {"failing": "f" * 32, "passing": "e" * 32}, "clusters names pairs"),
        ("findings", {"fingerprint": "x"}, "call findings without one"),
        ("clusters", {"cluster": "x"}, "call clusters without one"),
        ("cohort", {"traces": {}}, "name some and not all"),
        ("search", {"pattern": "("}, "missing"),
        ("search", {"pattern": "a{99999}"}, "invalid repetition"),
        ("search", {"pattern": "a", "fields": ["password"]}, "fields.0"),
        ("query", {"sql": "select nothing from traces"}, "nothing"),
        ("query", {"sql": "drop table traces"}, "one SELECT"),
    ],
)
def test_a_wrong_call_is_answered_with_what_would_be_right(
    small: Environment, name: str, arguments: Any, says: str
) -> None:
    reply = call(small, name, arguments)
    assert reply.failed
    assert says in reply.text
    assert len(reply.text) < 1_200


def test_overview_counts_what_is_there(small: Environment) -> None:
    head, *listed = told(small, "overview")
    assert (head["traces"], head["outcomes"]) == (30, {"failed": 10, "passed": 20})
    tools = {one["tool"]: (one["calls"], one.get("failed", 0)) for one in listed if "tool" in one}
    assert tools == {"book": (30, 10), "search": (30, 0)}


def test_clusters_pair_a_failing_run_with_the_nearest_passing_one(small: Environment) -> None:
    clusters = told(small, "clusters", bytes_max=20_000)
    assert clusters[0]["cluster"] in small.findings
    worst = next(one for one in clusters if one["failed"] == 10)
    outcomes = {one.trace_id: one.failed for one in small.judgements}
    assert outcomes[worst["medoid"]] is True
    assert outcomes[worst["nearest_passing"]] is False
    (alone,) = told(small, "clusters", cluster=worst["cluster"])
    assert alone == worst


def test_what_no_finding_explains_is_a_cluster_of_its_own() -> None:
    traffic = Traffic().healthy(6)
    run = traffic.run(outcome=None).call("search", {"q": "x"}, "found").turn()
    run.rows[0]["evaluations"] = '[{"name": "goal reached", "score": 0.0, "label": "fail"}]'
    with environment_of(traffic.rows) as environment:
        (cluster,) = told(environment, "clusters")
    assert (cluster["cluster"], cluster["medoid"]) == ("unexplained:shop/booker", run.trace_id)


def test_a_finding_whole_names_its_evidence(small: Environment) -> None:
    listed = told(small, "findings")
    assert [one["fingerprint"] for one in listed] == list(small.findings)
    whole, *evidence = told(
        small, "findings", fingerprint=listed[0]["fingerprint"], bytes_max=20_000
    )
    assert whole["recommendation"]
    for spot in evidence:
        found = small.rows(
            "select 1 from spans where trace_id = ? and span_id = ?",
            [spot["trace_id"], spot["span_id"]],
        )
        assert found


def test_search_finds_by_pattern_field_and_set(small: Environment) -> None:
    head, *matches = told(
        small, "search", pattern=r"2024-13-\d+", fields=["error"], bytes_max=20_000
    )
    assert (head["matches"], head["traces"], len(matches)) == (10, 10, 10)
    assert all(one["match"] in one["context"] for one in matches)
    assert not told(small, "search", pattern="NOT VALID")
    head, *_ = told(small, "search", pattern="NOT VALID", ignore_case=True, fields=["error"])
    assert head["matches"] == 10
    assert not told(small, "search", pattern="2024-13", traces={"outcome": "passed"})
    fingerprint = next(iter(small.findings))
    head, *_ = told(small, "search", pattern=".", traces={"finding": fingerprint})
    assert head["traces"] == len(small.findings[fingerprint].traces)


def test_the_goal_tree_is_walked_from_node_to_node(small: Environment) -> None:
    trace_id = failing(small)
    seen, todo = 0, [0]
    while todo:
        node, *children = told(
            small, "goal_tree", trace_id=trace_id, node=todo.pop(), bytes_max=20_000
        )
        seen += 1
        assert len(children) == node.get("children", 0)
        todo += [child["node"] for child in children]
    assert seen == len(small.goals(trace_id))
    root, *_ = told(small, "goal_tree", trace_id=trace_id)
    assert root["correctness"] == "bad"


def test_a_trace_lists_its_steps_and_a_span_its_texts(small: Environment) -> None:
    trace_id = failing(small)
    head, *steps = told(small, "trace", trace_id=trace_id, bytes_max=20_000)
    assert head["outcome"] == "failed"
    assert [one["step"] for one in steps] == list(range(1, len(steps) + 1))
    span_id = booking(small, trace_id)
    facts, *texts = told(small, "span", trace_id=trace_id, span_id=span_id)
    assert facts["tool"] == "book"
    assert {one["field"] for one in texts} == {"arguments", "error"}


def test_a_long_text_is_read_on_piece_by_piece() -> None:
    text = "".join(f"“{number}”\n" for number in range(1_500))
    traffic = Traffic().healthy(2)
    traffic.run().call("read", {"p": 1}, text)
    with environment_of(traffic.rows) as environment:
        trace_id, span_id = environment.rows(
            "select trace_id, span_id from spans where tool = 'read'"
        )[0]
        _, *listed = told(environment, "span", trace_id=trace_id, span_id=span_id)
        assert "goes_on" in next(one for one in listed if one["field"] == "result")
        read, offset = "", 0
        while offset < len(text):
            (piece,) = told(
                environment,
                "span",
                trace_id=trace_id,
                span_id=span_id,
                field="result",
                offset=offset,
            )
            assert piece["to"] > offset
            read, offset = read + piece["text"], piece["to"]
    assert read == text


def test_compare_shows_where_two_runs_part(small: Environment) -> None:
    passing = first(small, "select min(trace_id) from traces where outcome = 'passed'")
    head, *parts = told(small, "compare", failing=failing(small), passing=passing, bytes_max=9_000)
    assert head["same_beginning"] >= 2
    words = json.dumps(parts)
    assert "2024-13" in words
    assert "is not valid" in words


def test_path_goes_back_along_edges(small: Environment) -> None:
    trace_id = failing(small)
    _, *edges = told(small, "path", trace_id=trace_id, span_id=booking(small, trace_id))
    kinds = {one["kind"] for one in edges if one["back"] == 1}
    assert kinds == {"parent", "emission", "data"}
    said = next(one for one in edges if one["kind"] == "data" and one["back"] == 1)
    assert said["source"].get("tool") == "search"
    assert "offer" in said["said"]


def test_an_answer_flows_into_the_turn_that_is_given_it() -> None:
    run = Traffic().run()
    run.call("search", {"q": "x"}, "found a very particular offer").turn(
        input_text='[{"role": "tool", "content": "found a very particular offer"}]'
    )
    with environment_of(run.rows) as environment:
        edges = environment.rows(
            "select low.tool, high.kind from edges join spans low on from_id = low.span_id"
            " join spans high on to_id = high.span_id where edges.kind = 'data'"
        )
    assert edges == [("search", "llm")]


def test_cohort_names_what_a_set_has_in_common() -> None:
    traffic = Traffic()
    for number in range(120):
        bad = number % 3 == 0
        run = traffic.run(outcome=not bad)
        run.call("search", {"q": f"trip {number}"}, f"found {number}").turn()
        for row in run.rows:
            row["service_version"] = "2.4.0" if bad else "2.3.0"
    with environment_of(traffic.rows) as environment:
        head, *found = told(environment, "cohort", traces={"outcome": "failed"})
    assert (head["set"], head["others"]) == (40, 80)
    assert found[0]["cohort"] == {"version": "2.4.0"}
    assert found[0]["of_the_set"] == 40


def test_what_traces_say_stays_in_the_fence_everywhere() -> None:
    traffic = bookings(6, 3)
    for run in traffic.runs:
        run.call(INJECTION, {"q": INJECTION}, INJECTION, error=INJECTION)
        for row in run.rows:
            row["agent_name"] = INJECTION if row["span_kind"] == "agent" else None
    with environment_of(traffic.rows) as environment:
        mark = environment.fence.boundary
        for name, arguments in asked_of(environment).items():
            text = call(environment, name, arguments | {"bytes_max": 30_000}).text
            before, _, rest = text.partition(f"<{mark}>")
            assert "Ignore all" not in before
            assert rest.endswith(f"</{mark}>")
            assert not set("\u202e\u200b\x1b") & set(text)
        bad = call(environment, "query", {"sql": "select name::int from spans"})
        assert "Ignore all" not in bad.text.partition(f"<{mark}>")[0]


def test_texts_leave_only_as_shown() -> None:
    secret = "mia@example.com"
    traffic = bookings(6, 3)
    for run in traffic.runs:
        run.call("mail", {"to": secret}, f"sent to {secret}", error=f"{secret} bounced")
        run.rows[0] |= {"input_text": f"write to {secret}", "session_id": secret, "name": secret}
    with environment_of(traffic.rows, lambda text: text.replace(secret, "[mail]")) as environment:
        replies = [
            call(environment, name, arguments | {"bytes_max": 30_000}).text
            for name, arguments in asked_of(environment).items()
        ]
        for one in environment.findings:
            replies.append(call(environment, "findings", {"fingerprint": one}).text)
        letters = (
            "select list_distinct(list_transform(range(15), lambda i: arguments[i + 8])) from spans"
        )
        replies.append(call(environment, "query", {"sql": letters}).text)
        assert not told(environment, "search", pattern="mia@")
    assert not [text for text in replies if secret in text]
    assert any("[mail]" in text for text in replies)


def test_a_window_of_a_thousand_runs_costs_no_more_bytes() -> None:
    with environment_of(bookings(800, 200).rows) as environment:
        assert len(environment.judgements) == 1_000
        for name, arguments in asked_of(environment).items():
            for bytes_max in (BYTES_MIN, 6_000):
                reply = call(environment, name, arguments | {"bytes_max": bytes_max})
                assert not reply.failed, reply.text
                assert len(reply.text.encode()) <= bytes_max
        head, *_ = told(environment, "overview")
        assert head["outcomes"] == {"failed": 200, "passed": 800}
        assert len(call(environment, "clusters", {}).text) < 6_000


def test_the_same_window_gives_the_same_replies_in_any_order() -> None:
    rows = bookings(12, 6).rows
    replies = []
    for given in (rows, rows[::-1]):
        with environment_of(given) as environment:
            replies.append([call(environment, *pair) for pair in asked_of(environment).items()])
    assert replies[0] == replies[1]


def test_a_window_without_traces_has_answers_too() -> None:
    with environment_of([]) as environment:
        assert told(environment, "overview")[0]["traces"] == 0
        assert not told(environment, "clusters")
        assert told(environment, "query", sql="select count(*) as n from traces") == [{"n": 0}]
