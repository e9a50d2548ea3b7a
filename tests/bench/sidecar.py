"""What the sidecar takes at 100 spans a second, and how soon its first finding is in the Collector's file.

    python tests/bench/sidecar.py [minutes] [spans per second]

The processes are those of deploy/kubernetes/sidecar.yaml with its configuration (tests/deploy/pod.py), in a
control group with its memory limit, as a container has one, where this user may make one. Traffic is that of the
soak: all example applications, each minute with another fault or none. Printed for the front and the engine
apart and together: CPU in thousandths of a core, mean and 95th percentile over 10 s, and the most memory: RSS;
what is anonymous of it, which is the process's own; and that of all with the pages of files once. What counts
is the working set, as a kubelet counts it: all memory of the group, the pages of every file it was first to
read among it, but for those not used lately. To have the libraries' pages among them, run it with an
environment that nothing else uses, freshly copied. Exits with 1 above a limit.
"""

import re
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, quantiles
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script

from halo_otel.config.load import load
from halo_otel.config.machine import Cgroup
from tests.built import built
from tests.deploy.cgroup import limited
from tests.deploy.conftest import ROOT, Document
from tests.deploy.pod import Pod, documents_of
from tests.faults.conftest import children
from tests.soak.rig import Sender
from tests.soak.watch import Life

MANIFEST: Final = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
CPU_M, MEMORY_MIB = 150.0, 256.0
EVERY_S: Final = 1.0
CPU_OVER_S: Final = 10.0
PHASE_S: Final = 60.0
REQUEST_SPANS: Final = 20  # one run of one application
FINDING_AFTER_S: Final = 30.0  # a window, and so much longer


@dataclass(slots=True)
class Taken:
    """Readings of what one process, or all, took."""

    cpu_m: list[float] = field(default_factory=list)
    rss_mib: float = 0.0
    own_mib: float = 0.0
    held_mib: float = 0.0

    def line(self, name: str) -> str:
        p95 = (
            quantiles(self.cpu_m, n=20, method="inclusive")[-1]
            if len(self.cpu_m) > 1
            else self.cpu_m[0]
        )
        return (
            f"{name:10} CPU {mean(self.cpu_m):6.1f} m mean {p95:6.1f} m p95 {max(self.cpu_m):6.1f} m most;"
            f"  most RSS {self.rss_mib:6.1f} MiB, its own {self.own_mib:6.1f}, held {self.held_mib:6.1f}"
        )


class Watch:
    """Reads the processes of the service once a second."""

    def __init__(self, pid: int, cgroup: Cgroup | None) -> None:
        self._pid = pid
        self._cgroup = cgroup
        self.working_mib: list[float] = []
        self._lives: dict[int, Life] = {}
        self._cpu_s: dict[str, float] = {}
        self._at = time.monotonic()
        self.taken: defaultdict[str, Taken] = defaultdict(Taken)

    def read(self) -> None:
        if self._cgroup is not None:
            self.working_mib.append(self._cgroup.used_bytes() / (1 << 20))
        now: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)  # RSS, and its own
        first = children(self._pid)
        roles = {self._pid: "front", **dict.fromkeys(first, "engine")}
        roles |= {pid: "asked" for one in first for pid in children(one)}
        for pid, role in roles.items():
            life = self._lives.setdefault(pid, Life(role))
            try:
                life.read(pid, time.monotonic())
                read = memory_mib(pid)
            except OSError:
                continue  # it has just ended
            for name in (role, "together"):
                now[name].append(read)
        for name, read_of in now.items():
            taken = self.taken[name]
            own = sum(own for _, own in read_of)
            taken.rss_mib = max(taken.rss_mib, sum(rss for rss, _ in read_of))
            taken.own_mib = max(taken.own_mib, own)
            # They map the same files; the one with most has nearly all.
            taken.held_mib = max(taken.held_mib, own + max(rss - own for rss, own in read_of))
        if time.monotonic() - self._at >= CPU_OVER_S:
            self.add_up()

    def add_up(self, count: bool = True) -> None:
        """Add what CPU was taken since the last time; `count=False` only begins anew."""
        now = time.monotonic()
        spent: defaultdict[str, float] = defaultdict(float)
        for life in self._lives.values():
            for name in (life.role, "together"):
                spent[name] += life.cpu_s
        for name, total in spent.items():
            if count:
                rate = (total - self._cpu_s.get(name, 0.0)) / (now - self._at)
                self.taken[name].cpu_m.append(1000 * rate)
        self._cpu_s, self._at = dict(spent), now


def memory_mib(pid: int) -> tuple[float, float]:
    """RSS and how much of it is anonymous, no file's (proc(5))."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    told = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
    return int(told["Rss"]) / 1024, int(told["Anonymous"]) / 1024


def run(
    pod: Pod, sender: Sender, seconds: float, cgroup: Cgroup | None
) -> tuple[Watch, float | None]:
    """What was taken while it sent, and after how many seconds the first finding was in the file."""
    pod.start()
    for name in pod.processes:
        pod.wait_for(name)
    popen = pod.processes["halo-otel"].popen
    assert popen is not None
    watch = Watch(popen.pid, cgroup)
    watch.read()
    watch.add_up(count=False)
    sender.start()
    began = time.monotonic()
    found: float | None = None
    while (elapsed := time.monotonic() - began) < seconds:
        threading.Event().wait(EVERY_S)
        watch.read()
        if found is None and pod.findings():
            found = elapsed
    return watch, found


def limit_bytes(documents: list[Document]) -> int:
    """The memory that the manifest's container of ours is limited to."""
    [workload] = [
        one["spec"]["template"]["spec"] for one in documents if "template" in one.get("spec", {})
    ]
    [ours] = [one for one in workload["initContainers"] if one["name"] == "halo-otel"]
    told = re.fullmatch(r"(\d+)([KMG])i", ours["resources"]["limits"]["memory"])
    assert told is not None
    return int(told[1]) << {"K": 10, "M": 20, "G": 30}[told[2]]


def main(minutes: float, rate: float) -> int:
    documents = documents_of(MANIFEST)
    with (
        tempfile.TemporaryDirectory(prefix="halo-sidecar-") as scratch,
        limited(limit_bytes(documents)) as made,
    ):
        cgroup, before = made or (None, [])
        pod = Pod(documents, Path(scratch), built("collector"), before={"halo-otel": before})
        window_s = load(pod.volume("halo-otel-config") / "halo.yaml", {}).window.length
        log = Path(scratch) / "load.log"
        sender = Sender(pod.port["4317"], rate, 1, PHASE_S, log, spans_a_request=REQUEST_SPANS)
        try:
            watch, found = run(pod, sender, 60 * minutes, cgroup)
            told = sender.finish()
            stored = pod.metric("halo_ingest_spans_total")
            runs = pod.metric("halo_analysis_runs_total")
        finally:
            sender.kill()
            pod.stop()
            pod.end()
    sent = sum(spans for _, spans in told["accepted"])
    print(
        f"{sent / told['elapsed_s']:.0f} spans/s for {told['elapsed_s'] / 60:.1f} min, {sent} sent,"
    )
    print(f"{stored:.0f} stored when the last was sent; {runs:.0f} analyses")
    for name, taken in watch.taken.items():
        if taken.cpu_m:
            print(taken.line(name))
    if working := watch.working_mib:
        print(f"working set {mean(working):.1f} MiB mean, {max(working):.1f} MiB most")
    else:
        print("no control group could be made: what they held stands for the working set")
    after = "none" if found is None else f"{found:.0f} s after the first span"
    print(f"first finding: {after} (window {window_s:.0f} s + {FINDING_AFTER_S:.0f} s)")
    both = watch.taken["together"]
    kept = {
        f"CPU ≤ {CPU_M:.0f} m": mean(both.cpu_m) <= CPU_M,
        f"memory ≤ {MEMORY_MIB:.0f} MiB": max(working, default=both.held_mib) <= MEMORY_MIB,
    }
    if 60 * minutes > window_s + FINDING_AFTER_S:
        kept["first finding"] = found is not None and found <= window_s + FINDING_AFTER_S
    for what, is_so in kept.items():
        print(f"{'kept' if is_so else 'NOT KEPT':8} {what}")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else 15,
            float(sys.argv[2]) if len(sys.argv) > 2 else 100,
        )
    )
