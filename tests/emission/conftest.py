"""Runs real SDKs: each program in its own process against the scripted model and a real receiver."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from halo_otel.analysis.goals.tree import goal_tree
from halo_otel.ingest.rows import RowBuilder
from halo_otel.journal import Frame
from halo_otel.journal.frame import FrameKind
from halo_otel.otlp.decode import decode_logs, decode_traces
from halo_otel.window.single import SingleWindow
from tests.built import built
from tests.emission.matrix import HERE, Emission, Telling, emissions
from tests.emission.openai_server import serving
from tests.receiver.rig import Rig, running

PROGRAMS: Final = HERE / "programs"
PROGRAM_S: Final = 120
AT_ONCE: Final = 3
# What a program may see of this process's environment; the rest is said below.
_INHERITED: Final = ("LANG", "LD_LIBRARY_PATH")


@pytest.fixture(scope="session")
def tellings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Telling]:
    """What the emissions that selected tests name tell, or all, several at a time."""
    named = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "tellings" in item.fixturenames
        if hasattr(item, "callspec") and "name" in item.callspec.params
    }
    wanted = {
        name: emission
        for name, emission in emissions().items()
        if name in (named or {name}) and (built("emission", emission.group) / "complete").exists()
    }
    with serving() as model_url:
        told = asyncio.run(_tell_all(wanted.values(), model_url, tmp_path_factory.mktemp("run")))
    return {telling.emission.name: telling for telling in told}


@pytest.fixture
def telling(tellings: Mapping[str, Telling], name: str) -> Telling:
    """What one emission tells; skips where nobody built its environment."""
    if name not in tellings:
        pytest.skip(f"the environment of {name} is not installed: run `make emission`")
    return tellings[name]


async def _tell_all(
    wanted: Iterable[Emission], model_url: str, directory: Path
) -> Sequence[Telling]:
    places = asyncio.Semaphore(AT_ONCE)

    async def tell(emission: Emission) -> Telling:
        async with places:
            return await _tell(emission, model_url, directory / emission.name)

    return await asyncio.gather(*map(tell, wanted))


async def _tell(emission: Emission, model_url: str, directory: Path) -> Telling:
    """Run the program to its end and read back what the receiver journaled."""
    await asyncio.to_thread(directory.mkdir)
    home = built("emission", emission.group)
    async with running(directory / "journal") as rig:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *_command(emission, home, directory),
            cwd=directory,
            env={**_environ(emission, rig), **_own(home, directory), "OPENAI_BASE_URL": model_url},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), PROGRAM_S)
        except TimeoutError:
            process.kill()
            output = b"not finished in time\n" + (await process.communicate())[0]
        seconds = time.perf_counter() - began
        frames = rig.frames()
    return _read(emission, frames, _versions(home, emission), seconds, output.decode())


def _command(emission: Emission, home: Path, directory: Path) -> list[str]:
    program = PROGRAMS / emission.program
    if program.suffix == ".py":
        return [str(home / "bin" / "python"), str(program)]
    # Node looks for packages beside the program.
    shutil.copytree(PROGRAMS, directory, dirs_exist_ok=True)
    (directory / "node_modules").symlink_to(home / "node_modules")
    return [str(home / "bin" / "node"), str(directory / program.name)]


def _own(home: Path, directory: Path) -> dict[str, str]:
    return {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(directory)}


def _environ(emission: Emission, rig: Rig) -> dict[str, str]:
    port = rig.grpc_server.port if emission.protocol == "grpc" else rig.http_server.port
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "OPENAI_API_KEY": "unused",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": emission.protocol,
        "OTEL_SERVICE_NAME": "travel",
        "OTEL_METRICS_EXPORTER": "none",
        # Nobody is told that this ran.
        "DO_NOT_TRACK": "1",
        # LiteLLM would fetch a price list from the network.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        **emission.environ,
    }


def _versions(home: Path, emission: Emission) -> dict[str, str]:
    """Versions of the emission's packages, from what is installed."""
    versions = {}
    for package in emission.packages:
        manifest = home / "node_modules" / package / "package.json"
        if manifest.exists():
            versions[package] = json.loads(manifest.read_bytes())["version"]
            continue
        stem = package.replace("-", "_").replace(".", "_")
        [found] = home.glob(f"lib/python*/site-packages/{stem}-*.dist-info")
        versions[package] = found.name.removesuffix(".dist-info").rpartition("-")[2]
    return versions


def _read(
    emission: Emission,
    frames: Sequence[Frame],
    versions: Mapping[str, str],
    seconds: float,
    output: str,
) -> Telling:
    """The journal as rows and a goal tree, on the way that ingest and analysis go."""
    builder = RowBuilder()
    for frame in frames:
        if frame.kind is FrameKind.TRACES:
            for position, span in enumerate(decode_traces(frame.payload), frame.offset):
                builder.add_span(span, frame.arrival_ns, position)
        elif frame.kind is FrameKind.LOGS:
            for position, record in enumerate(decode_logs(frame.payload), frame.offset):
                builder.add_log_record(record, frame.arrival_ns, position)
    with SingleWindow() as window:
        if builder.size:
            window.insert(builder.batch())
        with window.view() as view:
            view.join_logs()
            cursor = view.con.execute("FROM spans ORDER BY start_ns, end_ns DESC")
            columns = [column[0] for column in cursor.description]
            spans = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            # What lies in a trace without any agent span is let go.
            trace_ids = {span["trace_id"] for span in spans if span["span_kind"] != "other"}
            tree = [node for trace_id in sorted(trace_ids) for node in goal_tree(view, trace_id)]
    return Telling(
        emission=emission,
        spans=spans,
        tree=tree,
        versions=versions,
        seconds=seconds,
        output=output,
        trace_ids=trace_ids,
    )
