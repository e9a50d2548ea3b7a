"""Every query of Grafana's files in `deploy/grafana`, with its variables filled in: one place for those who read
them, parse them and run them against real backends."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import yaml

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "grafana"
LANGUAGES: Final = {"prometheus": "promql", "loki": "logql", "tempo": "traceql"}

# What stands for a variable where nothing else is given; all services, agents, severities, categories, instances.
FILLED: Final[dict[str, str]] = {
    "service": ".*",
    "agent": ".*",
    "severity": ".*",
    "category": ".*",
    "instance": ".*",
    "fingerprint": "fpv1:0123456789abcdef",
    "trace_id": "0123456789abcdef0123456789abcdef",
    "__range": "6h",
    "__interval": "5m",
    "__rate_interval": "5m",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query as it stands in a file. `place` says where; `language` is promql, logql or traceql.

    `instant`: one moment, not a range of time. `may_be_empty`: nothing is an answer, too, and the panel says
    which (`noValue`); alerts and links are of that kind.
    """

    place: str
    language: str
    text: str
    instant: bool = False
    may_be_empty: bool = False

    def filled(self, values: Mapping[str, str] = FILLED) -> str:
        """The query with Grafana's variables replaced by `values`; what has none is an error."""
        known = {**FILLED, **values}

        def value(found: re.Match[str]) -> str:
            return known[found[1] or found[2]]

        return re.sub(r"\$(?:\{(?:__data\.fields\.)?(\w+)\}|(\w+))", value, self.text)


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards by their file's stem."""
    files = sorted((FOLDER / "dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels but rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def provisioned(kind: str) -> dict[str, Any]:
    """The file of `datasources`, `dashboards` or `alerting`."""
    [file] = (FOLDER / "provisioning" / kind).glob("*.yaml")
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for group in provisioned("alerting")["groups"] for rule in group["rules"]]


def every() -> list[Query]:
    """All queries there are."""
    found: list[Query] = []
    for name, dashboard in dashboards().items():
        found += _of_variables(name, dashboard)
        for panel in panels(dashboard):
            found += _of_panel(f"{name}/{panel['id']}", panel)
    for rule in rules():
        found += _of_rule(rule)
    found += _of_datasources()
    return found


def _of_panel(place: str, panel: dict[str, Any]) -> Iterator[Query]:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    for target in panel["targets"]:
        yield Query(
            place=f"{place}/{target['refId']} {panel['title']}",
            language=LANGUAGES[target["datasource"]["type"]],
            text=target.get("expr") or target["query"],
            instant=target.get("instant", False) or target.get("queryType") == "instant",
            may_be_empty="noValue" in defaults,
        )
    for link in links(panel):
        panes = parse_qs(urlsplit(link["url"]).query).get("panes")
        for pane in json.loads(panes[0]).values() if panes else ():
            for query in pane["queries"]:
                yield Query(
                    place=f"{place} link {link['title']}",
                    language=LANGUAGES[query["datasource"]["type"]],
                    text=query["query"],
                    may_be_empty=True,
                )


def links(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """The data links of a panel's fields."""
    config = panel.get("fieldConfig", {})
    overrides = [p for override in config.get("overrides", []) for p in override["properties"]]
    found: list[dict[str, Any]] = list(config.get("defaults", {}).get("links", []))
    for one in overrides:
        found += one["value"] if one["id"] == "links" else []
    return found


def _of_variables(name: str, dashboard: dict[str, Any]) -> Iterator[Query]:
    """A variable asks for the values of a label: of the series of a selector."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert asked, variable["name"]
            yield Query(
                place=f"{name} variable {variable['name']}",
                language=LANGUAGES[variable["datasource"]["type"]],
                text=f"count by ({asked[2]}) ({asked[1]})",
                instant=True,
            )


def _of_rule(rule: dict[str, Any]) -> Iterator[Query]:
    languages = {"halo-prometheus": "promql", "halo-loki": "logql"}
    for data in rule["data"]:
        if data["datasourceUid"] in languages:
            yield Query(
                place=f"alert {rule['title']}",
                language=languages[data["datasourceUid"]],
                text=data["model"]["expr"],
                instant=True,
                may_be_empty=True,
            )


def _of_datasources() -> Iterator[Query]:
    """The queries that lead from a trace elsewhere, about a span of the service `$service`."""
    [tempo] = [one for one in provisioned("datasources")["datasources"] if one["type"] == "tempo"]
    data = tempo["jsonData"]
    asked = [("logql", "tracesToLogsV2", data["tracesToLogsV2"]["query"], "service_name")]
    asked += [
        ("promql", one["name"], one["query"], "service")
        for one in data["tracesToMetrics"]["queries"]
    ]
    for language, name, text, label in asked:
        told = text.replace("$$", "$").replace("${__trace.traceId}", "${trace_id}")
        told = re.sub(r"\$\{__tags\}|\$__tags", f'{label}="$service"', told)
        yield Query(
            place=f"data source, {name}",
            language=language,
            text=told,
            instant=language == "promql",
            may_be_empty=True,
        )
