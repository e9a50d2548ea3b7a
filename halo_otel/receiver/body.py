"""An HTTP request's body, inflated while it arrives and bounded."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from halo_otel.errors import BadRequest, TooLarge
from halo_otel.receiver.inflight import Held

# Content-Encoding to zlib's window bits. OTLP requires identity and gzip; `deflate` is the zlib
# format (RFC 9110 §8.4.1.2). An absent header is identity.
WINDOW_BITS: Final[dict[str, int | None]] = {
    "": None,
    "identity": None,
    "gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}

# Inflating this much takes about a millisecond; then others get their turn in the event loop.
_PIECE_BYTES: Final = 256 << 10


async def read_body(
    chunks: AsyncIterator[bytes], encoding: str, max_bytes: int, held: Held
) -> bytes:
    """The whole body behind `encoding`, a key of `WINDOW_BITS`; every byte is counted in `held`.

    Raises TooLarge as soon as it exceeds `max_bytes`, without inflating the rest; BadRequest if the
    compressed stream is broken; Overloaded if too much is in flight.
    """
    window_bits = WINDOW_BITS[encoding]
    inflate = None if window_bits is None else _Inflate(window_bits)
    body = bytearray()
    async for chunk in chunks:
        for piece in (chunk,) if inflate is None else inflate.pieces(chunk):
            if len(body) + len(piece) > max_bytes:
                raise too_large(max_bytes)
            held.grow(len(piece))
            body += piece
            if len(piece) == _PIECE_BYTES:
                await asyncio.sleep(0)
    if inflate is not None and not inflate.complete:
        raise BadRequest(f"the {encoding} body ends too early")
    return bytes(body)


def too_large(max_bytes: int) -> TooLarge:
    """The error for a body above the limit."""
    return TooLarge(
        f"the body exceeds {max_bytes} bytes (max_request_body_size, also after decompression): "
        "send smaller batches"
    )


class _Inflate:
    """Incremental gzip or zlib, also of several gzip members in a row (RFC 1952 §2.2)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)

    @property
    def complete(self) -> bool:
        return self._stream.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` inflates to, in pieces of bounded size. Raises BadRequest."""
        while data:
            if self._stream.eof:
                self._stream = zlib.decompressobj(self._window_bits)
            try:
                piece = self._stream.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise BadRequest(f"the compressed body cannot be inflated: {error}") from error
            yield piece
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
