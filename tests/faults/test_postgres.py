"""A PostgreSQL that goes away while the service uses it: findings wait, and come once when it is back."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from tests.service.running import Service as Analysed


class Postgres:
    """A server of our own below `directory`, on a socket there."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self.url = f"postgresql://halo@/postgres?host={directory}"
        # The server refuses to run as root.
        self._as_user: list[str] = []
        if os.getuid() == 0:
            self._as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            os.chown(directory, 65534, 65534)
        self._call("initdb", "--auth=trust", "--username=halo", "--no-sync", "--encoding=UTF8")

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self._directory} -c fsync=off"
        self._call("pg_ctl", "-w", "-s", "-l", f"{self._directory}/log", "-o", options, "start")

    def stop(self) -> None:
        """At once, as when its host dies."""
        self._call("pg_ctl", "-w", "-s", "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as_user, self._programs / program, "-D", f"{self._directory}/data", *arguments],
            check=True,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """Started; skips where none can be."""
    found = [which("initdb"), *sorted(glob("/usr/lib/postgresql/*/bin/initdb"))]
    initdb = next((Path(path).resolve() for path in reversed(found) if path), None)
    if initdb is None or find_spec("psycopg") is None:
        why = "needs PostgreSQL's initdb and the extra 'postgres'"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="halo-pg-", dir="/tmp") as directory:
        server = Postgres(initdb.parent, Path(directory))
        server.start()
        yield server
        server.stop()


async def test_what_is_found_while_it_is_away_is_recorded_once_when_it_is_back(
    tmp_path: Path, postgres: Postgres
) -> None:
    running = Analysed(tmp_path, registry_url=postgres.url)
    await running.start()
    await running.window(failing=0)
    postgres.stop()
    await running.window(failing=15)
    assert running.counters.value("halo.analysis.failed_runs") == 1
    postgres.start()
    running.clock.advance(60)
    await running.analyst.tick(running.clock.arrival_ns())
    assert [finding.status for finding in running.findings("error")] == ["new"]
    assert len(running.registry.transitions()) == 1
    postgres.stop()  # between two runs
    postgres.start()
    await running.window(failing=15)
    assert running.counters.value("halo.analysis.failed_runs") == 1
    assert [finding.windows_seen for finding in running.findings("error")] == [2]
    await running.stop()
