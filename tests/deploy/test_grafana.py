"""Grafana's files: dashboards that load anywhere, data sources that lead to each other, alert rules."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.deploy.queries import dashboards, every, links, panels, provisioned, rules

BOARDS = dashboards()
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
SOURCES = {one["uid"]: one for one in provisioned("datasources")["datasources"]}
PROMETHEUS_RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "halo-otel.rules.yaml"
DRAWN = {"stat", "timeseries", "bargauge"}  # panels of figures; the others show words
# What Grafana itself knows: __data of a row, __from and __to, __url_time_range, and what counts time.
BUILT_IN = re.compile(r"__\w+")
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")


def texts(value: Any) -> list[str]:
    """Every text in a tree of JSON."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def sources(value: Any) -> list[dict[str, str]]:
    """Every data source that a tree of JSON names."""
    found = []
    if isinstance(value, dict):
        found = [value["datasource"]] if isinstance(value.get("datasource"), dict) else []
        value = list(value.values())
    if isinstance(value, list):
        found += [one for item in value for one in sources(item)]
    return found


def test_there_are_three() -> None:
    assert set(BOARDS) == {"halo-overview", "halo-finding", "halo-operations"}


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_classic_and_whole(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == name
    assert board["id"] is None, "an id belongs to one Grafana"
    assert isinstance(board["schemaVersion"], int)
    assert not {"apiVersion", "elements", "spec"} & set(board)
    assert board["title"]
    assert board["description"]
    assert "halo-otel" in board["tags"]
    assert re.fullmatch(r"[1-9]\d*[sm]", board["refresh"])
    assert int(re.sub(r"\D", "", board["refresh"])) >= (30 if board["refresh"][-1] == "s" else 1)
    assert re.fullmatch(r"now-\d+[hd]", board["time"]["from"])


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_beside_each_other(name: str) -> None:
    board = BOARDS[name]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=lambda one: str(one)[:40])
def test_a_panel_explains_itself(name: str, panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith("."), f"{name}: {panel['title']}"
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    if panel["type"] in DRAWN:
        assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("name", BOARDS)
def test_data_sources_are_the_user_s_choice(name: str) -> None:
    board = BOARDS[name]
    offered = {
        v["name"]: v["query"] for v in board["templating"]["list"] if v["type"] == "datasource"
    }
    for source in sources({"panels": board["panels"], "templating": board["templating"]}):
        assert offered[source["uid"].removeprefix("${").removesuffix("}")] == source["type"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_is_used_and_none_is_missing(name: str) -> None:
    board = BOARDS[name]
    offered = [variable["name"] for variable in board["templating"]["list"]]
    assert len(set(offered)) == len(offered)
    said = "\n".join(texts([board["panels"], [v["query"] for v in board["templating"]["list"]]]))
    used = {one or other for one, other in VARIABLE.findall(said)}
    assert {one for one in used if not BUILT_IN.fullmatch(one)} == set(offered)


def test_links_lead_to_dashboards_and_their_variables() -> None:
    found = [link["url"] for _, panel in PANELS for link in links(panel)]
    assert found
    for url in found:
        parts = urlsplit(url)
        given = parse_qs(parts.query)
        if parts.path == "/explore":
            assert given["schemaVersion"] == ["1"]
            continue
        board = BOARDS[parts.path.removeprefix("/d/")]
        known = {variable["name"] for variable in board["templating"]["list"]}
        assert {key.removeprefix("var-") for key in given if key.startswith("var-")} <= known
        assert set(re.findall(r"\$\{(\w+):queryparam\}", url)) <= known


def test_a_trace_leads_to_its_findings_and_a_finding_to_its_trace() -> None:
    [loki] = [one for one in SOURCES.values() if one["type"] == "loki"]
    [tempo] = [one for one in SOURCES.values() if one["type"] == "tempo"]
    [prometheus] = [one for one in SOURCES.values() if one["type"] == "prometheus"]
    [field] = loki["jsonData"]["derivedFields"]
    assert field["matcherType"] == "label"
    assert re.fullmatch(field["matcherRegex"], "trace_id")
    assert SOURCES[field["datasourceUid"]] is tempo
    there = tempo["jsonData"]["tracesToLogsV2"]
    assert SOURCES[there["datasourceUid"]] is loki
    assert (there["spanStartTimeShift"], there["spanEndTimeShift"]) == ("-5m", "5m")
    assert there["customQuery"]
    assert 'trace_id="$${__trace.traceId}"' in there["query"]
    assert {"key": "service.name", "value": "service_name"} in there["tags"]
    assert SOURCES[tempo["jsonData"]["tracesToMetrics"]["datasourceUid"]] is prometheus
    assert not [text for text in texts(list(SOURCES.values())) if "exemplar" in text.lower()]


def test_a_dollar_that_grafana_would_replace_is_meant() -> None:
    """In provisioned files $NAME is a variable of the environment, and $$ a dollar; queries and annotations of
    alert rules stay as they are, but for ${NAME} (Grafana, `pkg/services/provisioning/alerting/rules_types.go`)."""
    for rule in rules():
        assert not [text for text in texts(rule) if re.search(r"\$[{$]", text)]
        rule.pop("annotations")
        assert not [text for text in texts(rule) if "$" in text]
    for text in texts([provisioned("datasources"), provisioned("dashboards")]):
        lone = re.findall(r"(?<!\$)(?:\$\$)*\$(?!\$)(\S*)", text)
        assert not lone or re.fullmatch(r"\$\{(LOKI|TEMPO|PROMETHEUS)_URL\}", text), text


def test_alert_rules_are_whole() -> None:
    found = rules()
    assert (
        len({rule["uid"] for rule in found}) == len({rule["title"] for rule in found}) == len(found)
    )
    assert all(len(rule["uid"]) <= 40 for rule in found), "Grafana's limit"
    for rule in found:
        steps = {step["refId"]: step for step in rule["data"]}
        assert rule["condition"] in steps
        assert len(steps) == len(rule["data"])
        for step in steps.values():
            assert step["datasourceUid"] in {*SOURCES, "__expr__"}
            assert step["model"]["refId"] == step["refId"]
            assert step["model"].get("expression", rule["condition"]) in steps
        board, panel_id = BOARDS[rule["dashboardUid"]], rule["panelId"]
        assert panel_id in {panel["id"] for panel in panels(board)}
        assert rule["annotations"]["__dashboardUid__"] == board["uid"]
        assert rule["annotations"]["__panelId__"] == str(panel_id)
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        labels = set(re.findall(r"\$labels\.(\w+)", " ".join(texts(rule["annotations"]))))
        [expression] = [s["model"]["expr"] for s in steps.values() if "expr" in s["model"]]
        grouped = re.search(r"by \(([^)]*)\)", expression)
        named = set(re.findall(r"\w+", grouped[1])) if grouped else {"transport"}
        assert labels <= named, rule["title"]


def test_what_is_watched_of_the_service_is_what_prometheus_rules_watch() -> None:
    groups = yaml.safe_load(PROMETHEUS_RULES.read_text("utf-8"))["groups"]
    known = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    health = [rule for rule in rules() if rule["title"] != "HaloFinding"]
    assert len(health) > 10
    for rule in health:
        same = known[rule["title"]]
        [expression] = [s["model"]["expr"] for s in rule["data"] if "expr" in s["model"]]
        if rule["title"] != "HaloOtelDown":  # `up` is there only where somebody scrapes
            assert expression.split() == same["expr"].split()
        assert rule["for"] == same.get("for", "0s")
        assert rule["labels"] == same["labels"]


def test_a_finding_s_alert_says_which_and_leads_to_it() -> None:
    [rule] = [rule for rule in rules() if rule["title"] == "HaloFinding"]
    [query] = [query for query in every() if query.place == "alert HaloFinding"]
    assert 'halo_finding_severity=~"error|fatal"' in query.text
    assert 'halo_finding_status=~"new|regressed"' in query.text
    for label in ("fingerprint", "service", "category", "severity"):
        assert f"{label}=" in query.text
    assert "{{ externalURL }}d/halo-finding?var-fingerprint=" in rule["annotations"]["finding"]
    assert "noDataState" in rule
    assert rule["noDataState"] == "OK"
