"""The process that runs strangers' queries on a sealed database.

    python -m halo_otel.window.asking FILE MEMORY_BYTES        one question a line in, one answer a line out

A line may also bring a table, which later questions read like those of the file; it is answered with {}.

A query may take gigabytes in a single value, where DuckDB counts no memory and hears no interrupt
(`repeat('x', 4e9)` took a minute and 8 GB). So it runs in a process of its own whose memory the operating
system bounds, and which is killed when it answers too late. Nothing of the parent's environment is in it.
"""

import math
import re
import sys
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, Final

import orjson

from halo_otel import duck
from halo_otel.errors import BadQuery
from halo_otel.window.admission import Admission, told

_BATCH_ROWS: Final = 64
_OWN_BYTES: Final = (
    192 << 20
)  # of the interpreter, DuckDB's code and what it keeps beside its limit
_SAFE_INTEGER: Final = 1 << 63


class Asking:
    """Answers questions on the database at `path`."""

    def __init__(self, path: Path, memory_limit_bytes: int) -> None:
        self._memory_bytes = memory_limit_bytes
        self._con = duck.read_only(path, memory_limit_bytes=memory_limit_bytes)
        self._nothing = duck.read_only(None, memory_limit_bytes=memory_limit_bytes)
        layout = self._con.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall()
        for _, sql in layout:
            self._nothing.execute(sql)
        self._admission = Admission(self._con, frozenset(name for name, _ in layout))

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """`{columns, rows, more, tables}`, or `{bad}` with what is wrong with the query.

        To a question that is a table, `{name, columns, values}` with its columns' names and DuckDB types and
        each one's values, the answer is `{}`.

        With `spent` the process is not to be asked again: memory that was taken is not all given back, and
        the next query would pay for it.
        """
        answered = self._answer(question)
        is_spent = "values" not in question and _peak_bytes() > self._memory_bytes
        return answered | {"spent": True} if is_spent else answered

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            if "values" in question:
                return self._add(**question)
            tables = self._admission.check(question["sql"])
            # No cursor: it would not see the tables that were brought, which are the connection's own.
            con = self._nothing if question["empty"] else self._con
            clock = Timer(question["seconds"], con.interrupt)
            clock.start()
            try:
                return {"tables": sorted(tables), **_fetched(con, question)}
            finally:
                clock.cancel()
        except BadQuery as error:
            return {"bad": str(error)}
        except duck.Interrupted:
            return {"bad": f"the query took more than {question['seconds']:g} s: ask for less"}
        except (
            duck.OutOfMemory,
            MemoryError,
            RuntimeError,
        ):  # the last one: no thread can be started
            return {"bad": "the query needs too much memory: ask for less", "spent": True}
        except (duck.Error, ValueError, OverflowError) as error:
            return {"bad": told(error)}

    def _add(
        self, name: str, columns: dict[str, str], values: list[list[object]]
    ) -> dict[str, Any]:
        """A table that lives as long as this process; the file stays as it is."""
        layout = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        for con in (self._con, self._nothing):
            con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" ({layout})')
        rows = ", ".join(f"unnest(?::{kind}[])" for kind in columns.values())
        self._con.execute(f'INSERT INTO "{name}" SELECT {rows}', values)
        self._admission.allow(name)
        return {}


def _fetched(con: duck.Connection, question: dict[str, Any]) -> dict[str, Any]:
    """The rows from `offset` on that fit into `rows` and `bytes`."""
    result = con.execute(question["sql"], question["parameters"] or None)
    columns = [column[0][:120] for column in result.description or ()]
    skip, left, room = question["offset"], question["rows"], question["bytes"]
    rows: list[list[Any]] = []
    while batch := result.fetchmany(_BATCH_ROWS):
        dropped = min(skip, len(batch))
        skip -= dropped
        for row in batch[dropped:]:
            cells = [cell(value, question["cell_chars"]) for value in row]
            room -= len(orjson.dumps(cells))
            if not left or (room < 0 and rows):
                return {"columns": columns, "rows": rows, "more": True}
            rows.append(cells)
            left -= 1
    return {"columns": columns, "rows": rows, "more": False}


def cell(value: Any, chars_max: int) -> Any:
    """A value as JSON has them; a text that is too long says how long it is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_SAFE_INTEGER <= value < _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key)[:120]: cell(inner, chars_max) for key, inner in list(value.items())[:100]}
    if isinstance(value, list | tuple):
        return [cell(inner, chars_max) for inner in value[:100]]
    text = value if isinstance(value, str) else str(value)
    text = text.encode("utf-8", "replace").decode()
    return (
        text
        if len(text) <= chars_max
        else f"{text[:chars_max]}… (+{len(text) - chars_max} characters)"
    )


def main() -> None:
    """Answer until the parent is gone."""
    path, memory_bytes = Path(sys.argv[1]), int(sys.argv[2])
    asking = Asking(path, memory_bytes)
    _bound_memory(memory_bytes + _OWN_BYTES)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(orjson.dumps(asking.answer(orjson.loads(line))) + b"\n")
        sys.stdout.buffer.flush()


def _peak_bytes() -> int:
    """The most memory that this process ever had; 0 where the system does not say."""
    with suppress(OSError):
        # Linux's getrusage would also count what the process that started this one had: proc(5) does not.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if peak := re.search(r"VmHWM:\s+(\d+) kB", status):
            return int(peak[1]) * 1024
    try:
        import resource
    except ImportError:
        return 0
    used: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _bound_memory(bytes_: int) -> None:
    """Let no more be allocated, where the system can bound that: Linux does."""
    try:
        import resource
    except ImportError:  # Windows: DuckDB's own limit and the parent's patience are what there is
        return
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_, bytes_))


if __name__ == "__main__":
    main()
