"""What is shipped for SigNoz is of the form that it takes, in both forms the same.

SigNoz itself is not run: nobody packages its server for a registry. Its forms and rules are in `signoz.py` here.
"""

import asyncio
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import grpc
import pytest
import yaml
from jsonschema import Draft202012Validator
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.config.load import load
from tests.collector_config.conftest import Running
from tests.collector_config.test_files import finding as a_finding
from tests.collector_config.test_files import traces as some_traces
from tests.deploy import signoz
from tests.deploy.signoz import PANELS, Json, builders, envelopes, files, terms
from tests.emitter.conftest import Collector

ROOT = Path(__file__).parents[2]
COLLECTOR = ROOT / "collector-config" / "signoz.yaml"
COMPOSE = ROOT / "deploy" / "compose" / "signoz" / "docker-compose.yaml"
V6, V5, RULES, VIEWS = map(files, ("dashboards/v6", "dashboards/v5", "alerts", "views"))
QUERIES = {place: (request, spec) for place, request, spec in builders()}
MATERIAL: list[tuple[str, Json, Json]] = [
    (f"{kind} {name}", schema, document)
    for kind, schema, documents in (
        ("dashboard", signoz.DASHBOARD, V6),
        ("rule", signoz.RULE, RULES),
        ("view", signoz.VIEW, VIEWS),
    )
    for name, document in documents.items()
]


# --- the forms


@pytest.mark.parametrize(
    ("schema", "document"), [m[1:] for m in MATERIAL], ids=[m[0] for m in MATERIAL]
)
def test_every_file_is_of_the_form_that_the_api_takes(schema: Json, document: Json) -> None:
    Draft202012Validator.check_schema(schema)
    problems = Draft202012Validator(schema).iter_errors(document)
    assert [f"{list(one.absolute_path)}: {one.message[:300]}" for one in problems] == []


def test_everything_is_there_and_has_its_own_name() -> None:
    assert set(V6) == set(V5) == {"halo-overview", "halo-findings", "halo-operations"}
    assert len(RULES) == len({rule["alert"] for rule in RULES.values()}) == 7
    assert set(VIEWS) == {"halo-findings", "halo-occurrences"}
    for name, document in (V6 | VIEWS).items():
        assert document["name"] == name  # a second POST is refused, and makes no second one


@pytest.mark.parametrize("name", V6)
def test_panels_lie_beside_each_other(name: str) -> None:
    """validateGridLayoutGeometry and validateLayouts: inside the grid, no overlap, each panel once."""
    spec = V6[name]["spec"]
    items = [item for layout in spec["layouts"] for item in layout["spec"]["items"]]
    placed = [item["content"]["$ref"].rpartition("/")[2] for item in items]
    assert sorted(placed) == sorted(spec["panels"])
    assert all(item["x"] + item["width"] <= 12 for item in items)
    for a, b in combinations(items, 2):
        beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
        above = a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
        assert beside or above, (a, b)


@pytest.mark.parametrize("name", V6)
def test_variables_are_those_that_queries_use(name: str) -> None:
    used = {
        value[1:]
        for place, (_, spec) in QUERIES.items()
        if place.startswith(f"{name}/") and "filter" in spec
        for _, _, values in terms(spec["filter"]["expression"])
        for value in values
        if value.startswith("$")
    }
    assert used == {one["spec"]["name"] for one in V6[name]["spec"]["variables"]}


@pytest.mark.parametrize("name", V6)
def test_a_panel_asks_as_its_kind_does(name: str) -> None:
    for key, panel in V6[name]["spec"]["panels"].items():
        [query] = panel["spec"]["queries"]
        assert query["kind"] == PANELS[panel["spec"]["plugin"]["kind"]][1], key
        asked = [one["spec"] for one in envelopes(query)]
        assert len({one["name"] for one in asked}) == len(asked), key
        assert not all(one.get("disabled") for one in asked), key
        for formula in (one for one in asked if "expression" in one):
            inputs = set(re.findall(r"\b[A-Z]\b", formula["expression"]))
            assert inputs == {one["name"] for one in asked if one.get("disabled")}, key


@pytest.mark.parametrize("place", QUERIES)
def test_a_query_is_whole(place: str) -> None:
    """QueryBuilderQuery.Validate, by the kind of request; alerts ask for time series."""
    request, spec = QUERIES[place]
    if request == "raw":
        assert spec["signal"] != "metrics"
        assert not {"aggregations", "groupBy"} & set(spec)
        assert spec["order"][0]["key"]["name"] == "timestamp"
        return
    is_metric = spec["signal"] == "metrics"
    for one in spec["aggregations"]:
        assert ("metricName" in one) == is_metric
        assert not (is_metric and request == "scalar") or one.get("reduceTo")
    ordered = {one["key"]["name"] for one in spec.get("order", ())}
    groups = {key["name"] for key in spec.get("groupBy", ())}
    assert ordered <= groups | {one.get("expression") for one in spec["aggregations"]}
    assert set(re.findall(r"{{([\w.]+)}}", spec["legend"])) <= groups


@pytest.mark.parametrize("name", RULES)
def test_a_rule_speaks_of_what_it_groups_by(name: str) -> None:
    rule = RULES[name]
    condition = rule["condition"]
    asked = [one["spec"] for one in condition["compositeQuery"]["queries"]]
    assert condition["selectedQueryName"] in [
        one["name"] for one in asked if not one.get("disabled")
    ]
    groups = {key["name"] for one in asked for key in one.get("groupBy", ())}
    settings = rule["notificationSettings"]
    assert set(settings["groupBy"]) <= groups
    for text in rule["annotations"].values():
        assert set(re.findall(r"{{\$([\w.]+)}}", text)) <= groups | {"value", "threshold"}
        assert text.count("{{") == len(re.findall(r"{{\$[\w.]+}}", text))
    [threshold] = condition["thresholds"]["spec"]
    assert rule["labels"] == {"severity": threshold["name"]}
    is_log = {one["signal"] for one in asked if "signal" in one} == {"logs"}
    assert rule["alertType"] == ("LOGS_BASED_ALERT" if is_log else "METRIC_BASED_ALERT")


# --- v5, for SigNoz before v0.135


def as_v6(query: Json, kind: str) -> Json:
    """A query of a v5 file as a v6 file says it (querybuildertypesv5/migrate_envelope.go: WrapInV5Envelope)."""
    if query["expression"] != query["queryName"]:
        told = {
            "name": query["queryName"],
            "expression": query["expression"],
            "legend": query["legend"],
        }
        return {"type": "builder_formula", "spec": told}

    def key(one: Json) -> Json:
        context = {"tag": "attribute"}.get(one["type"], one["type"])
        return {"name": one["key"], "fieldContext": context, "fieldDataType": one["dataType"]}

    spec = {"name": query["queryName"], "signal": query["dataSource"], "legend": query["legend"]}
    ordered = [
        {"key": {"name": o["columnName"]}, "direction": o["order"]} for o in query["orderBy"]
    ]
    aggregations = [
        {k: value for k, value in one.items() if k != "temporality"}
        if "metricName" in one
        else {"expression": said}
        for one in query["aggregations"]
        for said in one.get("expression", "").split(", ")
    ]
    optional = {
        "disabled": query["disabled"],
        "aggregations": aggregations if kind != "list" else None,
        "filter": query["filter"] if query["filter"]["expression"] else None,
        "groupBy": [key(one) for one in query["groupBy"]],
        "order": ordered,
        "limit": query["limit"] or query.get("pageSize"),
    }
    return {
        "type": "builder_query",
        "spec": spec | {k: value for k, value in optional.items() if value},
    }


@pytest.mark.parametrize("name", V5)
def test_both_forms_say_the_same(name: str) -> None:
    old, new = V5[name], V6[name]["spec"]
    assert (old["version"], old["uploadedGrafana"]) == ("v5", False)
    assert (old["title"], old["description"]) == tuple(new["display"].values())
    assert old["tags"] == [tag["value"] for tag in V6[name]["tags"]]
    items = [item for layout in new["layouts"] for item in layout["spec"]["items"]]
    assert [(o["i"], o["x"], o["y"], o["w"], o["h"]) for o in old["layout"]] == [
        (i["content"]["$ref"].rpartition("/")[2], i["x"], i["y"], i["width"], i["height"])
        for i in items
    ]
    widgets = {widget["id"]: widget for widget in old["widgets"]}
    assert list(widgets) == list(new["panels"])
    for key, panel in new["panels"].items():
        widget, spec = widgets[key], panel["spec"]
        kind = widget["panelTypes"]
        assert (widget["title"], widget["description"]) == tuple(spec["display"].values())
        assert kind == PANELS[spec["plugin"]["kind"]][0]
        builder = widget["query"]["builder"]
        told = [as_v6(one, kind) for one in (*builder["queryData"], *builder["queryFormulas"])]
        assert told == envelopes(spec["queries"][0]), key
        if kind == "list":
            signal = told[0]["spec"]["signal"]
            old_fields = widget["selectedLogFields" if signal == "logs" else "selectedTracesFields"]
            keys = ("name", "fieldContext", "fieldDataType", "signal")
            assert [{k: one[k] for k in keys} for one in old_fields] == spec["plugin"]["spec"][
                "selectFields"
            ]
    variables = sorted(old["variables"].values(), key=lambda one: one["order"])
    for variable, newer in zip(variables, new["variables"], strict=True):
        plugin = newer["spec"]["plugin"]["spec"]
        assert variable["name"] == newer["spec"]["name"]
        assert variable["dynamicVariablesAttribute"] == plugin.get("name", "")
        assert variable["customValue"] == plugin.get("customValue", "")


# --- the Collector and the containers


@pytest.mark.collector
async def test_the_collector_tells_signoz_everything_and_halo_otel_no_findings(
    collector_binary: Path, tmp_path: Path
) -> None:
    cloud = Collector()
    halo = Collector()
    await cloud.start()
    await halo.start()
    overrides = (
        f"yaml:exporters::otlp_grpc/signoz::endpoint: {cloud.endpoint}",
        "yaml:exporters::otlp_grpc/signoz::headers::signoz-ingestion-key: a-key",
        f"yaml:exporters::otlp_grpc/halo::endpoint: {halo.endpoint}",
    )
    collector = Running(collector_binary, tmp_path)
    with collector.nobody:
        await asyncio.to_thread(_send, collector, overrides, cloud, halo)
    assert [span.name for span in cloud.spans()] == ["agent"] * 3
    assert [record.event_name for record in cloud.records()] == ["halo.finding"]
    assert cloud.metadata["signoz-ingestion-key"] == "a-key"
    assert [span.name for span in halo.spans()] == ["agent"] * 3
    assert halo.records() == []
    await cloud.stop()
    await halo.stop()


def _send(
    collector: Running, overrides: tuple[str, ...], cloud: Collector, halo: Collector
) -> None:
    doors = {name: f"127.0.0.1:{port}" for name, port in collector.ports.items()}
    with collector.started(COLLECTOR, *overrides) as process:
        with (
            grpc.insecure_channel(doors["GRPC"]) as agents,
            grpc.insecure_channel(doors["FINDINGS"]) as own,
        ):
            TraceServiceStub(agents).Export(
                some_traces("agent", 3), timeout=10, wait_for_ready=True
            )
            LogsServiceStub(own).Export(a_finding(), timeout=10, wait_for_ready=True)
        collector.wait(process, lambda: bool(cloud.records() and cloud.spans() and halo.spans()))
        assert collector.stop(process) == 0, collector.text()


def _mounts(service: Json) -> Iterator[Path]:
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("."):
            yield (COMPOSE.parent / source).resolve()


def test_containers_are_shut_in_and_reached_from_this_machine_alone() -> None:
    compose = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert compose["networks"]["signoz"]["external"] is True
    assert set(compose["services"]) == {"halo-otel", "halo-collector", "demo"}
    for service in compose["services"].values():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert all(path.is_file() for path in _mounts(service))
    assert compose["services"]["halo-otel"]["healthcheck"]["test"] == ["CMD", "halo-otel", "health"]
    own = compose["services"]["halo-otel"]["environment"]
    config = load(
        COMPOSE.parent / "halo.yaml", {k: v for k, v in own.items() if k != "HALO_CONFIG"}
    )
    assert config.exporters.otlp.endpoint == "halo-collector:4319"
    collector = compose["services"]["halo-collector"]
    told = set(re.findall(r"\${env:(\w+)", COLLECTOR.read_text(encoding="utf-8")))
    assert set(collector["environment"]) - {"GOMEMLIMIT"} <= told
    published = {port.rpartition(":")[0].rpartition(":")[2] for port in collector["ports"]}
    assert not published & {"4317", "4318", "8080"}  # SigNoz has them


def test_the_page_sends_every_file_to_the_api_that_takes_it() -> None:
    page = (signoz.FOLDER / "README.md").read_text(encoding="utf-8")
    sent = re.findall(
        r'for file in ([\w/]+)/\*\.json; +do send -d @"\$file" "\$SIGNOZ_URL(/\S+)"; done', page
    )
    assert dict(sent) == {
        "dashboards/v6": "/api/v2/dashboards",
        "alerts": "/api/v2/rules",
        "views": "/api/v2/saved_views",
    }
    assert set(re.findall(r"@([\w/-]+\.json)", page)) <= {
        str(path.relative_to(signoz.FOLDER)) for path in signoz.FOLDER.rglob("*.json")
    }
    assert "SIGNOZ-API-KEY: $SIGNOZ_API_KEY" in page
    assert set(re.findall(r"^\| `(Halo\w+)`", page, re.M)) == {
        rule["alert"] for rule in RULES.values()
    }
    for link in re.findall(r"\]\((\.[^)]+)\)", page):
        assert (signoz.FOLDER / link).exists(), link
