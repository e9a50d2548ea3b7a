"""What stands around a request over HTTP: compressed bodies in pieces, and what claims to be a token.

The first byte chooses the encoding, the second the size of the pieces; the rest is the body, or a header.
"""

import gzip
import zlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Final

from halo_otel.errors import BadRequest, ConfigError, TooLarge
from halo_otel.receiver.body import WINDOW_BITS, read_body
from halo_otel.receiver.inflight import Held, InFlight
from halo_otel.receiver.tokens import Tokens, read_tokens
from tests.fuzz.trees import Bytes

RUNS: Final = 7_500

_ENCODINGS: Final = tuple(WINDOW_BITS)
_BODY_BYTES_MAX: Final = 1 << 16
_TOKEN: Final = b"correct-horse"
_FILE: Final = Path(mkdtemp()) / "tokens"
_FILE.write_bytes(_TOKEN)
_TOKENS: Final = Tokens(_FILE, "auth.tokens_file")
_TOKENS.read()
_OTHER_FILE: Final = _FILE.with_name("others")


def check(data: bytes) -> None:
    choice, size, rest = data[:1], data[1:2], data[2:]
    _check_body(_ENCODINGS[sum(choice) % len(_ENCODINGS)], 1 + sum(size), rest)
    _check_tokens(rest)


def _check_body(encoding: str, piece_bytes: int, sent: bytes) -> None:
    in_flight = InFlight(max_bytes=2 * _BODY_BYTES_MAX, max_requests=1)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), piece_bytes):
            yield sent[start : start + piece_bytes]

    async def read() -> bytes:
        with Held(in_flight) as held:
            return await read_body(chunks(), encoding, _BODY_BYTES_MAX, held)

    try:
        body = _run(read())
    except (BadRequest, TooLarge):
        return
    assert len(body) <= _BODY_BYTES_MAX
    if WINDOW_BITS[encoding] is None:
        assert body == sent
    elif encoding == "gzip":
        assert body == gzip.decompress(sent)
    else:
        assert zlib.decompress(sent) == body


def _check_tokens(sent: bytes) -> None:
    header = sent.decode("latin-1")
    expected = header.strip().partition(" ")[2].strip() == _TOKEN.decode()
    assert (_TOKENS.refusal(header) is None) <= expected
    assert _TOKENS.refusal(f"Bearer {header}") in (None, "unknown")
    _OTHER_FILE.write_bytes(sent)
    try:
        for token in read_tokens(_OTHER_FILE, "auth.tokens_file"):
            assert token.strip() == token
    except ConfigError:
        pass


def _run(reading: Coroutine[None, None, bytes]) -> bytes:
    """Without an event loop: it only ever lets others have their turn."""
    while True:
        try:
            reading.send(None)
        except StopIteration as done:
            body: bytes = done.value
            return body


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    """What is in a compressed body is changed and packed again as it was."""
    encoding = _ENCODINGS[sum(data[:1]) % len(_ENCODINGS)]
    if encoding not in ("gzip", "deflate") or rng.random() < 0.3:
        return None
    try:
        plain = zlib.decompressobj(WINDOW_BITS[encoding] or 0).decompress(data[2:], 4096)
    except zlib.error:
        return None
    plain = change(plain, len(plain) + 32)
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    return (
        data[:2] + pack(plain) + (pack(plain) if encoding == "gzip" and rng.random() < 0.2 else b"")
    )


def seeds() -> Iterator[bytes]:
    yield b"\0\1Bearer correct-horse"
    yield b"\0\7one\n\n two \r\nthree"
    yield b"\2\5" + gzip.compress(b"hello", mtime=0) + gzip.compress(b"again", mtime=0)
    yield b"\2\xff" + gzip.compress(bytes(_BODY_BYTES_MAX + 1), mtime=0)
    yield b"\3\5" + zlib.compress(b"hello")
