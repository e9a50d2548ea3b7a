"""The whole demo: real service, real OTLP, and the real Collector where it has been built."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from halo_otel.demo.run import run_demo

# What is stopped need not have sent everything.
ONE_BURST = """\
from halo_otel.demo import programme, run
programme.BURSTS = 1
raise SystemExit(run.run_demo())
"""


def leftovers(directory: Path) -> list[str]:
    """Command lines of living processes that name `directory`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(directory) in command:
            found.append(command)
    return found


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def check(told: str) -> None:
    assert "5 faults, found 5" in told
    assert "no finding of severity warn or above" in told
    assert "EventName    halo.finding" in told
    assert "otlp_grpc/halo" in told
    assert "\x1b" not in told


def test_without_a_collector(temporary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(quiet=True) == 0
    check(capsys.readouterr().out)
    assert not list(temporary.iterdir())
    assert not leftovers(temporary)


@pytest.mark.collector
def test_through_the_real_collector(
    temporary: Path, collector_binary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(collector=collector_binary, keep=True) == 0
    told = capsys.readouterr().out
    check(told)
    assert "sent " in told
    [kept] = temporary.iterdir()
    assert f"halo-otel serve --config {kept}/halo.yaml" in told
    assert (kept / "halo-findings.jsonl").stat().st_size > 0
    assert not leftovers(temporary)


@pytest.mark.parametrize(
    ("line", "sent", "code"),
    [("starting halo-otel", signal.SIGINT, 130), ("sent ", signal.SIGTERM, 143)],
)
def test_a_signal_stops_everything(
    tmp_path: Path, line: str, sent: signal.Signals, code: int
) -> None:
    """Whenever it comes: while the service starts, or in the middle of the work."""
    running = subprocess.Popen(
        [sys.executable, "-c", ONE_BURST],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    with running:
        assert running.stdout is not None
        while line not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(sent)
        running.stdout.read()
    assert running.returncode == code
    assert not leftovers(tmp_path)
    assert not list(tmp_path.iterdir())
