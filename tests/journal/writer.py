"""A process that appends until it is killed: prints the number of every acknowledged payload.

Usage: writer.py DIRECTORY FIRST_NUMBER
"""

import asyncio
import os
import sys
from pathlib import Path

from halo_otel.clock import SystemClock
from halo_otel.config import sections
from halo_otel.journal import FrameKind, Journal
from halo_otel.selfobs import Counters

PARALLEL = 8


def payload_of(number: int) -> bytes:
    """Payloads of many sizes that name their number."""
    return b"%d " % number + b"x" * (number * 37 % 5000)


async def write(directory: Path, first: int) -> None:
    """Append numbers from `first` on, several at once."""
    config = sections.Journal(segment_bytes=1 << 16)
    async with Journal(directory, config, SystemClock(), Counters()) as journal:

        async def worker(number: int) -> None:
            while True:
                await journal.append(FrameKind.TRACES, payload_of(number))
                os.write(sys.stdout.fileno(), b"%d\n" % number)
                number += PARALLEL

        async with asyncio.TaskGroup() as group:
            for worker_number in range(PARALLEL):
                group.create_task(worker(first + worker_number))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
