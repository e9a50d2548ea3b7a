"""A copy of what a view shows, closed: for queries that a model wrote about texts that strangers wrote.

    with sealed(view, tables, shown) as database:
        database.rows(...)        our own queries, in this process
        database.ask(...)         anybody's: one SELECT over these tables, in a process of its own
        database.bring(...)       one table more for that process: what was made of the others

The copy is a file of its own below the view's spill directory and vanishes with the context. Texts pass
through `shown` before they are written, so what is taken out there can be got at by no query.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition, Lock, Timer
from typing import Any, Final, TypeAlias

import orjson

from halo_otel import duck
from halo_otel.errors import BadQuery
from halo_otel.window.admission import told
from halo_otel.window.tables import arrow_of
from halo_otel.window.view import View

Scalar: TypeAlias = str | int | float | bool | None
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

_BATCH_ROWS: Final = 4096
_TABLE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,60}")
_AGAIN_S: Final = 0.05  # until it is interrupted again: what has not begun to run does not hear it
_PATIENCE_S: Final = 3.0  # beyond its limit, until a query that hears no interrupt is killed

_SUSPECTS: Final = """
CREATE OR REPLACE TEMP TABLE sealed_suspects AS
SELECT was FROM (SELECT DISTINCT unnest([{texts}]) AS was FROM sealed_recorded)
WHERE was IS NOT NULL AND ($1::VARCHAR IS NULL OR regexp_matches(was, $1::VARCHAR))
"""
_SOME: Final = "SELECT was FROM sealed_suspects WHERE rowid >= ? AND rowid < ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a copy: its query on the view, the columns it is sorted by, what its columns mean, and
    which of them are texts."""

    name: str
    query: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How texts go out: `text` gives what stands for one. `suspect` is a pattern (RE2) of those that it
    changes, so that the others need not be asked for; None suspects all."""

    text: Callable[[str], str]
    suspect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one query of a stranger's may take."""

    seconds: float = 10.0
    memory_bytes: int = 256 << 20
    cell_chars: int = 400
    bytes_max: int = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Rows of a query; `more` says that there are others behind them, `tables` what it reads."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool
    tables: frozenset[str]


@contextmanager
def sealed(
    view: View,
    tables: Sequence[Table],
    shown: Shown | None = None,
    limits: Limits | None = None,
) -> Iterator["Sealed"]:
    """The copy of `tables`; texts as they are where there is no `shown`."""
    row = view.con.execute("SELECT current_setting('temp_directory')").fetchone()
    assert row is not None, "a setting has a value"
    Path(row[0]).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="sealed-", dir=row[0]) as home:
        path = Path(home) / "copy.duckdb"
        _write(view.con, path, tables, shown)
        database = Sealed(path, limits or Limits())
        try:
            yield database
        finally:
            database.close()


def _write(con: duck.Connection, path: Path, tables: Sequence[Table], shown: Shown | None) -> None:
    name = path.parent.name.replace("-", "_")
    quoted = str(path).replace("'", "''")
    con.execute(f"ATTACH '{quoted}' AS \"{name}\"")
    try:
        for table in tables:
            rows = f"({table.query})" if shown is None else _as_shown(con, table, shown)
            ordered = f"SELECT * FROM {rows} ORDER BY {', '.join(table.key)}"  # noqa: S608 our names
            con.execute(f'CREATE TABLE "{name}"."{table.name}" AS {ordered}')
    finally:
        for scratch in ("recorded", "suspects", "shown"):
            con.execute(f"DROP TABLE IF EXISTS temp.sealed_{scratch}")
        con.execute(f'DETACH "{name}"')


def _as_shown(con: duck.Connection, table: Table, shown: Shown) -> str:
    """The rows of a table with its texts as they may be shown, each of which is asked for once.

    What was recorded stays in memory: in the file it could be found in what was overwritten.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE sealed_recorded AS {table.query}").fetchall()
    texts = ", ".join(f'"{name}"' for name in table.texts)
    con.execute(_SUSPECTS.format(texts=texts or "NULL::VARCHAR"), [shown.suspect]).fetchall()
    con.execute("CREATE OR REPLACE TEMP TABLE sealed_shown (was VARCHAR, said VARCHAR)").fetchall()
    first = 0
    while batch := con.execute(_SOME, [first, first + _BATCH_ROWS]).fetchall():
        first += _BATCH_ROWS
        said = {"was": [was for (was,) in batch], "said": [shown.text(was) for (was,) in batch]}
        rows = arrow_of(dict.fromkeys(said, "VARCHAR"), said)
        con.from_arrow(rows).query("rows", "INSERT INTO sealed_shown FROM rows")
    replaced = [
        f'CASE WHEN s{place}.was IS NULL THEN r."{name}" ELSE s{place}.said END AS "{name}"'
        for place, name in enumerate(table.texts)
    ]
    joins = [
        f'LEFT JOIN sealed_shown s{place} ON r."{name}" = s{place}.was'
        for place, name in enumerate(table.texts)
    ]
    columns = f"r.* REPLACE ({', '.join(replaced)})" if replaced else "r.*"
    return f"(SELECT {columns} FROM sealed_recorded r {' '.join(joins)})"  # noqa: S608 our names


class Sealed:
    """A closed copy; any thread may use it, questions are answered one after another."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.limits: Final = limits
        self._path = path
        self._con = duck.read_only(path, memory_limit_bytes=limits.memory_bytes)
        self._lock = Lock()
        self._cursors: set[duck.Connection] = set()  # in use
        self._at_rest = Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._brought: dict[str, bytes] = {}  # tables, as each new process is told them

    def close(self) -> None:
        """End the process and let go of the file; safe twice. What runs in threads that nobody waits for any
        more, because their task was cancelled, is interrupted: a connection in use is not closed."""
        with self._lock:
            self._end()
        with self._at_rest:
            while self._cursors:
                for cursor in self._cursors:
                    cursor.interrupt()
                self._at_rest.wait(_AGAIN_S)
            self._con.close()

    @property
    def is_in_use(self) -> bool:
        """Whether a query of ours runs."""
        return bool(self._cursors)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """The rows of a query of ours. Raises `BadQuery` as `ask` does."""
        return self._run(sql, parameters)[1]

    def records(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The same by name of the columns."""
        names, rows = self._run(sql, parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _run(self, sql: str, parameters: Parameters) -> tuple[list[str], list[Any]]:
        with self._cursor() as cursor:
            clock = Timer(self.limits.seconds, cursor.interrupt)
            clock.start()
            try:
                result = cursor.execute(sql, parameters or None)
                return [column[0] for column in result.description or ()], result.fetchall()
            except duck.Interrupted as error:
                raise BadQuery(
                    f"it took more than {self.limits.seconds:g} s: ask for less"
                ) from error
            except duck.Error as error:
                raise BadQuery(told(error)) from error
            finally:
                clock.cancel()

    @contextmanager
    def _cursor(self) -> Iterator[duck.Connection]:
        with self._at_rest:
            cursor = self._con.cursor()
            self._cursors.add(cursor)
        try:
            yield cursor
        finally:
            with self._at_rest:
                cursor.close()
                self._cursors.discard(cursor)
                self._at_rest.notify_all()

    def ask(
        self,
        sql: str,
        parameters: Sequence[Scalar] = (),
        *,
        rows: int = 100,
        offset: int = 0,
        empty: bool = False,
        bytes_max: int | None = None,
        cell_chars: int | None = None,
    ) -> Answer:
        """The answer to anybody's query, with `empty` as if the tables held nothing.

        Raises `BadQuery` where it may not be run, fails, or takes too long or too much.
        """
        question = {
            "sql": sql,
            "parameters": list(parameters),
            "rows": rows,
            "offset": offset,
            "empty": empty,
            "seconds": self.limits.seconds,
            "cell_chars": cell_chars or self.limits.cell_chars,
            "bytes": bytes_max or self.limits.bytes_max,
        }
        try:
            asked = orjson.dumps(question) + b"\n"
        except (TypeError, ValueError) as error:  # half a surrogate pair, an integer beyond 64 bits
            raise BadQuery(f"the query cannot be written as JSON: {error}") from error
        with self._lock:
            answer = self._answered(self._running(), asked)
        return Answer(
            columns=tuple(answer["columns"]),
            rows=tuple(tuple(row) for row in answer["rows"]),
            more=answer["more"],
            tables=frozenset(answer["tables"]),
        )

    def bring(
        self, name: str, columns: Mapping[str, str], values: Sequence[Sequence[Scalar]]
    ) -> None:
        """A table that `ask` reads from now on; `columns` are names and DuckDB types, `values` those of each.

        It never changes: a second one of that name is not taken, so name it after what it holds. Raises
        `BadQuery` where it needs too much memory.
        """
        assert _TABLE_NAME.fullmatch(name), "a name is ours"
        table = {"name": name, "columns": dict(columns), "values": [list(each) for each in values]}
        told = orjson.dumps(table) + b"\n"
        with self._lock:
            if name not in self._brought:
                self._answered(self._running(), told)
                self._brought[name] = told

    def _answered(self, process: subprocess.Popen[bytes], asked: bytes) -> dict[str, Any]:
        """What the process answers. Raises `BadQuery` if that is what is wrong."""
        answer: dict[str, Any] = orjson.loads(self._exchange(process, asked))
        if answer.get("spent"):
            self._end()
        if "bad" in answer:
            raise BadQuery(answer["bad"])
        return answer

    def _exchange(self, process: subprocess.Popen[bytes], asked: bytes) -> bytes:
        """The answer's line. Raises `BadQuery` if the process died over it or had to be killed."""
        assert process.stdin is not None
        assert process.stdout is not None
        clock = Timer(self.limits.seconds + _PATIENCE_S, process.kill)
        clock.start()
        try:
            process.stdin.write(asked)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            clock.cancel()
        if not line.endswith(b"\n"):
            code = self._end()
            raise BadQuery(
                f"the query took too long or too much memory: ask for less (its process ended with {code})"
            )
        return line

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "halo_otel.window.asking",
                    str(self._path),
                    str(self.limits.memory_bytes),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a query that takes too much may make it cry
                env={
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path))
                },  # and none of our secrets
                start_new_session=True,  # a Ctrl-C is for us alone
            )
            for table in self._brought.values():
                self._answered(self._process, table)
        return self._process

    def _end(self) -> int | None:
        """Kill the process, if there is one; what it ended with."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        with suppress(BrokenPipeError), process:  # closes the pipes and waits
            pass
        return process.returncode
