"""A travel assistant: a concierge with a flights agent and a hotels agent below it."""

from datetime import date, timedelta
from typing import Final

from halo_otel.demo.faults import FaultKind
from halo_otel.demo.recording import Agent, Json, Run, Tool

SEARCH_FLIGHTS = Tool(name="search_flights", median_s=0.9, host="fares.example.net")
FARE_RULES = Tool(name="get_fare_rules", median_s=0.25)
SEAT_MAP = Tool(name="get_seat_map", median_s=0.3)
HOLD_SEAT = Tool(name="hold_seat", median_s=0.5, sigma=0.7)
CREATE_BOOKING = Tool(name="create_booking", median_s=1.1, sigma=0.6, host="booking.example.net")
BOOKING_STATUS = Tool(name="get_booking_status", median_s=0.15)
LIST_HOTELS = Tool(name="list_hotels", median_s=0.6, sigma=0.9)
HOTEL_DETAILS = Tool(name="get_hotel_details", median_s=0.35)
WEATHER = Tool(name="get_weather", median_s=0.4, sigma=1.0, host="weather.example.net")
TRAVELLER = Tool(name="get_traveller_profile", median_s=0.08)
CONFIRMATION = Tool(name="send_confirmation", median_s=0.3, sigma=0.8)
KEEP_ALIVE = Tool(name="keep_session_alive", median_s=0.02)

CITIES: Final = (
    "Lisbon", "Oslo", "Vienna", "Porto", "Zagreb", "Lyon", "Tallinn", "Cork",
    "Bergen", "Malaga", "Turin", "Graz", "Bilbao", "Aarhus", "Ghent", "Split",
)  # fmt: skip
AIRLINES: Final = ("NX", "KV", "TO", "QB", "LM")
HOTELS: Final = ("Central", "Riverside", "Grand", "Station", "Garden", "Old Town", "Harbour")


def book_flight(run: Run) -> None:
    """Search, compare, hold and book; the booking's status is polled until it is confirmed."""
    origin, target, day = _trip(run)
    with run.agent(
        "concierge", f"Book me a flight from {origin} to {target} on {day}."
    ) as concierge:
        _keep_alive(concierge)
        traveller = f"tr_{run.topic.randrange(10**6):06d}"
        concierge.use(TRAVELLER, {"traveller_id": traveller}, _profile(run, traveller))
        with concierge.delegate("flights", f"Find and book {origin} to {target}, {day}") as flights:
            offers = _offers(run, 3)
            flights.use(SEARCH_FLIGHTS, _route(origin, target, day), {"offers": list(offers)})
            for offer in offers[: run.rng.randrange(1, 4)]:
                flights.use(FARE_RULES, {"offer_id": offer["id"]}, _rules(run))
            flights.use(SEAT_MAP, {"offer_id": offers[0]["id"]}, {"free": ["12A", "14C", "20F"]})
            hold = f"hold_{run.rng.getrandbits(32):08x}"
            flights.use(HOLD_SEAT, {"offer_id": offers[0]["id"], "seat": "14C"}, {"hold_id": hold})
            _book(flights, hold)
            flights.answer(f"Booked {offers[0]['id']} for {offers[0]['price']} EUR, seat 14C.")
        _keep_alive(concierge)
        concierge.use(CONFIRMATION, {"traveller_id": traveller, "channel": "mail"}, {"sent": True})
        _keep_alive(concierge)
        concierge.answer(
            f"Your flight to {target} on {day} is booked. The confirmation is on its way."
        )


def _book(flights: Agent, hold: str) -> None:
    rng = flights.run.rng
    booking = f"BK{rng.randrange(10**7):07d}"
    flights.use(CREATE_BOOKING, {"hold_id": hold}, {"booking_id": booking, "status": "pending"})
    pending: Json = {"booking_id": booking, "status": "pending"}
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):  # the same poll, the same answer: it resolves
        flights.use(BOOKING_STATUS, {"booking_id": booking}, pending)
        flights.run.pause(rng.uniform(0.5, 2))
    flights.use(
        BOOKING_STATUS, {"booking_id": booking}, {"booking_id": booking, "status": "confirmed"}
    )


def plan_hotel(run: Run) -> None:
    """Pages through a list of hotels and looks closer at a few."""
    _, target, day = _trip(run)
    with run.agent(
        "concierge", f"Find a quiet hotel in {target} from {day}, two nights."
    ) as concierge:
        _keep_alive(concierge)
        concierge.use(WEATHER, {"city": target, "date": day}, _weather(run))
        with concierge.delegate("hotels", f"Shortlist hotels in {target} for {day}") as hotels:
            pages = run.rng.randrange(2, 7)
            found: list[str] = []
            for page in range(1, pages + 1):
                names = [f"{target} {run.topic.choice(HOTELS)} {page}{n}" for n in range(3)]
                found += names
                hotels.use(
                    LIST_HOTELS,
                    {"city": target, "check_in": day, "page": page, "per_page": 3},
                    {"page": page, "pages": pages, "hotels": list(names)},
                )
            for name in found[: run.rng.randrange(2, 5)]:
                hotels.use(HOTEL_DETAILS, {"name": name}, _hotel(run, name))
            hotels.answer(f"Shortlist: {', '.join(found[:3])}.")
        _keep_alive(concierge)
        concierge.use(WEATHER, {"city": target, "date": _next_day(day)}, _weather(run))
        _keep_alive(concierge)
        concierge.answer(f"I suggest {found[0]}; it is quiet and close to the centre.")


def search_in_vain(run: Run) -> None:
    """Looks at one date after the other; there is nothing, and that is the honest answer."""
    origin, target, day = _trip(run)
    with run.agent("concierge", f"Any direct flight {origin}-{target} around {day}?") as concierge:
        _keep_alive(concierge)
        with concierge.delegate("flights", f"Direct flights {origin} to {target}") as flights:
            for _ in range(run.rng.randrange(3, 7)):
                arguments = {**_route(origin, target, day), "direct": True}
                flights.use(SEARCH_FLIGHTS, arguments, {"offers": []})
                day = _next_day(day)
            flights.answer("There are no direct flights on these days.")
        if run.rng.random() < 0.5:
            _keep_alive(concierge)
        concierge.answer(f"There is no direct flight from {origin} to {target} in that week.")


def _keep_alive(agent: Agent) -> None:
    agent.use(KEEP_ALIVE, {}, {"ok": True})


def _trip(run: Run) -> tuple[str, str, str]:
    origin, target = run.topic.sample(CITIES, 2)
    return origin, target, str(date(2026, 6, 1) + timedelta(days=run.topic.randrange(120)))


def _next_day(day: str) -> str:
    return str(date.fromisoformat(day) + timedelta(days=1))


def _route(origin: str, target: str, day: str) -> dict[str, Json]:
    return {"origin": origin, "destination": target, "date": day}


def _offers(run: Run, count: int) -> list[dict[str, Json]]:
    return [
        {
            "id": f"{run.topic.choice(AIRLINES)}{run.topic.randrange(100, 9999)}",
            "price": run.topic.randrange(60, 640),
            "stops": run.topic.randrange(0, 2),
            "departure": f"{run.topic.randrange(5, 22):02d}:{run.topic.randrange(0, 12) * 5:02d}",
        }
        for _ in range(count)
    ]


def _rules(run: Run) -> Json:
    return {"refundable": run.topic.random() < 0.3, "change_fee": run.topic.randrange(0, 90)}


def _profile(run: Run, traveller: str) -> Json:
    return {"id": traveller, "seat": "aisle", "meal": "any", "member": run.topic.random() < 0.4}


def _weather(run: Run) -> Json:
    return {"high_c": run.topic.randrange(12, 33), "rain_mm": round(run.topic.random() * 9, 1)}


def _hotel(run: Run, name: str) -> Json:
    return {"name": name, "rooms": run.topic.randrange(20, 300), "noise": "low", "stars": 3}


SCENARIOS: Final = ((0.5, book_flight), (0.35, plan_hotel), (0.15, search_in_vain))
TARGETS: Final[dict[FaultKind, tuple[tuple[str, str], ...]]] = {
    FaultKind.ERROR_SIGNATURE: (("flights", "hold_seat"), ("concierge", "get_weather")),
    FaultKind.EXACT_LOOP: (("flights", "search_flights"), ("hotels", "list_hotels")),
    FaultKind.PERIODIC_LOOP: (("flights", "get_seat_map"), ("hotels", "get_hotel_details")),
    FaultKind.RETRY_STORM: (("flights", "create_booking"), ("hotels", "list_hotels")),
    FaultKind.REDUNDANT_CALLS: (("flights", "search_flights"), ("hotels", "list_hotels")),
    FaultKind.SLOW_MODE: (("flights", "search_flights"), ("hotels", "get_hotel_details")),
}
