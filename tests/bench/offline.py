"""Seconds and peak memory of `halo-otel analyze` on a file, as a user runs it.

python tests/bench/offline.py [spans]
"""

import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script
from halo_otel.demo.traffic import generate
from halo_otel.otlp.encode import requests

START_NS = 1_790_000_000_000_000_000
WINDOW_NS = 300_000_000_000
RUNS_A_ROUND = 150  # of each application


def write(path: Path, spans_wanted: int) -> tuple[int, int]:
    """Generated traffic as the Collector's file exporter writes it; spans and bytes written."""
    spans = 0
    with path.open("w", encoding="utf-8") as file:
        for seed in range(1_000_000):
            if spans >= spans_wanted:
                break
            traffic = generate(
                seed=seed, runs=RUNS_A_ROUND, start_ns=START_NS, duration_ns=WINDOW_NS
            )
            spans += len(traffic.spans)
            for payload in requests(traffic.spans):
                message = ExportTraceServiceRequest.FromString(payload)
                tree = MessageToDict(message, use_integers_for_enums=True)
                file.write(json.dumps(_hex_ids(tree)) + "\n")
    return spans, path.stat().st_size


def _hex_ids(tree: Any) -> Any:
    """OTLP's JSON writes ids in hex where protobuf's writes base64."""
    if isinstance(tree, list):
        return [_hex_ids(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: base64.b64decode(value).hex()
        if key in {"traceId", "spanId", "parentSpanId"}
        else _hex_ids(value)
        for key, value in tree.items()
    }


def main(spans_wanted: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "traces.jsonl"
        spans, size_bytes = write(path, spans_wanted)
        command = [sys.executable, "-m", "halo_otel", "analyze", str(path), "--quiet"]
        seconds = []
        for _ in range(3):
            started = time.monotonic()
            subprocess.run([*command, "--out", f"{scratch}/report.md"], check=True)
            seconds.append(time.monotonic() - started)
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{spans:,} spans, {size_bytes / 1e6:.0f} MB: {sorted(seconds)[1]:.2f} s "
            f"(of {', '.join(f'{s:.2f}' for s in seconds)}), peak {peak_mb:.0f} MB"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
