"""`query`: one SELECT over the documented tables."""

from typing import Final

from pydantic import Field

from halo_otel.recursion.environment.arguments import Paged
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, page
from halo_otel.recursion.environment.tables import TABLES
from halo_otel.window.admission import SQL_CHARS_MAX

ROWS_MAX: Final = 200


def documented() -> str:
    """The tables and their columns, as text."""
    tables = [
        f"{table.name}("
        + ", ".join(f"{name} [{told}]" if told else name for name, told in table.columns.items())
        + ")"
        for table in TABLES
    ]
    return "\n".join(tables)


class Query(Paged):
    __doc__ = f"""One SELECT in DuckDB's SQL over these tables:
{documented()}
Read only, no other statement, table or file; at most {ROWS_MAX} rows a reply, NULLs left out; long texts are cut (use
span for whole ones). Aggregate instead of listing, and ORDER BY something."""

    sql: str = Field(max_length=SQL_CHARS_MAX, description="exactly one SELECT")
    rows_max: int = Field(50, ge=1, le=ROWS_MAX, description=f"rows wanted, 1 to {ROWS_MAX}")


def run(environment: Environment, asked: Query) -> Reply:
    """Its rows. Raises `BadQuery`."""
    answer = environment.database.ask(asked.sql, rows=asked.rows_max, offset=asked.offset)
    names = [
        name if answer.columns.count(name) == 1 else f"{name}_{place}"
        for place, name in enumerate(answer.columns)
    ]
    return page(
        environment.fence,
        [dict(zip(names, row, strict=True)) for row in answer.rows],
        offset=asked.offset,
        total=asked.offset + len(answer.rows) + answer.more,
        bytes_max=asked.bytes_max,
    )
