"""From a configured endpoint, `host:port`, to listening sockets."""

import errno
import socket
from typing import Final

from halo_otel.errors import ConfigError

_BACKLOG: Final = 2048  # as uvicorn's and gRPC's own; the kernel cuts it to net.core.somaxconn
_PORT_MAX: Final = 65535
# One of several addresses may not exist here (IPv6 switched off); another one may.
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

Address = tuple[socket.AddressFamily, str]


def parse_endpoint(endpoint: str, key: str) -> tuple[str, int]:
    """`localhost:14317` or `[::1]:14317` as host and port; port 0 means any free one.

    Raises ConfigError naming `key`.
    """
    host, colon, port = endpoint.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdigit() and int(port) <= _PORT_MAX
    if not colon or not host or not is_port or (":" in host and not bracketed):
        raise ConfigError(
            f"{key}: {endpoint!r} is not host:port: write it like localhost:14317, 0.0.0.0:14317 "
            "(all interfaces) or [::1]:14317"
        )
    return host, int(port)


def listen(endpoint: str, key: str) -> list[socket.socket]:
    """Listening sockets for `endpoint`, all with the same port; `localhost` is IPv4 and IPv6.

    Raises ConfigError naming `key` when the host is unknown or the port taken.
    """
    host, port = parse_endpoint(endpoint, key)
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in _resolve(host, port, key):
            try:
                sockets.append(_listen(family, address, port))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
            else:
                port = sockets[-1].getsockname()[1]
        if absent is not None and not sockets:
            raise absent
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise ConfigError(f"{key}: cannot listen on {endpoint}: {_cure(error)}") from error
    return sockets


def _resolve(host: str, port: int, key: str) -> list[Address]:
    if host == "localhost":
        # Not every machine's resolver names both, and a Collector may try either first.
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(
            f"{key}: the host {host!r} is unknown ({error}): use an address of this machine"
        ) from error
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # By its number: else asyncio leaves Nagle's algorithm on for what it accepts (`_set_nodelay` looks at the
    # protocol), and each answer on a connection that is kept waits 40 ms for a delayed acknowledgement.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A restart must not wait for connections of the predecessor that linger in TIME_WAIT.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _cure(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is in use: stop the process that has it, or choose another port"
        case errno.EACCES:
            return "this user may not use that port: choose one above 1023"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return "it is not an address of this machine: choose one that is"
    return str(error)
