"""Which queries a stranger may run: one SELECT over the named tables, with functions that only compute.

The text is read by DuckDB's own parser and the tree is walked. What is not known to be harmless is
refused: other statements, other tables (files and catalogs are tables to DuckDB), table functions, and
functions whose answer depends on more than their arguments. So nothing tells of this machine, and the
same query over the same rows gives the same answer.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from halo_otel import duck
from halo_otel.errors import BadQuery

SQL_CHARS_MAX: Final = 8_000  # a query for a person's eyes has some hundreds
_DEPTH_MAX: Final = 200  # of the tree

_TABLE_FUNCTIONS: Final = frozenset(("range", "generate_series", "unnest"))
# Macros have no stability; these only compute, like the functions that they stand for.
_MACROS: Final = re.compile(
    r"(list|array|map|json|md5|regexp)_\w+|json|split_part|nullif|if|fmod|fdiv|date_add"
    r"|geometric_mean|geomean|weighted_avg|wavg|generate_subscripts"
)
# Of the functions that DuckDB calls consistent: they ask the clock or the program, or read code as data.
_NOT_MERE: Final = re.compile(
    r"__.*|current_.*|age|version|json_(de)?serialize_\w+|json_execute\w*|hive_\w+|parse_duckdb_\w+|invoke"
)
# Names that are functions without parentheses where no column has them.
_ASKING_NAMES: Final = re.compile(r"(?i)current_\w+|localtime(stamp)?|(session_)?user|rowid")
_NODES: Final = frozenset(
    (
        "SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE EMPTY BASE_TABLE SUBQUERY JOIN"
        " TABLE_FUNCTION EXPRESSION_LIST ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER"
        " DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING ORDER_ASCENDING ORDER_DESCENDING"
    ).split()
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_FUNCTIONS: Final = """
SELECT DISTINCT lower(function_name), function_type = 'macro' FROM duckdb_functions()
WHERE function_type = 'macro' OR stability = 'CONSISTENT'
"""
_CATALOG: Final = "SELECT lower(view_name) FROM duckdb_views() WHERE internal"


class Admission:
    """What may be asked of the database behind `con`, whose tables are `tables`."""

    def __init__(self, con: duck.Connection, tables: frozenset[str]) -> None:
        self._con = con
        self._tables = tables
        self._functions = frozenset(
            name
            for name, macro in con.execute(_FUNCTIONS).fetchall()
            if (_MACROS.fullmatch(name) if macro else not _NOT_MERE.fullmatch(name))
        )
        self._catalog = frozenset(name for (name,) in con.execute(_CATALOG).fetchall())

    def allow(self, table: str) -> None:
        """Let `table` be read, too."""
        self._tables |= {table}

    def check(self, sql: str) -> frozenset[str]:
        """The tables that `sql` reads. Raises `BadQuery`."""
        if len(sql) > SQL_CHARS_MAX:
            raise BadQuery(f"the query is longer than {SQL_CHARS_MAX} characters: ask for less")
        try:
            statements = self._con.extract_statements(sql)
        except duck.Error as error:
            raise BadQuery(told(error)) from error
        if len(statements) != 1:
            raise BadQuery(f"write exactly one SELECT statement, not {len(statements)}")
        (text,) = self._con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone() or ()
        tree = json.loads(text)
        if tree["error"] or len(tree["statements"]) != 1:
            raise BadQuery("write exactly one SELECT statement: nothing else is allowed")
        nodes = list(_nodes(tree["statements"][0]))
        own = self._named(nodes)
        for node in nodes:
            self._check_node(node, own)
        return frozenset(
            name
            for node in nodes
            if node.get("type") == "BASE_TABLE"
            and (name := node["table_name"].lower()) in self._tables
        )

    def _named(self, nodes: list[dict[str, Any]]) -> frozenset[str]:
        """The names that WITH gives; none may hide or be taken for something of DuckDB's."""
        maps = [node["cte_map"]["map"] for node in nodes if node.get("cte_map")]
        names = {entry["key"].lower() for entries in maps for entry in entries}
        for name in sorted(names):
            if not _NAME.fullmatch(name) or name in self._catalog or name in self._tables:
                raise BadQuery(f"call what WITH names something else than {name[:60]!r}")
        return frozenset(names)

    def _check_node(self, node: dict[str, Any], own: frozenset[str]) -> None:
        kind = node.get("type")
        if node.get("sample") or node.get("at_clause"):
            raise BadQuery("samples and versions of tables are not allowed: use WHERE")
        if kind == "BASE_TABLE":
            name = node["table_name"].lower()
            if len(_path(node, name)) != 1 or name not in own | self._tables:
                raise BadQuery(
                    f"there is no table {node['table_name'][:60]!r}: read {', '.join(sorted(self._tables))}"
                )
        elif kind == "TABLE_FUNCTION":
            self._check_function(node["function"], _TABLE_FUNCTIONS)
        elif "class" not in node and isinstance(kind, str) and kind not in _NODES:
            raise BadQuery(f"{kind.lower().replace('_', ' ')} is not allowed: write a plain SELECT")
        elif node.get("class") == "COLUMN_REF":
            names = node["column_names"]
            if len(names) == 1 and _ASKING_NAMES.fullmatch(names[0]):
                raise BadQuery(f"{names[0].lower()} is not allowed: only what the tables hold")
        elif node.get("class") in ("FUNCTION", "WINDOW"):
            self._check_function(node, self._functions | _TABLE_FUNCTIONS)

    def _check_function(self, node: dict[str, Any], allowed: frozenset[str]) -> None:
        name = str(node.get("function_name", "")).lower()
        if len(_path(node, name)) != 1 or name not in allowed:
            raise BadQuery(f"the function {name[:60]!r} is not allowed: only what computes")


def _path(node: dict[str, Any], name: str) -> list[str]:
    """All parts of a qualified name."""
    parts = [
        node.get("catalog_name"),
        node.get("schema_name"),
        node.get("catalog"),
        node.get("schema"),
    ]
    named = (node.get("qualified_name") or {}).get("path") or [name]
    return [*named, *[part for part in parts if part and part not in named]]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a tree. Raises `BadQuery` if it is too deep."""
    todo = [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        if depth > _DEPTH_MAX:
            raise BadQuery("the query is nested too deeply: write it with WITH")
        if isinstance(node, dict):
            yield node
            todo += [(value, depth + 1) for value in node.values()]
        elif isinstance(node, list):
            todo += [(value, depth) for value in node]


def told(error: Exception) -> str:
    """The part of DuckDB's message that helps to write it better."""
    return str(error).partition("\n\nLINE")[0][:600]
