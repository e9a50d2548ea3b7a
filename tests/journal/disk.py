"""Journals on a real disk, as the tests of this room need them."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from halo_otel.clock import Clock, ManualClock
from halo_otel.config import sections
from halo_otel.journal import Frame, FrameKind, Journal, JournalReader, read_checkpoint
from halo_otel.selfobs import Counters


@dataclass
class Disk:
    """One journal directory and everything a test does with it."""

    directory: Path
    clock: Clock = field(default_factory=ManualClock)
    counters: Counters = field(default_factory=Counters)
    segment_bytes: int = 4096
    max_bytes: int = 1 << 30

    def journal(self, on_damage: Literal["stop", "skip"] = "stop") -> Journal:
        # Not validated: tests use smaller segments than a user may choose.
        config = sections.Journal.model_construct(
            segment_bytes=self.segment_bytes, max_bytes=self.max_bytes, on_damage=on_damage
        )
        return Journal(self.directory, config, self.clock, self.counters)

    def write(self, *groups: Sequence[bytes], checkpoint: int | None = None) -> list[int]:
        """Append each group of payloads at once; the end offsets of all frames."""

        async def go() -> list[int]:
            ends: list[int] = []
            async with self.journal() as journal:
                for group in groups:
                    ends += await asyncio.gather(
                        *(journal.append(FrameKind.TRACES, payload) for payload in group)
                    )
                if checkpoint is not None:
                    journal.checkpoint(checkpoint)
            return ends

        return asyncio.run(go())

    def recover(self, on_damage: Literal["stop", "skip"] = "stop") -> int:
        """Start and stop the journal; its durable offset after the start."""

        async def go() -> int:
            async with self.journal(on_damage) as journal:
                return journal.durable_offset

        return asyncio.run(go())

    def frames(self, durable_offset: int, offset: int = 0) -> list[Frame]:
        with JournalReader(self.directory, offset) as reader:
            return reader.read(durable_offset, 1 << 40)

    def payloads(self, durable_offset: int) -> list[bytes]:
        offset = read_checkpoint(self.directory)
        return [frame.payload for frame in self.frames(durable_offset, offset)]

    def segments(self) -> list[Path]:
        return sorted(self.directory.glob("*.journal"))

    def copy(self, name: str) -> "Disk":
        directory = self.directory.with_name(name)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.directory, directory)
        return Disk(
            directory, segment_bytes=self.segment_bytes, max_bytes=self.max_bytes, clock=self.clock
        )
