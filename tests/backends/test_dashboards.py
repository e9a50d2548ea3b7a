"""Every query of Grafana's files that Loki and Prometheus answer, asked of them after the demo's traffic.

TraceQL is for Tempo, which is not to be had here: tests/deploy/test_grafana_names.py reads those queries.
"""

import json
import re
from dataclasses import replace
from typing import Final

import pytest

from tests.backends.scene import RECORDS, Scene
from tests.backends.servers import BACK_S, Answer
from tests.deploy.queries import Query, dashboards, every, panels
from tests.path.conftest import eventually

QUERIES: Final = tuple(query for query in every() if query.language != "traceql")
BOARDED: Final = tuple(
    (name, panel) for name, board in dashboards().items() for panel in panels(board)
)
# After this traffic these find nothing, and why. All others find something.
HEALTHY: Final = "the service is well; test_alerts.py has one that is not"
NOTHING: Final[dict[str, str]] = {
    "halo-overview/4/A Regressed": "no finding comes again that was resolved",
    "halo-operations/9/A Certificate": "the servers speak plain text",
    **{
        query.place: HEALTHY
        for query in QUERIES
        if query.place.startswith("alert ") and query.place != "alert HaloFinding"
    },
}
# Of a panel that says 0 where there is nothing, data is more than 0.
ABOVE_ZERO: Final = (
    *(f"halo-overview/{number}/A" for number in (2, 3, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17)),
    *("halo-overview/19/A", "halo-overview/19/B", "halo-overview/20/A", "halo-overview/21/A"),
    *(f"halo-finding/{number}/A" for number in (5, 6, 7, 8, 9, 10, 13, 14)),
    *("halo-operations/2/A", "halo-operations/4/A", "halo-operations/11/A"),
    *("halo-operations/13/A", "halo-operations/13/B", "halo-operations/14/A"),
    *("halo-operations/14/B", "halo-operations/16/A", "halo-operations/18/A"),
    *("halo-operations/18/B", "halo-operations/19/A", "halo-operations/23/A"),
    *("halo-operations/32/A", "halo-operations/32/B", "halo-operations/33/A"),
    "halo-operations/34/A",
)
# What the variables of the overview are called in series and in log records.
LABELS: Final[dict[str, tuple[str, ...]]] = {
    "service": ("service", "service_name"),
    "agent": ("agent", "gen_ai_agent_name"),
    "category": ("category", "halo_finding_category"),
    "severity": ("severity", "halo_finding_severity"),
}
NARROWED: Final = tuple(
    query
    for query in QUERIES
    if query.place.startswith("halo-") and any(f"${name}" in query.text for name in LABELS)
)
TABLES: Final = tuple(
    query
    for query in QUERIES
    for board, panel in BOARDED
    if panel["type"] == "table"
    and query.language == "logql"
    and query.place.startswith(f"{board}/{panel['id']}/")
)
# No finding of this traffic is about a model, or an error's type.
NOT_HERE: Final = {"gen_ai_request_model", "error_type"}
ONE_FINDING: Final = ' | halo_finding_fingerprint="$fingerprint"'


def asked(scene: Scene, query: Query, **more: str) -> Answer:
    """What its backend says, with the finding that wasted most for the one that is looked at."""
    finding = scene.dearest
    values = {
        "fingerprint": finding.fingerprint,
        "trace_id": finding.evidence[0].trace_id,
        "__range": f"{BACK_S}s",
        "__interval": "1m",
        "__rate_interval": "1m",
    }
    if query.place.startswith("data source"):
        values["service"] = finding.subject.service or ""
    backend = scene.loki if query.language == "logql" else scene.prometheus
    return backend.ask(query.filled(values | more), instant=query.instant)


@pytest.mark.collector
@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.place)
def test_a_query_finds_what_it_is_for(query: Query, scene: Scene) -> None:
    answer = asked(scene, query)
    assert not answer.error, query.text
    assert answer.empty == (query.place in NOTHING), NOTHING.get(query.place, query.text)
    if query.place.startswith(tuple(f"{place} " for place in ABOVE_ZERO)):
        assert max(answer.numbers) > 0


def test_what_is_expected_is_about_queries_there_are() -> None:
    places = {query.place for query in QUERIES}
    assert set(NOTHING) <= places
    for place in ABOVE_ZERO:
        assert any(one.startswith(f"{place} ") for one in places), place


@pytest.mark.collector
@pytest.mark.parametrize("query", NARROWED, ids=lambda query: query.place)
def test_variables_narrow_a_query_down(query: Query, scene: Scene) -> None:
    """Chosen are the service, agent, category and severity of one finding: of no others anything is said."""
    known = next(one for one in scene.findings if one.subject.agent and one.impact.tokens_wasted)
    chosen = {
        "service": known.subject.service or "",
        "agent": known.subject.agent or "",
        "category": known.category,
        "severity": known.severity.value,
    }
    answer = asked(scene, query, **chosen)
    assert not answer.error
    assert answer.empty == (query.place in NOTHING)
    for name, labels in LABELS.items():
        if f"${name}" in query.text:
            assert set().union(*map(answer.labels, labels)) <= {chosen[name]}


@pytest.mark.collector
def test_every_record_is_in_loki(scene: Scene) -> None:
    """Also those about evidence of more than an hour ago: Loki refuses what is much older than the newest."""
    eventually("Loki has as many as were sent", scene.told, 20)
    assert max(scene.loki.ask(RECORDS, instant=True).numbers) > len(scene.findings)
    assert "\terror\t" not in scene.log


@pytest.mark.collector
def test_an_occurrence_leads_to_a_trace_that_tempo_got(scene: Scene) -> None:
    [query] = [one for one in QUERIES if one.place.endswith("Affected traces")]
    led = asked(scene, query).labels("trace_id")
    assert led
    assert led <= scene.traces
    assert led & {one.trace_id for one in scene.dearest.evidence}


@pytest.mark.collector
@pytest.mark.parametrize("query", TABLES, ids=lambda query: query.place)
def test_columns_of_a_table_are_labels_that_loki_gives(query: Query, scene: Scene) -> None:
    """Of all findings: one about a tool names it, one about a whole service does not."""
    [panel] = [one for name, one in BOARDED if query.place.startswith(f"{name}/{one['id']}/")]
    of_all = replace(query, text=query.text.replace(ONE_FINDING, ""))
    streams = asked(scene, of_all).result
    given = {label for one in streams for label in one["stream"]}
    steps = json.dumps(panel["transformations"])
    columns = set(re.findall(r"\b(?:halo_finding|gen_ai|service|trace|span|error)_\w+", steps))
    assert columns
    assert columns - given == columns & NOT_HERE
