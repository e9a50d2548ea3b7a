"""Agents' traces at a fixed rate, cheap for the machine that measures: requests are made once and
renewed by writing a number into their ids.

    python tests/soak/load.py PORT SPANS_PER_SECOND LANE PHASE_S SPANS_A_REQUEST < pipe

Says when it begins, sends OTLP/gRPC until its standard input ends, each request again and again until
it is accepted, and then prints one JSON object: what was accepted and how long the acknowledgements took.

The number of a request is in the first four bytes of each of its trace and span ids; `LANE` is its
highest byte, so that several senders never share one.
"""

import asyncio
import json
import re
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script

from halo_otel.demo.applications import APPLICATIONS
from halo_otel.demo.programme import FAULTS
from halo_otel.demo.traffic import generate
from halo_otel.model.span import Span
from halo_otel.otlp.encode import request

_TIME: Final = struct.Struct("<Q")  # fixed64 (protobuf)
# Tags and lengths of trace_id, span_id and parent_span_id, and the tags of start, end and event times
# (opentelemetry/proto/trace/v1/trace.proto). Other bytes may look so: the value decides.
_IDS: Final = re.compile(rb"(?s)(?=\x0a\x10(.{16})|[\x12\x22]\x08(.{8}))")
_TIMES: Final = re.compile(rb"(?s)(?=[\x39\x41\x09](.{8}))")
METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
IN_FLIGHT: Final = 16
TIMEOUT_S: Final = 20.0
PAUSE_S: Final = 0.2  # before a request that was not accepted is sent again
_SPANS_OF_ALL: Final = 115
VARIANTS: Final = 3  # templates of each phase
LANE_BITS: Final = 24
# A sender that was held up catches up, but at no more than this multiple of its rate.
CATCH_UP: Final = 1.5
# The traffic of one phase has one of the planted faults, or none: findings come, go and come back.
PHASES: Final = (None, *FAULTS)


@dataclass(frozen=True, slots=True)
class Template:
    """A serialised request, and where in it the ids and times stand."""

    payload: bytes
    spans: int
    ids: list[int]  # where each trace and span id begins
    times: list[tuple[int, int]]  # where each fixed64 time stands, and the time
    sessions: list[int]  # where eight hexadecimal digits of each session's name begin

    def renewed(self, number: int, later_ns: int) -> bytes:
        """The request as number `number`, all its times moved by `later_ns`."""
        payload = bytearray(self.payload)
        head, digits = number.to_bytes(4, "big"), f"{number:08x}".encode()
        for place in self.ids:
            payload[place : place + 4] = head
        for place, moment in self.times:
            _TIME.pack_into(payload, place, moment + later_ns)
        for place in self.sessions:
            payload[place : place + 8] = digits
        return bytes(payload)


def template(phase: int, variant: int, spans_wanted: int, now_ns: int) -> Template:
    """About `spans_wanted` spans of whole traces that ended by `now_ns`, with the fault of `phase`."""
    fault = PHASES[phase]
    # One run of each application is about 115 spans together; a small request holds one run alone.
    small = spans_wanted < _SPANS_OF_ALL
    traffic = generate(
        seed=f"soak {phase} {variant}",
        runs=1 if small else round(spans_wanted / _SPANS_OF_ALL),
        start_ns=now_ns - 300 * 10**9,
        duration_ns=60 * 10**9,
        applications=[APPLICATIONS[variant % len(APPLICATIONS)]] if small else APPLICATIONS,
        faults=() if fault is None else (fault,),
    )
    return laid_out(traffic.spans)


def laid_out(spans: tuple[Span, ...]) -> Template:
    """The request of these spans, with the places of what is renewed."""
    payload = request(spans).SerializeToString()
    ids = {bytes.fromhex(span.trace_id) for span in spans}
    ids |= {bytes.fromhex(span.span_id) for span in spans}
    assert len({one[4:] for one in ids}) == len(ids), "ids differ after their first four bytes"
    moments = {_TIME.pack(time) for span in spans for time in (span.start_ns, span.end_ns)}
    moments |= {_TIME.pack(event.time_ns) for span in spans for event in span.events}
    found = [(at.start() + 1, at[1]) for at in _TIMES.finditer(payload)]
    return Template(
        payload=payload,
        spans=len(spans),
        ids=[at.start() + 2 for at in _IDS.finditer(payload) if {at[1], at[2]} & ids],
        times=[(place, *_TIME.unpack(one)) for place, one in found if one in moments],
        sessions=[at.end() for at in re.finditer(b"sess-", payload)],
    )


class Load:
    """One sender."""

    def __init__(self, port: int, rate: float, lane: int, phase_s: float, wanted: int) -> None:
        self._port, self._rate, self._lane, self._phase_s = port, rate, lane, phase_s
        self._began_ns = time.time_ns()
        self._templates = [
            [template(phase, variant, wanted, self._began_ns) for variant in range(VARIANTS)]
            for phase in range(len(PHASES))
        ]
        self._numbers = 0
        self.accepted: list[tuple[int, int]] = []  # request and its spans
        self.acks_s: list[float] = []
        self.refused = 0

    async def run(self) -> None:
        """Send until standard input ends; then until what is under way is accepted."""
        ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        room = asyncio.Semaphore(IN_FLIGHT)
        options = [
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", options) as channel:
            export = channel.unary_unary(METHOD, None, None)
            async with asyncio.TaskGroup() as tasks:
                began = due = time.monotonic()
                while not ended.done():
                    await asyncio.sleep(due - time.monotonic())
                    await room.acquire()
                    chosen = self._chosen(time.monotonic() - began)
                    interval_s = chosen.spans / self._rate
                    due = max(due + interval_s, time.monotonic() + interval_s / CATCH_UP - 0.05)
                    tasks.create_task(self._send(export, chosen, room))
                self.elapsed_s = time.monotonic() - began

    def _chosen(self, elapsed_s: float) -> Template:
        phase = int(elapsed_s / self._phase_s) % len(PHASES)
        return self._templates[phase][self._numbers % VARIANTS]

    async def _send(self, export: Any, chosen: Template, room: asyncio.Semaphore) -> None:
        self._numbers += 1
        number = (self._lane << LANE_BITS) + self._numbers
        payload = chosen.renewed(number, time.time_ns() - self._began_ns)
        while True:
            sent = time.monotonic()
            try:
                await export(payload, timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    raise
                self.refused += 1
                await asyncio.sleep(PAUSE_S)
                continue
            self.acks_s.append(time.monotonic() - sent)
            break
        self.accepted.append((number, chosen.spans))
        room.release()

    def told(self) -> dict[str, Any]:
        return {
            "elapsed_s": self.elapsed_s,
            "accepted": self.accepted,
            "refused": self.refused,
            "acks_s": self.acks_s,
        }


if __name__ == "__main__":
    port, rate, lane, phase_s, wanted = sys.argv[1:]
    load = Load(int(port), float(rate), int(lane), float(phase_s), int(wanted))
    print("sending", flush=True)
    asyncio.run(load.run())
    print(json.dumps(load.told()))
