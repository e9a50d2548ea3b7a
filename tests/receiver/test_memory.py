"""When memory runs out: who is refused, and when no longer."""

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config.limiter import MemoryLimiter
from halo_otel.config.machine import Cgroup
from halo_otel.errors import Overloaded
from halo_otel.receiver.memory import Memory
from halo_otel.selfobs import Counters

MIB = 1 << 20


class Machine:
    """Memory that is used as a test says."""

    def __init__(self, container: Cgroup | None = None) -> None:
        self.used_mib = 0
        self.clock = ManualClock()
        self.counters = Counters()
        self.looks = 0
        self.critical = 0
        config = MemoryLimiter(limit_mib=1000, spike_limit_percentage=20)
        self.memory = Memory(config, self.counters, self.clock, self._used, container)
        self.memory.on_critical = self._count

    def _used(self) -> int:
        self.looks += 1
        return self.used_mib * MIB

    def _count(self) -> None:
        self.critical += 1

    def takes(self, used_mib: int) -> bool:
        """Whether a request is taken while so much is used."""
        self.used_mib = used_mib
        self.clock.advance(1)
        try:
            self.memory.check()
        except Overloaded as error:
            return error.reason != "memory"
        return True


def test_requests_are_refused_above_the_soft_limit_until_a_bit_more_is_free() -> None:
    machine = Machine()
    used = (799, 800, 999, 799, 751, 749, 799, 800)
    assert list(map(machine.takes, used)) == [True, *[False] * 4, True, True, False]
    assert machine.critical == 0
    assert machine.counters.value("halo.receiver.memory_bytes") == 800 * MIB


def test_above_the_limit_what_has_not_come_to_its_end_is_let_go_at_each_look() -> None:
    machine = Machine()
    assert not machine.takes(1000)
    assert machine.memory.refusing == "1000 MiB of 1000 MiB of memory are in use"
    assert not machine.takes(1001)
    assert machine.critical == 2
    assert not machine.takes(900)
    assert machine.critical == 2


def test_what_is_under_way_counts_with_what_it_may_take() -> None:
    machine = Machine()
    machine.used_mib = 700
    machine.memory.check(100 * MIB)
    with pytest.raises(Overloaded, match="the 100 MiB of memory that are left"):
        machine.memory.check(100 * MIB + 1)
    machine.memory.check()
    assert machine.memory.refusing is None


def test_many_requests_look_once() -> None:
    machine = Machine()
    for _ in range(100):
        machine.memory.check()
    assert machine.looks == 1
    machine.clock.advance(-3600)  # a clock that was set back
    machine.memory.check()
    assert machine.looks == 2


@pytest.mark.parametrize(("inactive_mib", "taken"), [(0, False), (400, True)])
def test_the_container_counts_without_what_the_kernel_gives_back(
    inactive_mib: int, taken: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("cgroup")
    (directory / "usage").write_text(f"{900 * MIB}\n", encoding="ascii")
    (directory / "stat").write_text(f"inactive_file {inactive_mib * MIB}\n", encoding="ascii")
    container = Cgroup(
        limit_bytes=1000 * MIB,
        usage=directory / "usage",
        stat=directory / "stat",
        inactive="inactive_file",
    )
    assert Machine(container).takes(10) == taken


async def test_it_looks_by_itself() -> None:
    machine = Machine()
    machine.used_mib = 1000

    def stop() -> None:
        raise InterruptedError

    machine.memory.on_critical = stop
    with pytest.raises(InterruptedError):
        await machine.memory.run()
