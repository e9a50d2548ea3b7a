"""What windows saw of each watched cell: small counts that reach further back than the windows.

One row per replica, window and cell; a replica is compared with its own past, as each sees its own share
of the traffic. Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.findings import tables
from halo_otel.findings.otlpjson import line
from halo_otel.model.cell import CellCount

CELLS_MAX: Final = 200  # of one window; those with the most traces are kept
_CELL_BYTES_MAX: Final = 512


def put(connection: Connection, replica: str, counts: Sequence[CellCount]) -> None:
    """Remember one window's counts; what stood there for the same window and cell is replaced."""
    table = tables.cells
    kept = sorted(counts, key=lambda one: (-one.exposed, one.cell))[:CELLS_MAX]
    rows = {(one.window_start_ns, line(one.cell, _CELL_BYTES_MAX)): one for one in reversed(kept)}
    for (start_ns, cell), count in sorted(rows.items(), key=lambda item: item[0]):
        key = {"replica": replica, "window_start_ns": start_ns, "cell": cell}
        connection.execute(
            sa.delete(table).where(*(table.c[name] == value for name, value in key.items()))
        )
        connection.execute(
            sa.insert(table).values(
                **key, exposed=count.exposed, affected=count.affected, odd=int(count.odd)
            )
        )


def since(connection: Connection, replica: str, start_ns: int) -> list[CellCount]:
    """The counts of this replica's windows that began at `start_ns` or later, in order."""
    table = tables.cells
    found = connection.execute(
        sa.select(table)
        .where(table.c.replica == replica, table.c.window_start_ns >= start_ns)
        .order_by(table.c.window_start_ns, table.c.cell)
    )
    return [
        CellCount(
            window_start_ns=row.window_start_ns,
            cell=row.cell,
            exposed=row.exposed,
            affected=row.affected,
            odd=bool(row.odd),
        )
        for row in found
    ]


def prune(connection: Connection, before_ns: int) -> None:
    """Forget windows that began before `before_ns`."""
    connection.execute(sa.delete(tables.cells).where(tables.cells.c.window_start_ns < before_ns))
