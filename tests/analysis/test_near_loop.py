"""Calls that only reword the one before, and calls that look like it."""

from tests.analysis.conftest import Run, Traffic, findings_in

REWORDED = (
    "refund policy for damaged goods",
    "damaged goods refund policy",
    "policy for refund of damaged goods",
    "goods damaged: refund policies",
    "refund policy, damaged goods",
)


def calls(run: Run, tool: str, *arguments: object, answer: str = "[]") -> Run:
    for one in arguments:
        run.call(tool, one, answer)
    return run


def test_rewording_a_search_with_one_answer_is_a_loop(traffic: Traffic) -> None:
    traffic.healthy(20)
    runs = [
        calls(traffic.run(outcome=None), "search", *({"q": q, "limit": 5} for q in REWORDED))
        for _ in range(6)
    ]
    (found,) = findings_in(traffic, "loop")
    assert found.detector == "loop_near"
    assert found.traces == tuple(run.trace_id for run in runs)
    assert found.root_cause is not None
    assert found.root_cause.span_id == runs[0].rows[4]["span_id"]


LOOK_ALIKES: dict[str, tuple[str, list[dict[str, object]], str]] = {
    "pages": ("list_orders", [{"q": "open orders", "page": n} for n in range(8)], "[]"),
    "files": ("read_file", [{"path": f"logs/day{n}.txt"} for n in range(8)], ""),
    "different searches": (
        "search",
        [
            {"q": f"{what} hotel in Oslo", "limit": 5}
            for what in "cheap quiet old large nice".split()
        ],
        "nothing found",
    ),
    "writes": ("send_note", [{"text": text} for text in REWORDED], "sent"),
    "commands": (
        "run_shell",
        [{"cmd": f"make {t} all check"} for t in "lint docs unit dist".split()],
        "",
    ),
    "three of them": ("search", [{"q": q} for q in REWORDED[:3]], "[]"),
}


def test_what_looks_like_it_is_left_alone(traffic: Traffic) -> None:
    for tool, arguments, answer in traffic.each(LOOK_ALIKES.values()):
        traffic.healthy(20)
        for _ in range(8):
            calls(traffic.run(), tool, *arguments, answer=answer)
    assert not findings_in(traffic, "loop")


def test_answers_that_change_are_worth_asking(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run()
        for place, query in enumerate(REWORDED):
            run.call("search", {"q": query}, f"hit {place}")
    assert not findings_in(traffic, "loop")
