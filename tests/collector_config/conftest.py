"""Running the real Collector with the files of `collector-config/`."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WAIT_S = 30.0


def _bound() -> socket.socket:
    """A socket that holds a free port and refuses connections: it does not listen."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


class Running:
    """A Collector with one of our files, on ports of its own and with its files in `directory`."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self.directory = directory
        self.log = directory / "collector.log"
        doors = {name: _bound() for name in ("GRPC", "HTTP", "FINDINGS", "HEALTH")}
        # Where halo-otel is not: held, so that no other test's server is taken for it.
        self.nobody = _bound()
        self.halo_port: int = self.nobody.getsockname()[1]
        self.ports: dict[str, int] = {name: door.getsockname()[1] for name, door in doors.items()}
        for door in doors.values():
            door.close()

    @contextmanager
    def started(self, config: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """The process, once it says that it is ready; `more` are overrides as `--config` takes them."""
        configs = [str(config), "yaml:service::telemetry::metrics::level: none", *more]
        environ = {
            "PATH": os.environ["PATH"],
            "HALO_ENDPOINT": f"127.0.0.1:{self.halo_port}",
            "HALO_HTTP_ENDPOINT": f"http://127.0.0.1:{self.halo_port}",
            "HALO_QUEUE_DIRECTORY": str(self.directory / "queue"),
            "HALO_FINDINGS_DIRECTORY": str(self.directory),
        }
        environ |= {
            f"OTELCOL_{name}_ENDPOINT": f"127.0.0.1:{port}" for name, port in self.ports.items()
        }
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [str(self._binary), *(f"--config={config}" for config in configs)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=self.directory,
            )
        try:
            self.wait(process, lambda: "Everything is ready" in self.text())
            yield process
        finally:
            process.kill()
            process.wait()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, process: subprocess.Popen[bytes], done: Callable[[], bool]) -> None:
        """Ask until `done`; a real process can only be asked."""
        deadline = time.monotonic() + WAIT_S
        while not done():
            assert process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            threading.Event().wait(0.05)

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """SIGTERM; the exit status."""
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=WAIT_S)


@pytest.fixture
def collector(collector_binary: Path, tmp_path: Path) -> Iterator[Running]:
    running = Running(collector_binary, tmp_path)
    with running.nobody:
        yield running
