"""What came from an index, as pip reports it: real wheels from an index of our own."""

import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.supply.conftest import Run


def make_wheel(directory: Path, name: str) -> str:
    file = f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(directory / file, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    return file


def make_sdist(directory: Path, name: str) -> str:
    """A source distribution whose build needs nothing but itself."""
    source = directory / f"{name}-1.0"
    source.mkdir()
    (source / "PKG-INFO").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8"
    )
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', "utf-8"
    )
    (source / "backend.py").write_text(
        "import pathlib\n"
        "def prepare_metadata_for_build_wheel(directory, settings=None):\n"
        f"    about = pathlib.Path(directory, '{name}-1.0.dist-info')\n"
        "    about.mkdir()\n"
        f"    (about / 'METADATA').write_text('Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')\n"
        "    return about.name\n",
        "utf-8",
    )
    with tarfile.open(directory / f"{name}-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    return f"{name}-1.0.tar.gz"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index (PEP 503) with one sound wheel, one yanked (PEP 592) and one sdist."""
    root = tmp_path_factory.mktemp("index")
    for name, attribute in (
        ("sound", ""),
        ("yanked", 'data-yanked="It ate a disk."'),
        ("source", ""),
    ):
        page = root / name
        page.mkdir()
        file = make_sdist(page, name) if name == "source" else make_wheel(page, name)
        (page / "index.html").write_text(f'<a href="{file}" {attribute}>{file}</a>', "utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def report(tools: Path, tmp_path: Path, index: str, *names: str) -> Path:
    path = tmp_path / "report.json"
    pip: list[str | Path] = [
        tools,
        "-m",
        "pip",
        "--isolated",
        "--disable-pip-version-check",
        "install",
        "--dry-run",
    ]
    options: list[str | Path] = [
        "--ignore-installed",
        "--no-deps",
        "--index-url",
        index,
        "--report",
        path,
    ]
    subprocess.run(
        [*pip, *options, *(f"{name}==1.0" for name in names)], capture_output=True, check=True
    )
    return path


def test_wheels_that_nobody_withdrew_pass(
    supply: Run, tools: Path, tmp_path: Path, index: str
) -> None:
    result = supply("installed.py", report(tools, tmp_path, index, "sound"))
    assert result.returncode == 0, result.stderr
    assert result.stdout == "1 distributions, all of them wheels, none withdrawn\n"


def test_what_was_withdrawn_or_built_here_fails(
    supply: Run, tools: Path, tmp_path: Path, index: str
) -> None:
    result = supply("installed.py", report(tools, tmp_path, index, "sound", "source", "yanked"))
    assert result.returncode == 1, result.stderr
    assert sorted(result.stdout.splitlines()) == [
        "source 1.0 is no wheel",
        "yanked 1.0 was withdrawn by its authors: run `make lock`",
    ]
