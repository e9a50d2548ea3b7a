"""The engine's end of the link: the parent's messages in, our own out."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable

from halo_otel.service.link import Message


class Uplink:
    """Reads the parent's lines on a thread and writes ours.

    End of file without a `stop` means that the front was killed: this process then ends at once,
    so that a restarted service finds the window files free. That is as safe as a kill: rows and
    journal offset are committed together.
    """

    def __init__(self) -> None:
        # What a library prints must not mix into the link: stdout becomes stderr.
        self._out = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = threading.Lock()

    def first(self) -> Message:
        """The first message; blocks until the parent has sent it."""
        line = sys.stdin.buffer.readline()
        if not line:
            os._exit(1)
        return Message.parse(line)

    def listen(self, on_message: Callable[[Message], None]) -> None:
        """From now on call `on_message` in the running event loop for every message."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(
            target=self._read, args=(loop, on_message), name="uplink", daemon=True
        )
        thread.start()

    def _read(self, loop: asyncio.AbstractEventLoop, on_message: Callable[[Message], None]) -> None:
        for line in sys.stdin.buffer:
            message = Message.parse(line)
            loop.call_soon_threadsafe(on_message, message)
            if message.stop:
                return
        os._exit(1)

    def send(self, message: Message) -> None:
        """Write one line; lines are shorter than PIPE_BUF or the front always reads."""
        with self._lock:
            view = memoryview(message.line())
            while view:
                view = view[os.write(self._out, view) :]
