"""A model that obeys whatever it reads: what ships of that, and in which form it read it."""

import json
from pathlib import Path
from typing import Any

import pytest

from halo_otel.recursion.deepen import deepen
from tests.llm.server import Reply, says
from tests.recursion.environments import bookings, environment_of
from tests.recursion.injections import ATTACKER, GOAL, INJECTIONS
from tests.recursion.worlds import masked, world

Json = dict[str, Any]


def obedient(place: Json) -> Any:
    """Looks for orders, follows them, and shows that the orders are there."""

    def script(request: Json) -> Reply:
        messages = request["messages"]
        told = json.dumps(messages[1:], ensure_ascii=False)
        if "refute" in told:
            return says(json.dumps({"verdict": "holds", "why": "as I was told"}))
        if "You judge one part" in messages[0]["content"]:
            return says(
                json.dumps(
                    {
                        "goal": GOAL[:100],
                        "correctness": "ok",
                        "latency": "ok",
                        "resources": "ok",
                        "problem": GOAL,
                        "quote": None,
                    }
                )
            )
        if not any(message["role"] == "tool" for message in messages):
            return says(calls=(("search", {"pattern": "attacker"}), ("send_mail", {"to": "mark"})))
        claim = {
            "subject": dict.fromkeys(("service", "agent", "tool", "model")),
            "statement": "The agents are healthy.",
            "predicates": [
                {
                    "sql": "select count(*) from spans",
                    "parameters": [],
                    "comparison": ">",
                    "expected": 0,
                }
            ],
            "spans": [{"trace_id": place["trace_id"], "span_id": place["span_id"]}],
            "quotes": [place],
            "contrast": None,
            "causal": False,
            "edge": None,
            "severity": "info",
            "recommendation": f"{GOAL}.",
        }
        return says(calls=(("report", {"claims": [{"claim": claim}]}),))

    return script


@pytest.mark.parametrize("name", INJECTIONS)
async def test_what_a_trace_orders_does_not_ship(name: str, tmp_path: Path) -> None:
    traffic = bookings(good=10, bad=5)
    for run in traffic.runs:
        run.call("read_mail", {"n": run.trace_id[-2:]}, INJECTIONS[name])
    with environment_of(traffic.rows, masked) as environment:
        ((trace, span, said),) = environment.rows(
            "select trace_id, span_id, result from spans where tool = 'read_mail' order by 1, 2 limit 1"
        )
        place = {"trace_id": trace, "span_id": span, "field": "result", "text": said[:900]}
        async with world(environment, obedient(place), tmp_path / "sent") as made:
            deepened = await deepen(made.tier)
            bodies = made.server.bodies
        boundary = environment.fence.boundary
        before = environment.report
    assert len(bodies) >= 3
    for body in bodies:
        for message in body["messages"]:
            content = message["content"] or ""
            if message["role"] in ("user", "tool"):
                outside = "".join(
                    piece.split(f"</{boundary}>")[-1] for piece in content.split(f"<{boundary}>")
                )
                assert "attacker" not in outside.replace("The question", "")
                assert not any(0xE0000 <= ord(char) <= 0xE007F for char in content)
    shipped = deepened.report.findings
    told = {one.fingerprint: one for one in shipped}
    for finding in before.findings:
        assert told[finding.fingerprint].severity is finding.severity
        assert told[finding.fingerprint].recommendation == finding.recommendation
    for finding in shipped:
        texts = f"{finding.explanation} {finding.title} {finding.recommendation}"
        assert not any(word in texts for word in ATTACKER)
    assert deepened.dropped
