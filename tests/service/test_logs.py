"""What is logged at which level, and what a stranger's text can do to it."""

import json
import logging
from collections.abc import Iterator

import pytest

from halo_otel.config.sections import Telemetry
from halo_otel.selfobs import Counters
from halo_otel.service import logs

LOG = logging.getLogger("halo_otel.tests")
MINUTE_S = 60


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The root logger as pytest set it up."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    for name in ("grpc", "uvicorn", "opentelemetry.exporter"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def written(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("level", "grpc"), [("debug", logging.INFO), ("info", logging.INFO), ("error", logging.ERROR)]
)
def test_grpc_never_tells_of_its_event_loop(level: str, grpc: int) -> None:
    logs.configure("front", Telemetry.model_validate({"log_level": level}), Counters())
    assert logging.getLogger("grpc._cython.cygrpc").getEffectiveLevel() == grpc


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_text_is_one_line_and_escapes_nothing_out_of_it(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("front", Telemetry.model_validate({"log_format": form}), Counters())
    LOG.warning("%s", "a\nb\r\x1b[31mred\u202e\ud83d\U000e0041")
    (line,) = written(capsys)
    assert line.isprintable()
    told = json.loads(line)["message"] if form == "json" else line.partition(": ")[2]
    assert told == r"a\x0ab\x0d\x1b[31mred\u202e\ud83d\U000e0041"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_has_an_end(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Telemetry.model_validate({"log_format": form, "log_line_length": 256})
    logs.configure("front", settings, Counters())
    LOG.warning("%s", "x" * 100_000)
    (line,) = written(capsys)
    assert len(line) < 256 + 200
    assert "more characters]" in line


def test_no_line_of_a_traceback_looks_like_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("front", Telemetry(log_line_length=256), Counters())
    try:
        raise ValueError("x" * 50_000 + "\n2026-11-21 00:00:00,000 ERROR front forged\x1b[2J")
    except ValueError:
        LOG.exception("a request failed")
    first, *others = written(capsys)
    assert first.endswith("a request failed")
    assert others
    assert all(line.startswith("    | ") and line.isprintable() for line in others)
    assert sum(map(len, others)) < 16 * 256 + 1000
    assert others[-1] == r"    | 2026-11-21 00:00:00,000 ERROR front forged\x1b[2J"


def test_json_has_the_traceback_and_who_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("engine", Telemetry(log_format="json"), Counters())
    try:
        raise ValueError("broken")
    except ValueError:
        LOG.exception("a request of %d bytes failed", 3)
    (line,) = written(capsys)
    told = json.loads(line)
    assert told["time"].endswith("Z")
    assert (told["level"], told["process"], told["logger"], told["message"]) == (
        "error",
        "engine",
        "halo_otel.tests",
        "a request of 3 bytes failed",
    )
    assert told["traceback"][-1] == "ValueError: broken"


def test_lines_of_one_kind_are_written_so_many_times_a_minute(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counters = Counters()
    logs.configure("front", Telemetry(log_repeats=3), counters)

    def say(minute: float, number: int) -> None:
        record = LOG.makeRecord(LOG.name, logging.WARNING, "", 0, "bad request %s", (number,), None)
        record.created = minute * MINUTE_S
        LOG.handle(record)

    for number in range(10):
        say(5, number)
    LOG.warning("something else")
    say(6, 10)
    say(7.5, 11)
    assert [line.partition(": ")[2] for line in written(capsys)] == [
        "bad request 0",
        "bad request 1",
        "bad request 2",
        "something else",
        "bad request 10 (7 more lines like this were not written)",
        "bad request 11",
    ]
    assert counters.value("halo.log.suppressed_lines", level="warning") == 7
