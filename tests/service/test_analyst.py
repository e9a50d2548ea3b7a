"""The analyst of a running service over many windows."""

import json
from pathlib import Path

from halo_otel.analysis.change.monitor import RECENT_WINDOWS, WARM_UP
from halo_otel.model.cell import CellCount
from halo_otel.model.finding import Severity, Status
from halo_otel.redact.mask import Rules
from halo_otel.redact.redactor import Redactor
from tests.service.running import RUNS, WINDOW_S, Service

PAST = WARM_UP + RECENT_WINDOWS


def quiet_past(before_ns: int) -> list[CellCount]:
    """What an earlier process counted: one run in thirty fails at `pay`."""
    return [
        CellCount(
            window_start_ns=before_ns - number * WINDOW_S * 10**9,
            cell=json.dumps(cell, separators=(",", ":")),
            exposed=RUNS,
            affected=number % 3 == 0,
            odd=False,
        )
        for number in range(1, PAST + 1)
        for cell in (["runs", "shop", "booker"], ["calls", "shop", "booker", "pay"])
    ]


async def test_a_regression_is_told_survives_a_restart_and_is_over_when_it_is(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path)
    await service.start()
    service.registry.record_cells(quiet_past(service.clock.now_ns()))
    await service.restart()
    await service.window(failing=1)
    assert not service.findings("regression")

    await service.window(failing=15)
    (regression,) = service.findings("regression")
    assert regression.status is Status.NEW
    assert regression.severity is Severity.ERROR
    assert regression.subject.tool == "pay"
    # What a start finds counts with its first window.
    assert regression.impact.traces_affected == 1 + 15

    await service.restart()
    await service.window(failing=14)
    (later,) = service.findings("regression")
    assert later.fingerprint == regression.fingerprint
    assert later.status is Status.NEW  # never resolved in between, and new for three windows
    assert later.windows_seen == 2

    for _ in range(4):
        await service.window(failing=0)
    (over,) = service.findings("regression")
    assert over.status is Status.RESOLVED
    await service.stop()


async def test_what_findings_say_is_redacted_before_it_is_recorded(tmp_path: Path) -> None:
    """In no file of the registry stands what the rules take out, and findings keep their fingerprints."""
    rules = Rules(("custom",), {"said": "card service"})
    redact = Redactor(b"k" * 32, rules, lambda kind, number: None)
    told: list[set[str]] = []
    for directory, redactor in ((tmp_path / "plain", None), (tmp_path / "redacted", redact)):
        service = Service(directory, redact=redactor)
        await service.start()
        await service.window(failing=15)
        told.append({finding.fingerprint for finding in service.findings("error")})
        await service.stop()
        files = b"".join(file.read_bytes() for file in directory.glob("registry.db*"))
        assert (b"card service" in files) is (redactor is None)
    assert told[0] == told[1] != set()
