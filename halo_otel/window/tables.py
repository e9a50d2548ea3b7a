"""The tables of one attached window database: making them and adding rows."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from halo_otel.window.schema import COMPRESSED, SCHEMA_VERSION, TABLES, Batch, Columns

if TYPE_CHECKING:
    import pyarrow as pa

    from halo_otel.duck import Connection


# 65,536 ids take 7 MB. A conversation that rests while as many new texts arrive is stored again.
_RECENT_MAX: Final = 1 << 16


class RecentIds:
    """The ids seen last: at least `limit` of them, at most twice as many."""

    def __init__(self, limit: int = _RECENT_MAX) -> None:
        self._limit = limit
        self._recent: set[object] = set()
        self._older: set[object] = set()

    def __contains__(self, id_: object) -> bool:
        return id_ in self._recent or id_ in self._older

    def update(self, ids: Iterable[object]) -> None:
        """Take note that `ids` were seen now."""
        for id_ in ids:
            if len(self._recent) >= self._limit:
                self._recent, self._older = set(), self._recent
            self._recent.add(id_)


@dataclass(slots=True)
class KnownIds:
    """Which resources, scopes and texts a window already holds; of the texts, the recent ones."""

    resources: set[object] = field(default_factory=set)
    scopes: set[object] = field(default_factory=set)
    texts: RecentIds = field(default_factory=RecentIds)

    def forget(self, ids: "KnownIds") -> None:
        """What brought `ids` was taken back; texts may be stored again."""
        self.resources -= ids.resources
        self.scopes -= ids.scopes
        self.texts = RecentIds()


def create_tables(con: "Connection", database: str, start_ns: int, end_ns: int) -> None:
    """Lay out an empty database for the window `[start_ns, end_ns)`."""
    for table in TABLES:
        create_table(con, database, table)
    con.table(f"{database}.window_info").insert([SCHEMA_VERSION, start_ns, end_ns, False])
    con.table(f"{database}.journal_offset").insert([0])


def create_table(con: "Connection", database: str, table: str) -> None:
    """Lay out one empty table."""
    layout = ", ".join(
        f'"{name}" {kind}{" USING COMPRESSION zstd" if name in COMPRESSED else ""}'
        for name, kind in TABLES[table].items()
    )
    con.execute(f"CREATE TABLE {database}.{table} ({layout})")


def append(
    con: "Connection",
    database: str,
    batches: Iterable[Batch],
    known: KnownIds,
    journal_offset: int | None = None,
) -> None:
    """Add batches, and how far the journal is now contained, in one transaction.

    One batch is in memory at a time. Resources, scopes and texts whose id is in `known` are left out,
    the others join `known`.
    """
    added = KnownIds()
    con.begin()
    try:
        for batch in batches:
            _insert(con, database, batch, known, added)
        if journal_offset is not None:
            statement = f"UPDATE {database}.journal_offset SET journal_offset = ?"  # noqa: S608 our name
            con.execute(statement, [journal_offset])
    except BaseException:
        known.forget(added)
        con.rollback()
        raise
    finally:
        con.unregister("batch")  # it would keep the last rows
    try:
        con.commit()
    except BaseException:  # the transaction has ended as well
        known.forget(added)
        raise


def _insert(
    con: "Connection", database: str, batch: Batch, known: KnownIds, added: KnownIds
) -> None:
    resources = _unknown(batch.resources, "resource_id", known.resources)
    scopes = _unknown(batch.scopes, "scope_id", known.scopes)
    tables = {
        "spans": batch.spans,
        "log_records": batch.log_records,
        "resources": resources,
        "scopes": scopes,
        "texts": _unknown(batch.texts, "text_id", known.texts),
    }
    arrow = {name: arrow_table(name, columns) for name, columns in tables.items() if rows(columns)}
    for name, table in arrow.items():
        # By name: a file that an older version laid out has its columns in another order.
        insertion = f"INSERT INTO {database}.{name} BY NAME FROM batch"
        # A relation's `query` would tell of an error only that the transaction is aborted, not its reason.
        con.register("batch", table)
        con.execute(insertion)
    for ids in (known, added):
        ids.resources.update(resources.get("resource_id", ()))
        ids.scopes.update(scopes.get("scope_id", ()))
    known.texts.update(batch.texts.get("text_id", ()))


def packed(batch: Batch) -> Batch:
    """`batch` with the columns that are long as Arrow arrays: a tenth of the size, ready to insert."""
    return replace(
        batch,
        spans=_packed("spans", batch.spans),
        log_records=_packed("log_records", batch.log_records),
    )


def _packed(table: str, columns: Columns) -> Columns:
    kinds = TABLES[table]
    return {name: _arrow_column(values, kinds[name]) for name, values in columns.items()}


def rows(columns: Columns) -> int:
    """How many rows `columns` hold."""
    return len(next(iter(columns.values()), ()))


def _unknown(columns: Columns, id_name: str, known: Container[object]) -> Columns:
    """The first row of each id that is not in `known`."""
    first = {key: row for row, key in reversed(list(enumerate(columns.get(id_name, ()))))}
    keep = sorted(row for key, row in first.items() if key not in known)
    return {name: [values[row] for row in keep] for name, values in columns.items()}


# pyarrow costs 40 MB and is loaded with the first row: an idle service never pays for it.
_ARROW_TYPES: Final = {
    "VARCHAR": "string",
    "BIGINT": "int64",
    "UBIGINT": "uint64",
    "UINTEGER": "uint32",
    "UTINYINT": "uint8",
    "DOUBLE": "float64",
}
_INTEGER_RANGES: Final = {
    "BIGINT": (-(2**63), 2**63 - 1),
    "UBIGINT": (0, 2**64 - 1),
    "UINTEGER": (0, 2**32 - 1),
    "UTINYINT": (0, 255),
}


def arrow_table(table: str, columns: Columns) -> "pa.Table":
    """`columns` as an Arrow table in the schema's column order."""
    return arrow_of(TABLES[table], columns)


def arrow_of(kinds: Mapping[str, str], columns: Columns) -> "pa.Table":
    """`columns` as an Arrow table with the columns of `kinds`: name and DuckDB type, in order."""
    import pyarrow as pa

    return pa.Table.from_arrays(
        [_arrow_column(columns[name], kind) for name, kind in kinds.items()], names=list(kinds)
    )


def _arrow_column(values: list[object], kind: str) -> Any:
    """`values` as an Arrow array of the DuckDB type `kind`.

    A sender's number may exceed 64 bits and its text may hold half a surrogate pair; no column can
    hold either. One such value must not stop the ingest of all others, so it is bent to fit.
    """
    import pyarrow as pa

    if isinstance(values, pa.Array):
        return values
    if kind == "UUID":
        return pa.array(values, pa.uuid())
    arrow_type = pa.type_for_alias(_ARROW_TYPES[kind])
    try:
        return pa.array(values, arrow_type)
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        return pa.array([_bent(value, kind) for value in values], arrow_type)


def _bent(value: object, kind: str) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int) and kind in _INTEGER_RANGES:
        low, high = _INTEGER_RANGES[kind]
        return min(max(value, low), high)
    return value
