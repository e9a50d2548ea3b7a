"""Runs an installed halo-otel as the image does: no root, no capability, nothing writable but its volume.

    read_only.py BIN    the directory of the installed `halo-otel`, run as root by the Python beside it

The settings are those of deploy/Dockerfile. In a mount namespace of its own every file system is made
read-only but one directory; the service runs there as the image's user. It must start, take an export,
analyse a window, say that it is healthy, and stop with 0 when told to, without one refused write.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

DOCKERFILE: Final = Path(__file__).parents[2] / "deploy" / "Dockerfile"
VOLUME: Final = "/var/lib/halo-otel"
USER: Final = 10001
FAST: Final = {"HALO_WINDOW_LENGTH": "2s", "HALO_ANALYSIS_TRACE_SETTLE": "1s"}
WAIT_S: Final = 60.0
# $1 is the volume, the rest the command. An interpreter in somebody's closed home ($CLOSED) is shown in
# an otherwise empty one. What cannot be remounted is nothing that anybody may write to (/proc).
CONFINE: Final = """
set -eu
volume=$1; shift
mount --make-rprivate /
if [ -n "$CLOSED" ]; then
  mkdir "$volume/../interpreter"
  mount --bind "$INTERPRETER" "$volume/../interpreter"
  mount -t tmpfs -o mode=755 closed "$CLOSED"
  mkdir -p "$INTERPRETER"
  mount --move "$volume/../interpreter" "$INTERPRETER"
  rmdir "$volume/../interpreter"
fi
mount --bind "$volume" "$volume"
cd "$volume"  # anew: the directory below the mount is read-only in a moment
cut -d' ' -f5 /proc/self/mountinfo | while read -r at; do
  [ "$at" = "$volume" ] || mount -o remount,bind,ro "$at" 2>/dev/null || true
done
exec setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- "$@"
"""
# What the confined user may do: nothing here, or the rest proves nothing.
PROBE: Final = """
import os, sys
status = open("/proc/self/status", encoding="ascii").read()
assert os.getuid() == os.geteuid() == int(sys.argv[1]), os.getuid()
assert "CapEff:\\t0000000000000000\\n" in status and "CapBnd:\\t0000000000000000\\n" in status, status
for directory in ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", os.path.expanduser("~"), sys.prefix):
    try:
        open(os.path.join(directory, "halo-otel-probe"), "x").close()
    except OSError:
        continue
    sys.exit(f"{directory} may be written")
open("probe", "x").close()
os.remove("probe")
"""


def settings(volume: Path) -> dict[str, str]:
    """The image's environment, with `volume` where the image has its own."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    image = dict(pair.split("=", 1) for pair in line.split())
    inherited = {"LANG": os.environ.get("LANG", "C.UTF-8")}
    return inherited | {name: value.replace(VOLUME, str(volume)) for name, value in image.items()}


def closed(directory: Path) -> str:
    """The uppermost parent that others may not pass, or nothing."""
    parents = [*reversed(directory.parents), directory]
    return next((str(each) for each in parents if not each.stat().st_mode & 0o001), "")


def confined(volume: Path, command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
    """`command` as the image's user, with `volume` as its directory and the one it may write to."""
    return subprocess.Popen(
        ["unshare", "--mount", "--", "sh", "-c", CONFINE, "sh", str(volume), *command],
        env=environ
        | {
            "PATH": f"{environ['PATH']}:{os.defpath}:/usr/sbin:/sbin",
            "USER_ID": str(USER),
            "INTERPRETER": sys.base_prefix,
            "CLOSED": closed(Path(sys.base_prefix)),
        },
        stdin=subprocess.DEVNULL,
        stderr=(volume.parent / "log").open("ab"),
        stdout=subprocess.DEVNULL,
    )


def eventually(what: str, process: subprocess.Popen[bytes], true: Callable[[], bool]) -> float:
    """Ask until it is so; the seconds it took. Raises `SystemExit` when it does not come."""
    started = time.monotonic()
    while not true():
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise SystemExit(f"{what}: the service ended with {process.wait(timeout=0.05)}")
        if time.monotonic() - started > WAIT_S:
            raise SystemExit(f"{what}: not within {WAIT_S:.0f} s")
    return time.monotonic() - started


def get(url: str) -> str:
    """The body of an answer, or nothing when there is none or it is not 200."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read(), "utf-8")
    return ""


def export(endpoint: str) -> None:
    """One run of an agent; returns when it is acknowledged."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    now_ns = time.time_ns()
    span = spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="invoke_agent probe")
    span.start_time_unix_nano, span.end_time_unix_nano = now_ns - 10**9, now_ns
    operation = span.attributes.add(key="gen_ai.operation.name")
    operation.value.string_value = "invoke_agent"
    with grpc.insecure_channel(endpoint) as channel:
        answer = TraceServiceStub(channel).Export(request, timeout=30)
    if answer.partial_success.rejected_spans:
        raise SystemExit(f"refused: {answer.partial_success.error_message}")


def exercise(service: subprocess.Popen[bytes], log: Path) -> str:
    """From the start to the end of a service on the image's ports; what it took, in words."""
    web = "http://127.0.0.1:14319"

    def analysed() -> bool:
        return (
            re.search(r"analysed \(window\): 1 traces", log.read_text(encoding="utf-8")) is not None
        )

    ready_s = eventually("ready", service, lambda: get(f"{web}/readyz") != "")
    eventually("healthy", service, lambda: get(f"{web}/healthz") != "")
    export("127.0.0.1:14317")
    eventually("the run is analysed", service, analysed)
    service.send_signal(signal.SIGTERM)
    started = time.monotonic()
    if code := service.wait(timeout=WAIT_S):
        raise SystemExit(f"it ended with {code} on SIGTERM")
    return f"ready after {ready_s:.1f} s, stopped after {time.monotonic() - started:.1f} s"


@contextlib.contextmanager
def volume() -> Iterator[Path]:
    """A directory that belongs to the image's user, in one that everybody may pass."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        made = Path(directory, "volume")
        made.mkdir(mode=0o750)
        os.chown(made, USER, USER)
        yield made


def main(binaries: str) -> int:
    python, halo = str(Path(binaries, "python")), str(Path(binaries, "halo-otel"))
    with volume() as at:
        environ = settings(at) | {"PATH": binaries}
        log = at.parent / "log"
        try:
            if confined(at, [python, "-c", PROBE, str(USER)], environ).wait(timeout=WAIT_S):
                raise SystemExit("it is not confined, so nothing would be proved")
            service = confined(at, [halo, "serve"], environ | FAST)
            try:
                print(exercise(service, log))
            finally:
                service.kill()
                service.wait(timeout=WAIT_S)
            if refused := re.findall(
                r".*(?:Read-only|Errno 30|Permission denied|Traceback).*", log.read_text("utf-8")
            ):
                raise SystemExit("\n".join(["it tried to write elsewhere:", *refused]))
        except BaseException:
            sys.stderr.write(log.read_text(encoding="utf-8"))
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
