"""What Linux tells of memory, in both versions of cgroups."""

from pathlib import Path

import pytest

from halo_otel.config import machine
from halo_otel.config.sections import Analysis, Config, Window

GIB = 1 << 30


def write(directory: Path, **files: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text, encoding="ascii")


def listing(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text, encoding="ascii")
    return path


def test_the_tightest_limit_of_version_2_counts(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    stat = "anon 5\ninactive_file 300\nactive_file 7\n"
    write(mount / "pod", memory__max=f"{GIB}\n", memory__current="1000\n", memory__stat=stat)
    write(mount / "pod" / "halo", memory__max="max\n", memory__current="9\n")
    found = machine.cgroup(listing(tmp_path, "0::/pod/halo\n"), mount)
    assert found is not None
    assert found.limit_bytes == GIB
    assert found.used_bytes() == 700


def test_version_1_has_other_names_and_a_number_for_no_limit(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    files = {"memory__usage_in_bytes": "1000\n", "memory__stat": "total_inactive_file 999\n"}
    write(mount / "memory" / "a", memory__limit_in_bytes=f"{GIB}\n", **files)
    write(mount / "memory", memory__limit_in_bytes="9223372036854771712\n", **files)
    found = machine.cgroup(listing(tmp_path, "5:cpu:/a\n4:memory:/a\n0::/\n"), mount)
    assert found is not None
    assert (found.limit_bytes, found.used_bytes()) == (GIB, 1)


def test_in_a_container_the_path_may_be_the_hosts(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    write(mount, memory__max=f"{GIB}\n", memory__current="5\n", memory__stat="")
    found = machine.cgroup(listing(tmp_path, "0::/kubepods/pod17/c5\n"), mount)
    assert found is not None
    assert (found.limit_bytes, found.used_bytes()) == (GIB, 5)


@pytest.mark.parametrize("text", ["", "0::/\n", "4:memory:/\n"])
def test_without_a_limit_there_is_none(tmp_path: Path, text: str) -> None:
    assert machine.cgroup(listing(tmp_path, text), tmp_path / "mount") is None
    assert machine.cgroup(tmp_path / "missing", tmp_path / "mount") is None


def test_a_cgroup_that_is_gone_uses_nothing(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    write(mount, memory__max="5\n")
    found = machine.cgroup(listing(tmp_path, "0::/\n"), mount)
    assert found is not None
    assert found.used_bytes() == 0


def test_the_memory_of_a_process_grows_with_what_it_holds() -> None:
    before = machine.rss_bytes()
    held = bytearray(b"x") * (64 << 20)
    assert machine.rss_bytes() - before > 32 << 20
    assert held[-1] == ord("x")
    assert machine.rss_bytes(2**22 + 1) == 0  # beyond the largest process id


def test_shares_are_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_bytes", lambda: GIB)
    assert Window().memory_bytes == GIB // 4
    assert Analysis().memory_bytes == GIB * 3 // 4
    assert Config().memory_limiter.limit_bytes == GIB * 80 // 100
    monkeypatch.setattr(machine, "memory_bytes", lambda: 64 * GIB)
    assert Window().memory_bytes == GIB
    monkeypatch.setattr(machine, "memory_bytes", lambda: 128 << 20)
    assert Window().memory_bytes == 64 << 20
    assert Window(memory_limit=2 * GIB).memory_bytes == 2 * GIB
