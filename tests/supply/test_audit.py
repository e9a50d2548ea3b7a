"""The audit, against a server that speaks the advisory database's protocol."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.path.conftest import free_port
from tests.supply.conftest import Run

LOCK = f"""\
sound==1.0 \\
    --hash=sha256:{"0" * 64}
leaky==2.0 \\
    --hash=sha256:{"1" * 64}
elsewhere==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:{"2" * 64}
"""
ADVISORY = {
    "schema_version": "1.6.0",
    "id": "OSV-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "It leaks.",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """OSV's `v1/query`: POST a name and a version, get advisories; `/<what>` says how it is today."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        bad = self.path == "/advisory" and asked["package"]["name"] == "leaky"
        self.send_response(503 if self.path == "/down" else 200)
        body = json.dumps({"vulns": [ADVISORY]} if bad else {}).encode()
        if self.path == "/nonsense":
            body = b"<html>Sign in to the guest network</html>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "some.lock"
    path.write_text(LOCK, encoding="utf-8")
    return path


def test_a_known_vulnerability_fails_with_its_names_and_its_cure(
    supply: Run, lock: Path, database: str
) -> None:
    result = supply("audit.py", lock, "--osv-url", f"{database}/advisory")
    assert result.returncode == 1, result.stderr
    vulnerable, audited = result.stdout.splitlines()
    assert vulnerable.startswith("VULNERABLE: leaky 2.0: ")
    assert "OSV-2026-1" in vulnerable
    assert "CVE-2026-1" in vulnerable
    assert vulnerable.endswith("; mended in 2.1")
    assert audited == f"audited: 2 of 2 in {lock}, 1 known"


def test_none_known_is_told_with_what_was_asked(supply: Run, lock: Path, database: str) -> None:
    result = supply("audit.py", lock, "--osv-url", f"{database}/fine")
    assert (result.returncode, result.stdout) == (0, f"audited: 2 of 2 in {lock}, 0 known\n")


@pytest.mark.parametrize("how", ["down", "nonsense", "unreachable"])
def test_no_answer_is_not_taken_for_a_good_one(
    supply: Run, lock: Path, database: str, how: str
) -> None:
    base = f"http://127.0.0.1:{free_port()}" if how == "unreachable" else database
    result = supply("audit.py", lock, "--osv-url", f"{base}/{how}")
    assert result.returncode == 0, result.stdout
    assert result.stdout.startswith("NOT AUDITED: no advisory database reachable; ")
    assert "audited:" not in result.stdout


@pytest.mark.parametrize("text", [None, "sound>=1.0\n", "sound==\n"])
def test_a_file_that_is_no_lock_fails(
    supply: Run, tmp_path: Path, database: str, text: str | None
) -> None:
    path = tmp_path / "wrong.lock"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    result = supply("audit.py", path, "--osv-url", f"{database}/fine")
    assert result.returncode == 1
    assert result.stdout.startswith(f"cannot read {path}: ")
