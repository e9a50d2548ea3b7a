"""A dispatcher and its team: a supervisor that gives work to others and reads their reports."""

from typing import Final

from tests.eval.beta.cast import Agent, Cast, Tool
from tests.eval.beta.run import Run, Step

_LOAD: Final = {"type": "string", "description": "load number, LD…"}
_TOOLS: Final = (
    Tool(
        name="load_details",
        says="Weight, stops and state of a load",
        takes={"load_no": _LOAD, "expand": {"type": "boolean"}},
        needs=("load_no",),
        median_s=0.35,
    ),
    Tool(
        name="find_loads",
        says="Search open loads",
        takes={
            "query": {"type": "string"},
            "page": {"type": "integer"},
            "radius_km": {"type": ["integer", "string"]},
        },
        needs=("query",),
        median_s=0.7,
    ),
    Tool(
        name="assign_truck",
        says="Assign a class of truck and a bay",
        takes={
            "load_no": _LOAD,
            "truck_class": {"type": "string", "enum": ["van", "rigid", "reefer", "flatbed"]},
            "bay": {"type": "integer", "minimum": 1},
            "driver_note": {"type": "string"},
            "revision": {"type": "integer"},
        },
        needs=("load_no", "truck_class", "bay"),
        median_s=0.6,
    ),
    Tool(
        name="axle_check",
        says="Are the axle loads legal",
        takes={"load_no": _LOAD},
        needs=("load_no",),
        median_s=0.8,
    ),
    Tool(
        name="order_customs_slot",
        says="Order a slot at customs",
        takes={"load_no": _LOAD},
        needs=("load_no",),
    ),
    Tool(
        name="customs_slot_state",
        says="State of an ordered slot",
        takes={"quote": {"type": "string"}},
        needs=("quote",),
        median_s=0.2,
    ),
    Tool(
        name="ping_driver",
        says="Text the driver",
        takes={"load_no": _LOAD, "text": {"type": "string"}},
        needs=("load_no", "text"),
    ),
    Tool(
        name="carrier_portal",
        says="Post a text to a carrier's portal",
        takes={"partner": {"type": "string"}, "payload": {"type": "string"}},
        needs=("partner", "payload"),
        median_s=1.0,
    ),
    Tool(
        name="simulate_route",
        says="Simulate the whole route of a load",
        takes={"load_no": _LOAD},
        needs=("load_no",),
        median_s=5.0,
    ),
    Tool(
        name="toll_table",
        says="Tolls of a region",
        takes={"house": {"type": "string"}},
        needs=("house",),
    ),
    Tool(
        name="brief_planner",
        says="Give the route planner a job",
        takes={"job": {"type": "string"}},
        needs=("job",),
    ),
    Tool(
        name="brief_carrier_desk",
        says="Give the carrier desk a job",
        takes={"job": {"type": "string"}},
        needs=("job",),
    ),
)
_ALL: Final = tuple(tool.name for tool in _TOOLS[:-2])


def play(run: Run) -> None:
    """The dispatcher briefs the planner, then the carrier desk, and tells the customer."""
    cast, thing = run.cast, run.thing
    with run.acting("dispatcher", run.task):
        turn = run.think("", [("brief_planner", {"job": f"Plan {thing}, {run.word}."})])
        with run.staged("tool", "brief_planner") as outer:
            with run.acting("route_planner", f"Plan {thing}, {run.word}."):
                run.do(cast.lookup, {cast.key: thing}, run.record(thing))
                if run.dice.random() < 0.6:
                    run.do(cast.search, {"query": f"{run.word} near {thing}"}, run.hits(3))
                run.cue("worker")
                plan = run.report(f"Plan for {thing}: two stops, {run.word}.")
            _report(outer, turn, plan)
        run.hear(plan, turn.calls[0])
        run.cue("team")
        if not run.over:
            turn = run.think("", [("brief_carrier_desk", {"job": f"Truck for {thing}"})])
            with run.staged("tool", "brief_carrier_desk") as outer:
                with run.acting("carrier_desk", f"Truck for {thing}. {plan} {run.note}"):
                    run.verify(thing)
                    run.do(cast.change, run.change_of(thing), {"assigned": thing})
                    run.cue("late")
                    done = run.report(f"A truck is assigned to {thing}.")
                _report(outer, turn, done)
            run.hear(done, turn.calls[0])
        run.report(cast.done.format(thing=thing))


def _report(outer: Step, turn: Step, said: str) -> None:
    outer.call, outer.turn, outer.result = turn.calls[0], turn, said


CAST: Final = Cast(
    application="logistics dispatch",
    service="dispatch-core",
    play=play,
    agents=(
        Agent(
            name="dispatcher",
            told="You run the dispatch floor. Brief colleagues, read their reports, answer customers.",
            service="dispatch-core",
            tools=("brief_planner", "brief_carrier_desk"),
        ),
        Agent(
            name="route_planner",
            told="You plan routes. Load numbers come from the brief or from the search.",
            service="dispatch-workers",
            tools=_ALL,
        ),
        Agent(
            name="carrier_desk",
            told="You assign trucks, but only after the axle check.",
            service="dispatch-workers",
            tools=_ALL,
        ),
    ),
    tools=_TOOLS,
    lead="dispatcher",
    worker="route_planner",
    peer="carrier_desk",
    thing="LD{}",
    key="load_no",
    record={
        "origin": ("Rotterdam", "Duisburg", "Gdansk", "Lyon"),
        "weight_kg": (900, 4200, 11800, 21500),
        "state": ("open", "planned", "rolling"),
        "stops": (1, 2, 3),
    },
    lookup="load_details",
    search="find_loads",
    change="assign_truck",
    choice="truck_class",
    amount="bay",
    check="axle_check",
    start="order_customs_slot",
    poll="customs_slot_state",
    tell="ping_driver",
    outside="carrier_portal",
    rare="toll_table",
    thorough="simulate_route",
    invented="optimize_fleet",
    words=("night drop", "hazmat", "two-man delivery", "cold chain", "tail lift", "express"),
    asks=(
        "Get {thing} on the road, {word}.",
        "Customer calls about {thing}: needs {word}.",
        "{thing} must leave today ({word}). Sort it out.",
    ),
    done="{thing} is planned and a truck is assigned.",
    versions=("2026.5", "2026.6", "2026.7"),
    models=("mistral-large-3", "gpt-5.1"),
)
