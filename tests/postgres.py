"""A real PostgreSQL server of a test's own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest


class Postgres:
    """A server below `directory`, on a socket there."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self._runs = False
        # The server refuses to run as root.
        self._as_user: list[str] = []
        if os.getuid() == 0:
            self._as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            os.chown(directory, 65534, 65534)
        self._call("initdb", "--auth=trust", "--username=halo", "--no-sync", "--encoding=UTF8")
        admits = directory / "data" / "pg_hba.conf"  # the first line that fits counts
        admits.write_bytes(b"local all secretive scram-sha-256\n" + admits.read_bytes())

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://halo@/{database}?host={self._directory}"

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self._directory} -c fsync=off"
        self._call("pg_ctl", "-w", "-s", "-l", f"{self._directory}/log", "-o", options, "start")
        self._runs = True

    def stop(self) -> None:
        """At once, as when its host dies; nothing if it does not run."""
        if self._runs:
            self._call("pg_ctl", "-w", "-s", "-m", "immediate", "stop")
        self._runs = False

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as_user, self._programs / program, "-D", f"{self._directory}/data", *arguments],
            check=True,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def running() -> Iterator[Postgres]:
    """Started, and stopped whatever happens; skips the test where none can be, which fails in CI."""
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
        try:
            yield server
        finally:
            server.stop()
