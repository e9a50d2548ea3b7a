"""The engine dies or is told to stop in the midst of an analysis, or of writing down what it found."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.config.sections import Emit
from halo_otel.findings import Registry, SignalKind
from halo_otel.selfobs import Counters
from tests.faults.conftest import all_ingested, engine_of, send, stored
from tests.faults.test_engine import wait_for_restarts
from tests.path.conftest import Service, eventually, free_port

RUNS = 3_000
SPANS_PER_RUN = 10
GRACE_S = 20.0
BUSY_S = 0.5  # of work since it was asked: no engine that only waits has done so much
WRITE_LOCK = [
    "120",
    "120",
]  # the byte that who writes has locked (sqlite.org/walformat.html, 2.3.2)
ATTEMPTS = 20
INTERRUPTED = ["analysis", "registry"]


def agents(first: int, count: int) -> ExportTraceServiceRequest:
    """Runs of an agent whose tool fails in each third of them."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "booking"
    spans = group.scope_spans.add().spans
    for run in range(first, first + count):
        for place in range(SPANS_PER_RUN):
            span = spans.add(kind=1, start_time_unix_nano=place + 1, end_time_unix_nano=place + 2)
            span.trace_id = (run + 1).to_bytes(16, "big")
            span.span_id = (run * SPANS_PER_RUN + place + 1).to_bytes(8, "big")
            operation = "execute_tool" if place else "invoke_agent"
            span.name = f"{operation} booker"
            facts = {"gen_ai.operation.name": operation, "gen_ai.agent.name": "booker"}
            if place:
                span.parent_span_id = (run * SPANS_PER_RUN + 1).to_bytes(8, "big")
                facts |= {"gen_ai.tool.name": "pay", "gen_ai.tool.call.arguments": f"{place}"}
            if place == SPANS_PER_RUN - 1 and run % 3 == 0:
                span.status.code, span.status.message = 2, "card service down"
                facts["error.type"] = "PayError"
            for key, value in facts.items():
                span.attributes.add(key=key).value.string_value = value
    return message


@pytest.fixture
def analysing(service: Service) -> Service:
    """A service that holds spans, analyses them when it is asked to, and finds no Collector."""
    service.environ |= {
        "HALO_WINDOW_LENGTH": "1d",
        "HALO_ANALYSIS_EARLY_ENABLED": "false",
        "HALO_ANALYSIS_TRACE_SETTLE": "0s",
        "HALO_EXPORTERS_OTLP_ENABLED": "true",
        "HALO_EXPORTERS_OTLP_ENDPOINT": f"127.0.0.1:{free_port()}",
    }
    service.start()
    for first in range(0, RUNS, 1000):
        send(service, agents(first, 1000))
    all_ingested(service)
    return service


def facts_of(pid: int) -> list[str]:
    """A process's state, and what the system counts of it (proc(5), stat, from the third field on)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """What a process has worked."""
    facts = facts_of(pid)
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


def has_worked(pid: int, until_s: float) -> bool:
    return cpu_s(pid) > until_s


def writes_registry(pid: int) -> bool:
    """Whether a process is in the midst of a transaction that writes to a SQLite database."""
    locks = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    return any(
        fields[4] == str(pid) and fields[6:] == WRITE_LOCK for fields in map(str.split, locks)
    )


def report_now(service: Service) -> int:
    return service.command("report", "--now", "--format", "json").returncode


def stopped(engine: int, there: Callable[[int], bool]) -> bool:
    """Whether the engine stands still where it is to die; else it goes on."""
    if not there(engine):
        return False
    os.kill(engine, signal.SIGSTOP)
    eventually("it stands still", lambda: facts_of(engine)[0] == "T")
    if there(engine):
        return True
    os.kill(engine, signal.SIGCONT)
    return False


def interrupt(service: Service, where: str, kill: Callable[[int], None]) -> int:
    """Have the service analyse, and `kill` its engine when it is that far; what became of the wish.

    A machine that is busy may look away when it is that far, milliseconds long: then it analyses again.
    """
    engine = engine_of(service)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(ATTEMPTS):
            there = (
                writes_registry
                if where == "registry"
                else partial(has_worked, until_s=cpu_s(engine) + BUSY_S)
            )
            asked = pool.submit(report_now, service)
            while not asked.done():
                if stopped(engine, there):
                    kill(engine)
                    with suppress(ProcessLookupError):
                        os.kill(engine, signal.SIGCONT)
                    return asked.result(60)
    pytest.fail(f"never seen there in {ATTEMPTS} analyses")


def test_findings_come_once_however_often_the_engine_dies_while_it_finds_them(
    analysing: Service,
) -> None:
    service = analysing
    for number, where in enumerate(INTERRUPTED, start=1):
        code = interrupt(service, where, lambda engine: os.kill(engine, signal.SIGKILL))
        # What tells the findings writes there, too: then the answer may be under way already.
        assert code != 0 or where == "registry"
        wait_for_restarts(service, number)
        service.wait_ready()

    popen = service.process.popen
    assert popen is not None
    interrupt(service, "analysis", lambda _: popen.send_signal(signal.SIGTERM))
    assert popen.wait(GRACE_S) == 0
    assert "Traceback" not in service.process.log.read_text(encoding="utf-8")
    service.start()
    assert report_now(service) == 0
    assert stored(service) == list(range(RUNS * SPANS_PER_RUN))

    registry = Registry(f"sqlite:///{service.storage}/registry.sqlite", Emit(), Counters())
    registry.open()
    transitions = registry.transitions()
    found = {finding.fingerprint: finding.category for finding in registry.findings()}
    waiting = registry.pending(SignalKind.LOG, 10_000, 2**62, 1.0)
    registry.close()
    assert "error" in found.values()
    assert Counter(one.fingerprint for one in transitions) == Counter(found.keys())
    assert Counter(told(json.loads(one.payload) for one in waiting)) == Counter(found.keys())


def told(requests: Iterable[Any]) -> Iterator[str]:
    """The fingerprints of the findings that wait to be told."""
    for request in requests:
        for record in (record for scope in request["scopeLogs"] for record in scope["logRecords"]):
            if record["eventName"] == "halo.finding":
                facts = {fact["key"]: fact["value"] for fact in record["attributes"]}
                yield facts["halo.finding.fingerprint"]["stringValue"]
