"""Bringing a window file of an older version up to date.

What a file lacks is the difference between `TABLES` and what is in it, so a version that only adds
tables or columns needs nothing here. New columns are NULL, unknown, in old rows, and stand behind the
old ones: whoever reads or writes a table does so by the names of its columns.
"""

from halo_otel.duck import Connection
from halo_otel.window.schema import SCHEMA_VERSION, TABLES
from halo_otel.window.tables import create_table


def bring_up_to_date(con: Connection, database: str) -> None:
    """Add the tables and columns that an attached, writable `database` lacks, in one transaction."""
    present = _layout(con, database)
    con.begin()
    try:
        for table, columns in TABLES.items():
            if table not in present:
                create_table(con, database, table)
                continue
            for name, kind in columns.items():
                if name not in present[table]:
                    con.execute(f'ALTER TABLE {database}.{table} ADD COLUMN "{name}" {kind}')
        statement = f"UPDATE {database}.window_info SET schema_version = ?"  # noqa: S608 our name
        con.execute(statement, [SCHEMA_VERSION])
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _layout(con: Connection, database: str) -> dict[str, set[str]]:
    """The columns of each table."""
    rows = con.execute(
        "FROM duckdb_columns() SELECT table_name, column_name"
        " WHERE database_name = ? AND schema_name = 'main'",
        [database],
    ).fetchall()
    layout: dict[str, set[str]] = {}
    for table, column in rows:
        layout.setdefault(table, set()).add(column)
    return layout
