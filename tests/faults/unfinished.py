"""A gRPC client, by hand, that sends the most of a request and never its end (RFC 9113, gRPC over HTTP/2)."""

import asyncio
import struct

_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _RESET = 0, 1, 4, 6, 7, 8, 3
_END_HEADERS, _ACK = 4, 1
_STREAM = 1
_PIECE_BYTES = 16_384  # the largest frame that every server takes
_WINDOW_BYTES = 65_535
_INITIAL_WINDOW = 4  # the setting of that name
_PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _header(name: str, value: str) -> bytes:
    """HPACK's literal without indexing, as short as they are here (RFC 7541 §6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


_HEAD = b"".join(
    _header(name, value)
    for name, value in {
        ":method": "POST",
        ":scheme": "http",
        ":path": _PATH,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }.items()
)


class Unfinished:
    """One request of `size_bytes`, of which `sent_bytes` have been sent."""

    def __init__(self, port: int, size_bytes: int) -> None:
        self._port = port
        self._size_bytes = size_bytes
        self._connection_bytes = self._stream_bytes = _WINDOW_BYTES
        self._initial_bytes = _WINDOW_BYTES
        self._opened = asyncio.Event()
        self.sent_bytes = 0
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Send all but the last byte as fast as the server takes it; then wait for the server to end it."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            self.ended.set()
            return
        try:
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b""))
            writer.write(_frame(_HEADERS, _END_HEADERS, _STREAM, _HEAD))
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send(writer))
                await self._read(reader, writer)
                sending.cancel()
        except* OSError:
            pass
        finally:
            self.ended.set()
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        left = struct.pack(">BI", 0, self._size_bytes)
        while self.sent_bytes < self._size_bytes - 1 or left:
            most = min(_PIECE_BYTES, self._connection_bytes, self._stream_bytes)
            if most <= 0:
                self._opened.clear()
                await self._opened.wait()
                continue
            rest = self._size_bytes - 1 - self.sent_bytes
            piece = left or bytes(min(most, rest))
            left = b""
            writer.write(_frame(_DATA, 0, _STREAM, piece))
            self.sent_bytes += len(piece)
            self._connection_bytes -= len(piece)
            self._stream_bytes -= len(piece)
            await writer.drain()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Obey the server until it ends the request."""
        while True:
            try:
                head = await reader.readexactly(9)
                content = await reader.readexactly(int.from_bytes(head[:3], "big"))
            except asyncio.IncompleteReadError:
                return
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            if kind == _SETTINGS and not flags & _ACK:
                for at in range(0, len(content), 6):
                    name, value = struct.unpack(">HI", content[at : at + 6])
                    if name == _INITIAL_WINDOW:
                        self._stream_bytes += value - self._initial_bytes
                        self._initial_bytes = value
                writer.write(_frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _PING and not flags & _ACK:
                writer.write(_frame(_PING, _ACK, 0, content))
            elif kind == _WINDOW_UPDATE:
                (more,) = struct.unpack(">I", content)
                if stream:
                    self._stream_bytes += more
                else:
                    self._connection_bytes += more
            elif kind in (_HEADERS, _GOAWAY, _RESET):
                return
            self._opened.set()


async def send_unfinished(port: int, count: int, size_bytes: int, patience_s: float) -> list[int]:
    """How much of each of `count` requests was taken before the server ended it, or `patience_s` were over."""
    requests = [Unfinished(port, size_bytes) for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(request.run()) for request in requests]
        try:
            async with asyncio.timeout(patience_s):
                for request in requests:
                    await request.ended.wait()
        except TimeoutError:
            pass
        for task in running:
            task.cancel()
    return [request.sent_bytes for request in requests]
