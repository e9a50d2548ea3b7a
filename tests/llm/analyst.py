"""A script for `Scripted` that analyses like a modest analyst: it looks once, and says one true thing of it."""

import json
from typing import Any

from tests.llm.server import Reply, says

Json = dict[str, Any]

STATEMENT = "Agents call tools in these runs."
RECOMMENDATION = "Let them call fewer."
_FIRST_TOOL = "select trace_id, span_id, name from spans where kind = 'tool' order by trace_id, span_id limit 1"


def analyst(request: Json) -> Reply:
    """Judges parts as good, agrees with every claim, and else looks and claims that there are tool calls."""
    schema = request.get("response_format", {}).get("json_schema", {}).get("name")
    if schema == "part":
        well = dict.fromkeys(("correctness", "latency", "resources"), "ok")
        return says(json.dumps({"goal": "", "problem": "", "quote": None, **well}))
    if schema == "verdict":
        return says(json.dumps({"verdict": "holds", "why": "it does"}))
    looked = [message for message in request["messages"] if message["role"] == "tool"]
    if not looked:
        return says("I look at the tools.", calls=(("query", {"sql": _FIRST_TOOL}),))
    return says("I have seen it.", calls=(("report", {"claims": [_item(request, looked[0])]}),))


def _item(request: Json, looked: Json) -> Json:
    row = json.loads(looked["content"].split("\n")[2])
    place = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
    counting = "select count(*) from traces where calls > 0"
    claim = {
        "subject": dict.fromkeys(("service", "agent", "tool", "model")),
        "statement": STATEMENT,
        "predicates": [{"sql": counting, "parameters": [], "comparison": ">", "expected": 0}],
        "spans": [place],
        "quotes": [{**place, "field": "name", "text": row["name"]}],
        "contrast": None,
        "causal": False,
        "edge": None,
        "severity": "info",
        "recommendation": RECOMMENDATION,
    }
    (report,) = [tool for tool in request["tools"] if tool["function"]["name"] == "report"]
    asked = report["function"]["parameters"]["properties"]["claims"]["items"]["properties"]
    return {"claim": claim, **({"category": "cost"} if "category" in asked else {})}
