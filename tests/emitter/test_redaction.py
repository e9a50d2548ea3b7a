"""What quotes a trace leaves without what is sensitive in it; ids and numbers of ours stay."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from halo_otel.clock import ManualClock, SystemClock
from halo_otel.config.sections import Config, OtlpExporter
from halo_otel.emitter import Emitter, Metrics
from halo_otel.findings import Registry
from halo_otel.model.finding import Finding, Subject
from halo_otel.model.span import AnyValue
from halo_otel.selfobs import Counters
from halo_otel.service.redaction import redaction

MAIL = "anna.canary@mail.example.org"
CARD = "4539 1488 0343 6467"
KEY = "ghp_" + "Qw3rTy7uIoP2asDfG9hJkL4zXcV8bNm1Qa5Z"
SECRETS = (MAIL, CARD, CARD.replace(" ", ""), KEY)
CANARY = f"{MAIL} {CARD} {KEY}"


def quoting(plain: Finding) -> Finding:
    """`plain` with the canary wherever a finding holds words, and in its agent's Resource."""
    resource: dict[str, AnyValue] = {
        "service.name": CANARY,
        CANARY: "x",
        "card number": int(CARD.replace(" ", "")),
        "bytes": CANARY.encode(),
        "nested": {"list": [CANARY]},
    }
    evidence = tuple(replace(one, note=CANARY, resource=resource) for one in plain.evidence)
    subject = Subject(
        service=CANARY,
        agent=CANARY,
        tool=CANARY,
        model=CANARY,
        attributes={"error.type": CANARY, "key": CANARY},
    )
    return replace(
        plain,
        title=CANARY,
        summary=CANARY,
        recommendation=CANARY,
        subject=subject,
        evidence=evidence,
    )


async def sent(
    redact: Any, registry: Registry, collector: Any, clock: ManualClock, counters: Counters
) -> str:
    """All that the Collector was sent, as text; also in the metrics."""
    config = OtlpExporter(endpoint=collector.endpoint, timeout=5)
    metrics = Metrics(
        config,
        counters.snapshot,
        counters,
        SystemClock(),
        interval_s=3600,
        replica="r",
        redact=redact,
    )
    async with Emitter(registry, config, clock, counters, Random(7), redact) as emitter, metrics:
        await emitter.tick(clock.now_ns())
        await metrics.flush()
    requests = [request for signal in collector.requests.values() for request in signal]
    return "".join(str(request) for request in requests)


async def test_nothing_sensitive_reaches_the_collector(
    tmp_path: Any,
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    open_registry: Callable[..., Registry],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    """By default; and what was sent without is what shows that the canary is everywhere."""
    config = Config.model_validate({"storage": {"directory": tmp_path}})
    registry = open_registry(child_spans=True)
    shown = quoting(finding())
    record(shown, registry=registry)
    counters.set("halo.findings.open", 1, category="loop", severity="warn", service=CANARY)
    assert redaction(config, counters).store is None
    text = await sent(redaction(config, counters).emit, registry, collector, clock, counters)
    assert not [secret for secret in SECRETS if secret in text]
    pattern = collector.records()[0]
    told = {pair.key: pair.value for pair in pattern.attributes}
    assert told["halo.finding.fingerprint"].string_value == shown.fingerprint
    assert shown.evidence[0].span_id in told["halo.finding.evidence"].string_value
    assert told["halo.finding.title"].string_value.startswith("[e-mail ")
    assert told["halo.finding.traces_affected"].int_value == 5
    assert counters.value("halo.redaction.masked_values", kind="card number", place="emit") > 5


async def test_where_it_is_off_texts_leave_as_they_are(
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    config = Config.model_validate({"redaction": {"emit": "none"}})
    record(quoting(finding()))
    text = await sent(redaction(config, counters).emit, registry, collector, clock, counters)
    assert not [secret for secret in SECRETS if secret not in text]


async def test_what_has_nothing_sensitive_is_sent_to_the_byte(
    tmp_path: Any,
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    open_registry: Callable[..., Registry],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    config = Config.model_validate({"storage": {"directory": tmp_path}})
    registry = open_registry()
    record(finding(), registry=registry)
    await sent(redaction(config, counters).emit, registry, collector, clock, counters)
    (values,) = {
        tuple(pair.value.bytes_value for pair in group.resource.attributes if pair.key == "raw")
        for request in collector.requests["logs"]
        for group in request.resource_logs
    }
    assert values == (b"\x00\xff",)
    assert not [one for one in counters.snapshot() if one.name == "halo.redaction.masked_values"]
