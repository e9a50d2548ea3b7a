"""The Dockerfile, read instruction by instruction (there need not be a Docker engine)."""

import json
import re
import tomllib
from pathlib import Path

from halo_otel.config.load import load
from tests.test_locks import locked

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
LINES = [line for line in TEXT.splitlines() if not line.startswith("#")]
INSTRUCTIONS = [
    (word, rest.strip())
    for word, _, rest in (
        line.partition(" ")
        for line in re.sub(r"\\\n\s*", "", "\n".join(LINES)).splitlines()
        if line
    )
]
LAST_FROM = max(index for index, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM")
RUNS = INSTRUCTIONS[LAST_FROM:]
WRITABLE = "/var/lib/halo-otel"


def the(word: str) -> str:
    """The one use of an instruction in the stage that runs."""
    [rest] = [rest for name, rest in RUNS if name == word]
    return rest


def test_every_base_is_pinned_by_version() -> None:
    bases = [rest for word, rest in INSTRUCTIONS if word == "FROM"]
    assert len(bases) > 1, "the wheel is built in a stage of its own"
    for base in bases:
        assert re.match(r"python:3\.\d+-slim-\w+( AS \w+)?$", base), base


def test_nothing_is_fetched_by_address() -> None:
    assert not [rest for word, rest in INSTRUCTIONS if word == "ADD"]
    assert not re.search(r"https?://|curl|wget", TEXT)


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", the("USER"))


def test_dependencies_come_from_the_lock_file_alone() -> None:
    pips = [
        rest
        for word, rest in INSTRUCTIONS
        if word == "RUN" and re.search(r"\bpip (--python \S+ )?(install|wheel) ", rest)
    ]
    backend, builds, runtime, local = pips
    assert backend.endswith("--only-binary :all: --require-hashes -r wheel.lock")
    assert "--no-deps --no-build-isolation" in builds, "else the build fetches what it likes"
    assert runtime.endswith("--only-binary :all: --require-hashes -r requirements-image.lock")
    assert "--no-deps /wheels/*.whl" in local


def test_compiled_code_does_not_depend_on_times() -> None:
    """Layers are copied with rounded times, and what is stale is compiled at every start."""
    runs = [rest for word, rest in INSTRUCTIONS if word == "RUN" and "/opt/halo-otel" in rest]
    assert all("--no-compile" in rest for rest in runs if " install " in rest)
    assert "compileall -q --invalidation-mode unchecked-hash /opt/halo-otel" in runs[-1]


def test_what_builds_the_wheel_is_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = (ROOT / ".ci" / "supply" / "wheel.in").read_text(encoding="utf-8").splitlines()
    assert sorted(asked) == sorted(project["build-system"]["requires"])
    development = locked("requirements-dev.lock")
    for name, pinned in locked(".ci/supply/wheel.lock").items():
        assert pinned.split()[0] == development[name].split()[0], "run `make supply-lock`"


def test_no_shell_stands_between_signals_and_the_service() -> None:
    assert json.loads(the("ENTRYPOINT")) == ["halo-otel"]
    assert json.loads(the("CMD")) == ["serve"]
    assert the("STOPSIGNAL") == "SIGTERM"
    assert json.loads(the("HEALTHCHECK").partition("CMD ")[2]) == ["halo-otel", "health"]


def test_everything_is_written_below_one_directory() -> None:
    variables = dict(part.split("=", 1) for part in the("ENV").split())
    assert variables["TMPDIR"] == the("VOLUME") == the("WORKDIR") == WRITABLE
    config = load(None, {name: value for name, value in variables.items() if name != "PATH"})
    assert config.journal_directory.is_relative_to(WRITABLE)
    assert config.window_directory.is_relative_to(WRITABLE)
    assert WRITABLE in config.registry_url
    ports = {
        endpoint.rpartition(":")[2]
        for endpoint in (
            config.receivers.otlp.protocols.grpc.endpoint,
            config.receivers.otlp.protocols.http.endpoint,
            config.web.endpoint,
        )
    }
    assert set(the("EXPOSE").split()) == ports


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for word, rest in INSTRUCTIONS
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)
