"""Disks that are read-only, and permissions that are missing or taken away while the service runs.

The superuser may write everywhere unless it gives that up (capabilities(7)). A read-only disk is a tmpfs that
only the service sees; to mount one takes the superuser.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.faults.conftest import all_ingested, engine_of, readiness, request, send, stored
from tests.faults.test_engine import wait_for_restarts
from tests.path.conftest import Service, eventually

IS_ROOT = os.getuid() == 0
ORDINARY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if IS_ROOT else []
SERVE = [sys.executable, "-m", "halo_otel", "serve"]
ON_A_READ_ONLY_DISK = [
    "unshare",
    "--mount",
    "sh",
    "-ec",
    'mount -t tmpfs none "$1"; mount -o remount,ro "$1"; shift; exec "$@"',
    "sh",
]


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Nobody but the superuser may write there, for a while."""
    before = path.stat().st_mode
    path.chmod(before & ~0o222)
    try:
        yield
    finally:
        path.chmod(before)


def start(service: Service) -> None:
    service.process.spawn([*ORDINARY, *SERVE], service.settings)
    service.wait_ready()


@pytest.fixture
def directory(service: Service) -> Path:
    """Where one of the service's rooms is to live: the test's to spoil."""
    directory = service.storage / "elsewhere"
    directory.mkdir(parents=True)
    return directory


def place(service: Service, room: str, directory: Path) -> None:
    service.environ |= {
        "journal": {"HALO_JOURNAL_DIRECTORY": str(directory)},
        "windows": {"HALO_WINDOW_DIRECTORY": str(directory)},
        "registry": {"HALO_REGISTRY_URL": f"sqlite:///{directory}/registry.sqlite"},
    }[room]


@pytest.mark.parametrize("disk", ["read-only", "forbidden"])
@pytest.mark.parametrize("room", ["journal", "windows", "registry"])
def test_a_start_on_a_disk_that_takes_nothing_ends_and_names_it(
    service: Service, directory: Path, room: str, disk: str
) -> None:
    if disk == "read-only" and not IS_ROOT:
        pytest.skip("to mount a disk takes the superuser")
    place(service, room, directory)
    prefix = ORDINARY if disk == "forbidden" else [*ON_A_READ_ONLY_DISK, str(directory)]
    with unwritable(directory):
        result = subprocess.run(
            [*prefix, *SERVE],
            env={**os.environ, **service.settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert str(directory) in result.stderr.splitlines()[-1]


def test_a_journal_that_may_not_grow_any_more_acknowledges_nothing_and_says_so(
    service: Service, directory: Path
) -> None:
    place(service, "journal", directory)
    service.environ["HALO_JOURNAL_SEGMENT_BYTES"] = "4KiB"
    start(service)
    acknowledged: list[int] = []

    def fill() -> None:
        for first in range(0, 100_000, 100):
            send(service, request(first, 100))
            acknowledged.extend(range(first, first + 100))

    with unwritable(directory), pytest.raises(grpc.RpcError):
        fill()
    popen = service.process.popen
    assert popen is not None
    assert popen.wait(30) != 0
    log = service.process.log.read_text(encoding="utf-8")
    assert f"the journal in {directory} cannot be written" in log.splitlines()[-1]
    service.start()
    all_ingested(service)
    assert set(stored(service)) >= set(acknowledged)


def test_windows_that_may_not_be_begun_wait_in_the_journal(
    service: Service, directory: Path
) -> None:
    place(service, "windows", directory)
    service.environ["HALO_WINDOW_LENGTH"] = "1s"
    start(service)
    with unwritable(directory):
        send(service, request(0, 100))
        told = eventually(
            "it is told", lambda: next((r for r in [readiness(service)] if r[0] == 503), None)
        )
        assert str(directory) in told[1]
        send(service, request(100, 100))  # still acknowledged
    all_ingested(service)
    eventually("all is stored", lambda: service.metric("halo_ingest_spans_total") == 200)


def test_a_registry_that_may_not_be_written_takes_findings_when_it_may_again(
    service: Service, directory: Path
) -> None:
    place(service, "registry", directory)
    start(service)
    with unwritable(directory), unwritable(directory / "registry.sqlite"):
        os.kill(engine_of(service), signal.SIGKILL)  # what it has open stays writable
        wait_for_restarts(service, 1)
        send(service, request(0, 100))
        all_ingested(service)
        refused = service.command("report", "--now")
        assert refused.returncode != 0
        assert "registry.sqlite" in refused.stderr
    assert service.command("report", "--now").returncode == 0
    assert stored(service) == list(range(100))
