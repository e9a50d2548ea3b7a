"""A hotel's concierge: a graph of agents, each a node that runs after the other."""

from typing import Final

from tests.eval.beta.cast import Agent, Cast, Tool
from tests.eval.beta.run import Run

_STAY: Final = {"type": "string", "description": "e.g. STAY-48213"}
_TOOLS: Final = (
    Tool(
        name="search_rooms",
        says="Find rooms and stays by words",
        takes={
            "query": {"type": "string"},
            "page": {"type": "integer", "minimum": 1},
            "guests": {"type": ["string", "integer"]},
        },
        needs=("query",),
        median_s=0.6,
    ),
    Tool(
        name="get_stay",
        says="Everything about one stay",
        takes={"stay_code": _STAY, "with_history": {"type": "boolean"}},
        needs=("stay_code",),
        median_s=0.25,
    ),
    Tool(
        name="amend_stay",
        says="Change room class and nights of a stay",
        takes={
            "stay_code": _STAY,
            "room_class": {"type": "string", "enum": ["standard", "garden", "suite"]},
            "nights": {"type": "integer", "minimum": 1},
            "remark": {"type": "string"},
            "revision": {"type": "integer"},
        },
        needs=("stay_code", "room_class", "nights"),
        median_s=0.5,
    ),
    Tool(
        name="confirm_availability",
        says="Is the house free on these nights",
        takes={"stay_code": _STAY},
        needs=("stay_code",),
    ),
    Tool(
        name="request_quote",
        says="Ask the revenue desk for a price",
        takes={"stay_code": _STAY},
        needs=("stay_code",),
    ),
    Tool(
        name="quote_status",
        says="State of a quote",
        takes={"quote": {"type": "string"}},
        needs=("quote",),
        median_s=0.15,
    ),
    Tool(
        name="message_guest",
        says="Send the guest a note",
        takes={"stay_code": _STAY, "text": {"type": "string"}},
        needs=("stay_code", "text"),
    ),
    Tool(
        name="post_to_partner",
        says="Send a text to a partner's booking system",
        takes={"partner": {"type": "string"}, "payload": {"type": "string"}},
        needs=("partner", "payload"),
        median_s=0.9,
    ),
    Tool(
        name="inspect_house",
        says="Look at every room of a stay's house",
        takes={"stay_code": _STAY},
        needs=("stay_code",),
        median_s=5.0,
    ),
    Tool(
        name="list_amenities",
        says="Pools, saunas, breakfast hours",
        takes={"house": {"type": "string"}},
        needs=("house",),
    ),
)
_ALL: Final = tuple(tool.name for tool in _TOOLS)


def play(run: Run) -> None:
    """Router, finder, desk and writer, one node after the other under the graph's own span."""
    cast, thing = run.cast, run.thing
    with run.staged("run", "concierge_graph") as root:
        with run.acting("front_router", run.task):
            run.think('{"next": "room_finder", "why": "a stay is named"}')
        notes = f"{run.task}\nRouter: look into {thing}."
        with run.acting("room_finder", notes):
            stay = run.do(cast.lookup, {cast.key: thing}, run.record(thing))
            if run.dice.random() < 0.7:
                hits = run.hits(run.dice.randrange(2, 5))
                run.do(cast.search, {"query": f"{run.word} room for {thing}"}, hits)
            run.cue("worker")
            found = run.report(f"{thing} can be changed as asked: {stay.result[:80]}")
        run.cue("team")
        if not run.over:
            with run.acting("booking_desk", f"{run.task}\nFinder: {found} {run.note}"):
                run.verify(thing)
                run.do(cast.change, run.change_of(thing), {"saved": True, "of": thing})
                run.cue("late")
                run.report(f"{thing} is amended.")
        if run.crash is None:
            with run.acting("guest_writer", f"{run.task}\nSo far: {found} {run.note}"):
                root.says = run.report(cast.done.format(thing=thing))


CAST: Final = Cast(
    application="hotel concierge",
    service="concierge-graph",
    play=play,
    agents=(
        Agent(
            name="front_router",
            told="You route guests' wishes to the right colleague. Answer in JSON.",
            service="concierge-graph",
        ),
        Agent(
            name="room_finder",
            told="You find stays and rooms. Never guess a stay code; look it up.",
            service="concierge-graph",
            tools=_ALL,
        ),
        Agent(
            name="booking_desk",
            told="You amend stays after the house has confirmed the nights.",
            service="concierge-graph",
            tools=_ALL,
        ),
        Agent(
            name="guest_writer",
            told="You write to guests, warmly and briefly.",
            service="concierge-graph",
        ),
    ),
    tools=_TOOLS,
    lead="front_router",
    worker="room_finder",
    peer="booking_desk",
    thing="STAY-{}",
    key="stay_code",
    record={
        "house": ("Alfama", "Belém", "Graça", "Estrela"),
        "room_class": ("standard", "garden", "suite"),
        "state": ("held", "confirmed", "option"),
        "nights": (1, 2, 3, 4, 7),
    },
    lookup="get_stay",
    search="search_rooms",
    change="amend_stay",
    choice="room_class",
    amount="nights",
    check="confirm_availability",
    start="request_quote",
    poll="quote_status",
    tell="message_guest",
    outside="post_to_partner",
    rare="list_amenities",
    thorough="inspect_house",
    invented="check_weather",
    words=("quiet", "river view", "late arrival", "family", "wheelchair friendly", "top floor"),
    asks=(
        "My stay {thing} should become a {word} one, please.",
        "Hello, for {thing} we'd like something {word}. Can you arrange it?",
        "Please look at {thing}: is there anything {word}?",
    ),
    done="Your stay {thing} is arranged as you wished. We look forward to seeing you!",
    versions=("2.4.0", "2.5.1"),
    models=("gpt-5.1-mini", "gpt-5.1"),
)
