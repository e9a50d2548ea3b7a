"""Runs something with the network forbidden: `modules`, or `command ARGUMENT…` as `halo-otel` would.

The first try to resolve a name, connect or send ends the process at once, with `TRIED` and the event on
standard error: an exception could be caught on its way up, and then nobody would know. The events are
those of CPython's table of audit events; what C libraries do by themselves raises none.
"""

import importlib
import os
import pkgutil
import socket
import sys
from typing import Final

TRIED: Final = 77
EVENTS: Final = frozenset(
    {
        "http.client.connect",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
        "urllib.Request",
    }
)


def forbid(event: str, arguments: tuple[object, ...]) -> None:
    if event in EVENTS:
        os.write(2, f"{event} {arguments!r}\n".encode())
        os._exit(TRIED)


def import_all() -> int:
    """Import every module of the package but the one whose import runs it; how many."""
    import halo_otel

    names = [
        module.name
        for module in pkgutil.walk_packages(halo_otel.__path__, "halo_otel.", onerror=_raise)
        if not module.name.endswith(".__main__")
    ]
    for name in names:
        importlib.import_module(name)
    return len(names)


def _raise(name: str) -> None:
    raise ImportError(f"cannot look into {name}") from sys.exc_info()[1]


if __name__ == "__main__":
    sys.addaudithook(forbid)
    what, *arguments = sys.argv[1:]
    if what == "modules":
        print(import_all())
    elif what == "lookup":
        socket.getaddrinfo("localhost", 1)
    else:
        from halo_otel.cli import main

        sys.argv = ["halo-otel", *arguments]
        main()
