"""A support desk: triage hands over to billing, shipping or knowledge, all with retrieval."""

from typing import Final

from halo_otel.demo.faults import FaultKind
from halo_otel.demo.recording import Agent, Json, Run, Tool
from halo_otel.model.facts import SpanKind

KNOWLEDGE = Tool(name="knowledge_base", median_s=0.35, sigma=0.6, kind=SpanKind.RETRIEVER)
CUSTOMER = Tool(name="lookup_customer", median_s=0.12)
GET_ORDER = Tool(name="get_order", median_s=0.15)
LIST_INVOICES = Tool(name="list_invoices", median_s=0.3, sigma=0.7)
REFUND_ORDER = Tool(name="refund_order", median_s=0.7, host="payments.example.net")
REFUND_STATUS = Tool(name="get_refund_status", median_s=0.2, host="payments.example.net")
TRACK_PARCEL = Tool(name="track_parcel", median_s=0.8, sigma=1.0, host="parcels.example.net")
CREATE_TICKET = Tool(name="create_ticket", median_s=0.25)
WEB_SEARCH = Tool(name="web_search", median_s=1.2, sigma=0.8, host="search.example.net")
HANDOFF_WISH = Tool(name="check_handoff_request", median_s=0.02)

PRODUCTS: Final = (
    "kettle", "desk lamp", "backpack", "headset", "bike light", "tent", "blender", "monitor arm",
    "keyboard", "rain jacket", "camp stove", "router",
)  # fmt: skip
WISHES: Final = (
    "never arrived", "is broken", "was billed twice", "has the wrong colour", "makes a noise",
    "stopped charging", "misses a part",
)  # fmt: skip


def refund(run: Run) -> None:
    """Billing checks the invoices page by page, refunds, and polls until the money is on its way."""
    product, wish = run.topic.choice(PRODUCTS), run.topic.choice(WISHES)
    with run.agent("triage", f"My {product} {wish}. I want my money back.") as triage:
        customer = _know_customer(triage)
        order = f"A-{run.topic.randrange(10**5):05d}"
        with triage.delegate("billing", f"Refund {product}, order {order}") as billing:
            billing.use(GET_ORDER, {"order_id": order}, _order(run, order, product))
            for page in range(1, run.rng.randrange(2, 5)):
                invoices = [f"INV{run.topic.randrange(10**6):06d}" for _ in range(4)]
                arguments: dict[str, Json] = {"customer_id": customer, "page": page}
                billing.use(LIST_INVOICES, arguments, {"page": page, "invoices": list(invoices)})
            billing.use(KNOWLEDGE, {"query": f"refund policy {product}"}, _passages(run, product))
            billing.use(
                REFUND_ORDER, {"order_id": order}, {"refund": f"rf_{order}", "state": "open"}
            )
            for share in sorted(run.rng.sample(range(5, 99), run.rng.randrange(0, 3))):
                state: Json = {"refund": f"rf_{order}", "state": "processing", "percent": share}
                billing.use(REFUND_STATUS, {"refund": f"rf_{order}"}, state)
            paid: Json = {"refund": f"rf_{order}", "state": "paid", "percent": 100}
            billing.use(REFUND_STATUS, {"refund": f"rf_{order}"}, paid)
            billing.answer(f"Order {order} is refunded.")
        _wish(triage)
        _wish(triage)
        triage.answer(f"We have refunded your {product}. Sorry for the trouble!")


def where_is_it(run: Run) -> None:
    """Shipping tracks the parcel with two carriers; a ticket is written when nobody knows it."""
    product = run.topic.choice(PRODUCTS)
    with run.agent("triage", f"Where is the {product} I ordered?") as triage:
        _know_customer(triage)
        order = f"A-{run.topic.randrange(10**5):05d}"
        with triage.delegate("shipping", f"Track order {order}") as shipping:
            shipping.use(GET_ORDER, {"order_id": order}, _order(run, order, product))
            for carrier in ("northpost", "swiftline", "parcelhub")[: run.rng.randrange(1, 4)]:
                arguments: dict[str, Json] = {"order_id": order, "carrier": carrier}
                shipping.use(TRACK_PARCEL, arguments, {"carrier": carrier, "events": []})
            shipping.use(KNOWLEDGE, {"query": f"delivery times {product}"}, _passages(run, product))
            if run.rng.random() < 0.5:
                shipping.use(
                    CREATE_TICKET, {"order_id": order}, {"ticket": run.rng.randrange(10**6)}
                )
            shipping.answer(f"Order {order} has left the warehouse.")
        _wish(triage)
        _wish(triage)
        triage.answer(f"Your {product} is on its way; it should arrive within three days.")


def how_to(run: Run) -> None:
    """Knowledge asks in different words, finds nothing at first, and looks on the web at last."""
    product = run.topic.choice(PRODUCTS)
    with run.agent("triage", f"How do I clean the {product}?") as triage:
        _wish(triage)
        with triage.delegate("knowledge", f"Cleaning instructions for {product}") as knowledge:
            words = run.topic.sample(
                ("clean", "wash", "care", "stains", "maintenance", "descale"), 4
            )
            for word in words:
                knowledge.use(KNOWLEDGE, {"query": f"{product} {word}"}, [])
            query = f"how to clean a {product}"
            knowledge.use(WEB_SEARCH, {"q": query}, _passages(run, product))
            knowledge.answer("Warm water and a soft cloth; no solvents.")
        _wish(triage)
        _wish(triage)
        triage.answer(f"Clean your {product} with warm water and a soft cloth.")


def _know_customer(triage: Agent) -> str:
    run = triage.run
    _wish(triage)
    customer = f"cu_{run.topic.randrange(10**6):06d}"
    triage.use(
        CUSTOMER, {"customer_id": customer}, {"id": customer, "tier": "standard", "since": 2021}
    )
    return customer


def _wish(triage: Agent) -> None:
    triage.use(HANDOFF_WISH, {}, {"requested": False})


def _order(run: Run, order: str, product: str) -> Json:
    return {"id": order, "item": product, "price": run.topic.randrange(9, 240), "state": "shipped"}


def _passages(run: Run, product: str) -> Json:
    return [
        {
            "id": f"kb-{run.topic.randrange(9999)}",
            "text": f"{product}: section {n}. " + "Details. " * 8,
        }
        for n in range(1, 3)
    ]


SCENARIOS: Final = ((0.45, refund), (0.3, where_is_it), (0.25, how_to))
TARGETS: Final[dict[FaultKind, tuple[tuple[str, str], ...]]] = {
    FaultKind.ERROR_SIGNATURE: (("billing", "refund_order"), ("shipping", "track_parcel")),
    FaultKind.EXACT_LOOP: (("shipping", "track_parcel"), ("knowledge", "knowledge_base")),
    FaultKind.PERIODIC_LOOP: (("billing", "knowledge_base"), ("shipping", "knowledge_base")),
    FaultKind.RETRY_STORM: (("billing", "refund_order"), ("knowledge", "web_search")),
    FaultKind.REDUNDANT_CALLS: (("billing", "get_order"), ("shipping", "get_order")),
    FaultKind.SLOW_MODE: (("billing", "get_order"), ("triage", "lookup_customer")),
}
