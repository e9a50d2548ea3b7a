"""Requests of monstrous shape: memory stays bounded and they are stored. Measured in a child process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import ManualClock
from tests.faults.conftest import request
from tests.ingest.frames import JournalFile

# Ingests a journal and says how many spans it stored and how much memory it took in the end at most.
INGEST = """
import re, sys
from pathlib import Path
from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
directory, durable = Path(sys.argv[1]), int(sys.argv[2])
counters = Counters()
store = WindowStore(directory / "windows", sections.Window(memory_limit="256MiB"), counters)
store.open()
with JournalReader(directory / "journal", 0) as reader:
    Ingest(reader, store, counters, ManualClock()).tick(durable)
store.close()
# getrusage would also count what the process that started this one had.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(counters.value("halo.ingest.spans")), int(peak[1]) << 10)
"""


def many_spans() -> ExportTraceServiceRequest:
    return request(0, 200_000)


def a_long_text() -> ExportTraceServiceRequest:
    return request(0, 1, text="x" * (50 << 20))


def many_attributes() -> ExportTraceServiceRequest:
    message = request(0, 1)
    (span,) = message.resource_spans[0].scope_spans[0].spans
    for number in range(100_000):
        span.attributes.add(key=f"key {number}").value.string_value = "value"
    return message


def many_resources() -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    for number in range(50_000):
        one = request(number, 1)
        attribute = one.resource_spans[0].resource.attributes.add(key="service.name")
        attribute.value.string_value = f"service {number}"
        message.resource_spans.append(one.resource_spans[0])
    return message


@pytest.mark.parametrize(
    ("shape", "spans"),
    [(many_spans, 200_000), (a_long_text, 1), (many_attributes, 1), (many_resources, 50_000)],
)
def test_memory_is_bounded_whatever_the_shape_of_a_request(
    tmp_path: Path, shape: Callable[[], ExportTraceServiceRequest], spans: int
) -> None:
    durable = JournalFile(tmp_path / "journal", ManualClock()).append(shape().SerializeToString())
    result = subprocess.run(
        [sys.executable, "-c", INGEST, str(tmp_path), str(durable)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    stored, peak_bytes = map(int, result.stdout.split())
    assert stored == spans
    assert peak_bytes < 700 << 20  # measured: 490 MiB for the worst of them
