"""What SigNoz takes: the forms of its APIs as far as `deploy/signoz` uses them, and how it reads a filter.

Forms and rules are those of SigNoz v0.138.0 (github.com/SigNoz/signoz): pkg/types/dashboardtypes (dashboards,
"v6"), pkg/types/ruletypes (alerts, "v2alpha1"), pkg/types/savedviewtypes (views, "v2"),
pkg/types/querybuildertypes/querybuildertypesv5 (queries) and docs/api/openapi.yml. Unknown keys are refused
there, so objects are closed here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "signoz"
Json = dict[str, Any]
# Words that stand before a key's name and say where it is (telemetrytypes/field_context.go).
CONTEXTS: Final = {
    "resource": "resource",
    "scope": "scope",
    "tag": "attribute",
    "point": "attribute",
    "attribute": "attribute",
    "event": "event",
    "body": "body",
    "span": "span",
    "spanfield": "span",
    "log": "log",
    "logfield": "log",
    "metric": "metric",
    "trace": "trace",
    "tracefield": "trace",
}
# Panel kind: its name in v5 files, and the kind of request that its query is.
PANELS: Final = {
    "signoz/NumberPanel": ("value", "scalar"),
    "signoz/TablePanel": ("table", "scalar"),
    "signoz/TimeSeriesPanel": ("graph", "time_series"),
    "signoz/BarChartPanel": ("bar", "time_series"),
    "signoz/ListPanel": ("list", "raw"),
}


def closed(required: Json, optional: Mapping[str, Any] | None = None) -> Json:
    """The schema of an object with these keys and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": sorted(required),
        "additionalProperties": False,
    }


def one_of(*values: Any) -> Json:
    return {"enum": list(values)}


def several(schema: Json, least: int = 0) -> Json:
    return {"type": "array", "items": schema, "minItems": least}


TEXT: Final[Json] = {"type": "string"}
SAID: Final[Json] = {"type": "string", "minLength": 1}
FLAG: Final[Json] = {"type": "boolean"}
LABEL: Final[Json] = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
DURATION: Final[Json] = {"type": "string", "pattern": "^[1-9][0-9]*[smh]$"}
TEXTS: Final[Json] = {
    "type": "object",
    "additionalProperties": TEXT,
    "propertyNames": {"pattern": "^[a-zA-Z_.][a-zA-Z0-9_.]*$"},
}
KEY: Final = closed(
    {"name": SAID},
    {
        "fieldContext": one_of("resource", "attribute", "log", "span", ""),
        "fieldDataType": one_of("string", "float64", "bool", ""),
        "signal": one_of("logs", "metrics", "traces", ""),
    },
)
METRIC_AGGREGATION: Final = closed(
    {
        "metricName": SAID,
        "timeAggregation": one_of("latest", "rate", "increase", ""),
        "spaceAggregation": one_of("sum", "avg", "min", "max", "p50", "p90", "p95", "p99"),
    },
    {"reduceTo": one_of("sum", "count", "avg", "min", "max", "last", "median")},
)
# One function of one key in each, and no alias in it (validation.go, perses_dashboard_data.go).
AGGREGATION: Final = closed({"expression": {"pattern": r"^(count\(\)|\w+\([\w.]+\))$"}})
BUILDER: Final = closed(
    {"name": SAID, "signal": one_of("logs", "metrics", "traces"), "legend": TEXT},
    {
        "disabled": FLAG,
        "aggregations": several({"anyOf": [METRIC_AGGREGATION, AGGREGATION]}, 1),
        "filter": closed({"expression": SAID}),
        "groupBy": several(KEY, 1),
        "order": several(closed({"key": KEY, "direction": one_of("asc", "desc")}), 1),
        "limit": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "stepInterval": {"type": "integer", "minimum": 1},
    },
)
FORMULA: Final = closed({"name": SAID, "expression": SAID, "legend": TEXT})
ENVELOPE: Final[Json] = {
    "anyOf": [
        closed({"type": one_of("builder_query"), "spec": BUILDER}),
        closed({"type": one_of("builder_formula"), "spec": FORMULA}),
    ]
}
QUERY: Final = closed(
    {
        "kind": one_of("scalar", "time_series", "raw"),
        "spec": {
            "anyOf": [
                closed(
                    {
                        "name": SAID,
                        "plugin": closed({"kind": one_of("signoz/BuilderQuery"), "spec": BUILDER}),
                    }
                ),
                closed(
                    {
                        "plugin": closed(
                            {
                                "kind": one_of("signoz/CompositeQuery"),
                                "spec": closed({"queries": several(ENVELOPE, 2)}),
                            }
                        )
                    }
                ),
            ]
        },
    }
)
DISPLAY: Final = closed({"name": {**SAID, "maxLength": 128}, "description": TEXT})
PANEL_SPEC: Final = closed(
    {},
    {
        "formatting": closed({"unit": TEXT, "decimalPrecision": one_of("0", "1", "2")}),
        "visualization": closed({"stackedBarChart": FLAG}),
        "selectFields": several(KEY, 1),
    },
)
PANEL: Final = closed(
    {
        "kind": one_of("Panel"),
        "spec": closed(
            {
                "display": DISPLAY,
                "plugin": closed({"kind": one_of(*PANELS), "spec": PANEL_SPEC}),
                "queries": {**several(QUERY, 1), "maxItems": 1},
                "links": several({}),
            }
        ),
    }
)
VARIABLE_PLUGIN: Final[Json] = {
    "anyOf": [
        closed(
            {
                "kind": one_of("signoz/DynamicVariable"),
                "spec": closed({"name": SAID, "signal": one_of("logs", "metrics", "traces")}),
            }
        ),
        closed(
            {"kind": one_of("signoz/CustomVariable"), "spec": closed({"customValue": SAID})},
        ),
    ]
}
VARIABLE: Final = closed(
    {
        "kind": one_of("ListVariable"),
        "spec": closed(
            {
                "name": {"type": "string", "pattern": "^[a-z]+$"},
                "display": DISPLAY,
                "allowAllValue": one_of(True),
                "allowMultiple": one_of(True),
                "sort": one_of("none", "alphabetical-asc"),
                "plugin": VARIABLE_PLUGIN,
            }
        ),
    }
)
PLACE: Final[Json] = {"type": "integer", "minimum": 0}
ITEM: Final = closed(
    {
        "x": PLACE,
        "y": PLACE,
        "width": {"type": "integer", "minimum": 1, "maximum": 12},
        "height": {"type": "integer", "minimum": 1},
        "content": closed({"$ref": {"type": "string", "pattern": "^#/spec/panels/[a-z-]+$"}}),
    }
)
DASHBOARD: Final = closed(
    {
        "schemaVersion": one_of("v6"),
        "name": LABEL,
        "tags": {
            **several(closed({"key": SAID, "value": {"pattern": "^[a-zA-Z0-9-]+$"}})),
            "maxItems": 10,
        },
        "spec": closed(
            {
                "display": DISPLAY,
                "variables": several(VARIABLE),
                "panels": {"type": "object", "additionalProperties": PANEL},
                "layouts": several(
                    closed({"kind": one_of("Grid"), "spec": closed({"items": several(ITEM)})})
                ),
                "links": several({}),
            }
        ),
    }
)
THRESHOLD: Final = closed(
    {
        "name": one_of("critical", "error", "warning", "info"),
        "op": one_of("above", "below"),
        "matchType": one_of("at_least_once", "all_the_times", "on_average", "in_total", "last"),
        "target": {"type": "number"},
        "channels": {**several(TEXT), "maxItems": 0},  # who is told is the user's to say
    }
)
RULE: Final = closed(
    {
        "alert": SAID,
        "alertType": one_of("LOGS_BASED_ALERT", "METRIC_BASED_ALERT"),
        "description": SAID,
        "ruleType": one_of("threshold_rule"),
        "version": one_of("v5"),
        "schemaVersion": one_of("v2alpha1"),
        "condition": closed(
            {
                "compositeQuery": closed(
                    {
                        "queryType": one_of("builder"),
                        "panelType": one_of("graph"),
                        "queries": several(ENVELOPE, 1),
                    }
                ),
                "selectedQueryName": SAID,
                "thresholds": closed({"kind": one_of("basic"), "spec": several(THRESHOLD, 1)}),
            },
            {"alertOnAbsent": FLAG, "absentFor": {"type": "integer", "minimum": 1}},
        ),
        "evaluation": closed(
            {
                "kind": one_of("rolling"),
                "spec": closed({"evalWindow": DURATION, "frequency": DURATION}),
            }
        ),
        "notificationSettings": closed(
            {
                "groupBy": several(TEXT),
                "renotify": {
                    "anyOf": [
                        closed({"enabled": one_of(False)}),
                        closed(
                            {
                                "enabled": one_of(True),
                                "interval": DURATION,
                                "alertStates": several(one_of("firing"), 1),
                            }
                        ),
                    ]
                },
            }
        ),
        "labels": TEXTS,
        "annotations": {**TEXTS, "required": ["summary", "description"]},
    }
)
VIEW: Final = closed(
    {
        "name": LABEL,
        "source": one_of("logs"),
        "schemaVersion": one_of("v2"),
        "spec": closed(
            {
                "displayName": SAID,
                "panelType": one_of("list"),
                "requestType": one_of("raw"),
                "queries": several(ENVELOPE, 1),
                "selectedFields": several(KEY, 1),
                "display": closed(
                    {"maxLines": PLACE, "fontSize": TEXT, "format": TEXT, "color": TEXT}
                ),
            }
        ),
    }
)


def files(kind: str) -> dict[str, Json]:
    """What stands in `deploy/signoz/<kind>/*.json`, by stem."""
    found = sorted((FOLDER / kind).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


def envelopes(query: Json) -> list[Json]:
    """The queries of one panel of a v6 dashboard."""
    plugin = query["spec"]["plugin"]
    if plugin["kind"] == "signoz/CompositeQuery":
        return list(plugin["spec"]["queries"])
    return [{"type": "builder_query", "spec": plugin["spec"]}]


def builders() -> Iterator[tuple[str, str, Json]]:
    """Every builder query: where it stands, what kind of request it is, its spec."""
    asked: list[tuple[str, str, Json]] = []
    for name, dashboard in files("dashboards/v6").items():
        for panel_id, panel in dashboard["spec"]["panels"].items():
            [query] = panel["spec"]["queries"]
            asked += [(f"{name}/{panel_id}", query["kind"], one) for one in envelopes(query)]
    for name, rule in files("alerts").items():
        queries = rule["condition"]["compositeQuery"]["queries"]
        asked += [(f"alert {name}", "time_series", one) for one in queries]
    for name, view in files("views").items():
        asked += [(f"view {name}", "raw", one) for one in view["spec"]["queries"]]
    for place, request, envelope in asked:
        if envelope["type"] == "builder_query":
            yield f"{place}/{envelope['spec']['name']}", request, envelope["spec"]


def parsed(key: str) -> tuple[str, str]:
    """A key in a filter as (context, name): a known word before the first dot is a context, not part of the name.

    TelemetryFieldKey.Normalize. So `event.name` is `name` in the context of span events, which logs do not have.
    """
    first, dot, rest = key.partition(".")
    return (CONTEXTS[first], rest) if dot and first in CONTEXTS else ("", key)


def terms(expression: str) -> list[tuple[tuple[str, str], str, list[str]]]:
    """The terms of a filter: key, operator, values. Only what our filters use: terms joined by AND."""
    found = []
    for term in expression.split(" AND "):
        told = re.fullmatch(r"([\w.]+) (=|IN|EXISTS) ?(.*)", term)
        assert told, term
        values = re.findall(r"'([^']*)'|(\$\w+)", told[3])
        assert bool(values) == (told[2] != "EXISTS"), term
        found.append((parsed(told[1]), told[2], [quoted or name for quoted, name in values]))
    return found
