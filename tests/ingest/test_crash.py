"""`kill -9` at any moment: a new process goes on, and each span stands in the windows once."""

import random
import subprocess
import sys
from pathlib import Path

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile, traces

FRAMES, SPANS_PER_FRAME, KILLS = 400, 40, 6
TICK_BYTES = 4000  # about two frames: hundreds of commits to be killed in

INGEST = """
import sys
from pathlib import Path
from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore

journal, windows, durable, tick_bytes = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
store = WindowStore(windows, sections.Window(), Counters())
store.open()
reader = JournalReader(journal, store.resume_offset)
ingest = Ingest(reader, store, Counters(), ManualClock(), tick_bytes_max=tick_bytes)
while (checkpoint := ingest.tick(durable)) is not None:
    print(checkpoint, flush=True)
"""


def test_each_span_once_after_kills(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = JournalFile(tmp_path / "journal", clock)
    numbers = list(range(FRAMES * SPANS_PER_FRAME))
    requests = [
        numbers[at : at + SPANS_PER_FRAME] for at in range(0, len(numbers), SPANS_PER_FRAME)
    ]
    # Five seconds apart: the 400 frames fall into seven windows, so kills hit seals and new files too.
    journal.append_over_time([(traces(*request), 5) for request in requests])
    windows = tmp_path / "windows"
    arguments = [str(journal.directory), str(windows), str(journal.durable), str(TICK_BYTES)]
    rng = random.Random(1)
    committed = 0
    for _ in range(KILLS):
        command = [sys.executable, "-c", INGEST, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rng.randrange(40)):
                committed = int(process.stdout.readline() or committed)
            process.kill()
    store = WindowStore(windows, sections.Window(), Counters())
    store.open()
    assert (
        committed <= store.resume_offset < journal.durable
    )  # killed before the end, nothing undone
    with JournalReader(journal.directory, store.resume_offset) as reader:
        ingest = Ingest(reader, store, Counters(), clock)
        while ingest.tick(journal.durable) is not None:
            pass
    with store.view(0) as view:
        for relation in ("raw_spans", "spans"):
            rows = view.con.execute(f"SELECT span_id FROM {relation} ORDER BY 1").fetchall()
            assert [int(row[0], 16) - 1 for row in rows] == numbers
        assert len(view.windows) >= 7
    store.close()
