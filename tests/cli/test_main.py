"""The real command: exit codes, streams, and what a user sees when it goes wrong.

Each way to fail in a process of its own, and its many cases in this one.
"""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from halo_otel import __version__
from halo_otel.cli.app import app
from tests.cli.conftest import FINDINGS, Command

README = Path(__file__).parents[2] / "README.md"
GROUP = typer.main.get_command(app)
COMMANDS: dict[str, typer.core.TyperCommand] = {
    **{name: command for name, command in GROUP.commands.items() if name != "config"},  # type: ignore[attr-defined]
    **{f"config {name}": c for name, c in GROUP.commands["config"].commands.items()},  # type: ignore[attr-defined]
}


def test_version(command: Command) -> None:
    result = command("--version")
    assert (result.returncode, result.stdout) == (0, f"halo-otel {__version__}\n")


def test_help_needs_nothing_heavy() -> None:
    # Half a second is the promise; the modules that would break it are what a test can hold still.
    script = (
        "import sys, halo_otel.cli.app;"
        "print(sorted({'grpc', 'duckdb', 'pydantic', 'sqlalchemy', 'pyarrow', 'starlette',"
        " 'uvicorn', 'google.protobuf', 'opentelemetry'} & sys.modules.keys()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if parameter.name != "help":
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
    assert CliRunner().invoke(app, [*name.split(), "--help"]).exit_code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    if not README.exists():
        pytest.skip("there is no README yet")
    assert re.search(rf"`(halo-otel )?{name}\b", README.read_text(encoding="utf-8"))


def test_no_service_is_one_line_and_exit_code_1(command: Command, nobody: str) -> None:
    result = command("findings", "--endpoint", nobody)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "halo-otel serve" in result.stderr


def test_a_bad_configuration_is_exit_code_2(
    command: Command, main_here: Command, tmp_path: Path
) -> None:
    file = tmp_path / "halo.yaml"
    file.write_text("windwo: {}", encoding="utf-8")
    for run, *arguments in (
        (main_here, "config", "check"),
        (command, "serve"),
        (main_here, "findings"),
    ):
        result = run(*arguments, "--config", file)
        assert result.returncode == 2, result
        assert "windwo" in result.stderr
        assert "Traceback" not in result.stderr


def test_wrong_usage_is_exit_code_2(command: Command, main_here: Command) -> None:
    for run, *arguments in (
        (command, "analyse"),
        (main_here, "analyze"),
        (main_here, "findings", "--severity", "bad"),
    ):
        result = run(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr


def test_defaults_are_a_good_configuration(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "halo.yaml"
    file.write_text(command("config", "defaults").stdout, encoding="utf-8")
    result = command("config", "check", "--config", file)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{file}: ok\n"


def test_findings_go_through_a_pipe(command: Command, endpoint: str) -> None:
    result = command("findings", "--format", "json", "--endpoint", endpoint)
    assert [f["title"] for f in json.loads(result.stdout)] == [f.title for f in FINDINGS]


def test_watch_until_interrupted(endpoint: str) -> None:
    arguments = [sys.executable, "-m", "halo_otel", "watch", "--after", "0", "--endpoint", endpoint]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as watching:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in FINDINGS]
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=20)
    assert all("unknown -> new" in line for line in lines)
    assert watching.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (503, 1), (404, 1)])
def test_health_is_the_answer_of_readyz(main_here: Command, answer: int, code: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer if self.path == "/readyz" else 500)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not on the tests' standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = main_here("health", "--endpoint", f"127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert result.returncode == code
    assert ("ready" in result.stdout) is (code == 0)


def test_health_without_a_service(command: Command, nobody: str) -> None:
    result = command("health", environ={"HALO_WEB_ENDPOINT": nobody})
    assert result.returncode == 1
    assert "halo-otel serve" in result.stderr


@pytest.mark.parametrize("name", ["health", "status"])
@pytest.mark.parametrize(
    "text", ["", "localhost", "localhost:99999", "a b:1", "http://x:1", "[::1"]
)
def test_a_bad_endpoint_is_one_line_and_exit_code_2(
    main_here: Command, name: str, text: str
) -> None:
    result = main_here(name, "--endpoint", text)
    assert result.returncode == 2
    assert f"--endpoint: {text!r} is not host:port" in result.stderr
    assert result.stderr.count("\n") == 1


def on_a_terminal(*arguments: str) -> str:
    """What the command writes to a terminal of 120 columns."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-m", "halo_otel", *arguments], stdout=theirs, stderr=theirs, env=environ
    ):
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # EIO: the other end of the terminal was closed
            while chunk := os.read(ours, 1 << 16):
                written += chunk
    os.close(ours)
    return written.decode()


def test_on_a_terminal_reports_are_drawn_and_strangers_texts_are_not_obeyed(endpoint: str) -> None:
    for arguments in (["report"], ["findings"], ["traces"], ["finding", FINDINGS[0].fingerprint]):
        text = on_a_terminal(*arguments, "--endpoint", endpoint)
        assert "[red]boo[/red]" in text
        assert "\\[" not in text
        assert "\x1b[" in text, "it is drawn"
        assert not re.search("\x1b\\[2J|\x9b|\u202e|\x1b]", text)


def test_on_a_terminal_reading_shows_a_bar_that_goes_away(real_file: Path) -> None:
    text = on_a_terminal("analyze", str(real_file))
    assert "reading" in text
    assert text.index("reading") < text.index("What goes wrong in your agents")
