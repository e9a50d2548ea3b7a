"""What a tool's definition allows its arguments to look like, and which arguments break it.

A small part of JSON Schema (draft 2020-12) is read: `type`, `properties`, `required`,
`additionalProperties`, `items`, `enum` of members, `anyOf`, `oneOf`, `allOf`, `$ref` within the schema, and
`nullable` of OpenAPI. Whatever else a schema says (patterns, formats, ranges, conditions) is not looked at,
so a schema written by a stranger runs no expression and fetches nothing, and what is called wrong here is
wrong for a full validator, too. One thing is stricter on purpose: a name that the definition does not list
counts as unknown even where additional properties are not forbidden, since hardly any definition forbids them;
detectors ask for a failed call as well.

Where a trace has no definitions the schema is learned from the calls that succeed (detectors.md §1.4b).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import duckdb
import orjson

from halo_otel.agentspan.definitions import definitions
from halo_otel.analysis.usual.tooluse import Shapes, Use

SIMILAR_MIN: Final = 0.85  # Jaro-Winkler from which a name is a misspelling of another (§1.4a)
OK_RATE_BAD: Final = 0.05  # members whose calls succeed less often are no members (§1.4b)
LEARNED_OK_MIN: Final = (
    20  # successes from which absence says anything: 0 of 20 is below 14 % (rule of three)
)
_ALWAYS: Final = 0.99  # share of successful calls that have what is required
_DEPTH_MAX: Final = 8
_STEPS_MAX: Final = 5000  # a schema that refers to itself branches without end
_VIOLATIONS_MAX: Final = 20
_TEXT_CHARS_MAX: Final = 1 << 20

Schema = Mapping[str, Any]
Shape = Any  # a member's DuckDB type, `{name: shape}` or `[shape]`

_CLASSES: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"VARCHAR"}),
    # 5.0 is an integer, too, and so are numbers beyond 64 bits.
    "integer": frozenset({"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE"}),
    "number": frozenset({"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE"}),
    "boolean": frozenset({"BOOLEAN"}),
    "null": frozenset({"NULL"}),
    "object": frozenset({"object"}),
    "array": frozenset({"array"}),
}
_NAMES: Final = {
    "VARCHAR": "string",
    "BIGINT": "integer",
    "UBIGINT": "integer",
    "HUGEINT": "integer",
    "UHUGEINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "NULL": "null",
}
_COMBINED: Final = ("anyOf", "oneOf", "allOf", "$ref")


class Kind(StrEnum):
    """How arguments break a schema."""

    UNKNOWN = "unknown"  # a name that there is not
    MISSING = "missing"
    TYPE = "type"
    ENUM = "enum"


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """`argument` is the path of the member; `suggestion` the name or type it should have, "" if unknown."""

    kind: Kind
    argument: str
    suggestion: str = ""


def tools(text: str) -> dict[str, Schema | None]:
    """The tools in a recorded list of definitions, with the schemas of their arguments where stated."""
    listed = definitions(text) if len(text) <= _TEXT_CHARS_MAX else None
    if listed is None:
        return {}
    return {tool["name"]: tool.get("parameters") for tool in orjson.loads(listed)}


def violations(schema: Schema, shape: Shape) -> list[Violation]:
    """Where arguments of this shape break `schema`, sorted; at most twenty."""
    members: Shape = {} if shape == "JSON" else shape  # an empty object
    found = set(_Check(schema).at(schema, members, "", 0))
    return sorted(found)[:_VIOLATIONS_MAX]


def allowed(schema: Schema) -> dict[str, list[str]]:
    """The values that members of the arguments may have, where the schema lists them."""
    listed: dict[str, list[str]] = {}
    for name, member in _members(schema).items():
        values = member.get("enum") if isinstance(member, dict) else None
        if isinstance(values, list) and 0 < len(values) <= 200:
            listed[name] = [v if isinstance(v, str) else orjson.dumps(v).decode() for v in values]
    return listed


def names(schema: Schema) -> list[str]:
    """The arguments that the schema lists."""
    return sorted(_members(schema))


def learned(shapes: Shapes) -> Schema | None:
    """The schema of the calls that succeed; None where too few do or no two are alike.

    A member is known unless calls with it succeed in less than 5 %; it is required, or of one type, if
    99 % of the successful calls say so.
    """
    if shapes is None:
        return None
    uses: dict[str, list[Use]] = {}
    types: dict[str, dict[str, int]] = {}
    succeeded = sum(use.ok for use in shapes.values())
    if succeeded < LEARNED_OK_MIN:
        return None
    for shape, use in shapes.items():
        for name, member in _decoded(shape).items():
            uses.setdefault(name, []).append(use)
            kinds = types.setdefault(name, {})
            kinds[_class(member)] = kinds.get(_class(member), 0) + use.ok
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for name, seen in sorted(uses.items()):
        ok, traces = sum(use.ok for use in seen), sum(use.traces for use in seen)
        if ok >= OK_RATE_BAD * traces:
            properties[name] = _learned_type(types[name], ok)
            required += [name] if ok >= _ALWAYS * succeeded else []
    return {"properties": properties, "required": required}


def _learned_type(kinds: Mapping[str, int], ok: int) -> Schema:
    kind, most = max(kinds.items(), key=lambda item: (item[1], item[0]))
    sure = ok >= LEARNED_OK_MIN and most >= _ALWAYS * ok and kind in _CLASSES
    return {"type": kind} if sure else {}


def nearest(
    con: duckdb.DuckDBPyConnection,
    name: str,
    candidates: Iterable[str],
    similar_min: float = SIMILAR_MIN,
) -> str:
    """The candidate most like `name`, whatever its case and separators; "" if none is."""
    others = sorted({other for other in candidates if other != name})
    row = con.execute(_NEAREST, {"name": name, "names": others, "min": similar_min}).fetchone()
    return "" if row is None else str(row[0])


_NEAREST: Final = """
select other from (
  select other, jaro_winkler_similarity(
    regexp_replace(lower($name), '[^\\pL\\pN]', '', 'g'),
    regexp_replace(lower(other), '[^\\pL\\pN]', '', 'g')) as likeness
  from (select unnest($names::varchar[]) as other))
where likeness >= $min order by likeness desc, other limit 1
"""


def decoded(shape: str) -> Shape:
    """The shape in the text of a `frame_shape`."""
    return orjson.loads(shape)


def _decoded(shape: str) -> Mapping[str, Shape]:
    members = decoded(shape)
    return members if isinstance(members, dict) else {}


def _members(schema: Schema) -> Mapping[str, Any]:
    members = schema.get("properties")
    return members if isinstance(members, dict) else {}


def _class(shape: Shape) -> str:
    if isinstance(shape, dict):
        return "object"
    return "array" if isinstance(shape, list) else _NAMES.get(shape, "anything")


class _Check:
    """One walk along a schema and a shape."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._steps = 0

    def at(
        self, schema: Any, shape: Shape, path: str, depth: int, *, whole: bool = True
    ) -> Iterator[Violation]:
        """`whole`: nothing beside `schema` lists members of the same object."""
        self._steps += 1
        if not isinstance(schema, dict) or depth > _DEPTH_MAX or self._steps > _STEPS_MAX:
            return
        if shape == "JSON":  # elements of several types
            return
        reference = schema.get("$ref")
        if isinstance(reference, str):
            whole_there = whole and not _members(schema)
            target = self._target(reference)
            yield from self.at(target, shape, path, depth + 1, whole=whole_there)
        for part in _listed(schema, "allOf"):
            yield from self.at(part, shape, path, depth + 1, whole=False)
        for choice in ("anyOf", "oneOf"):
            yield from self._choice(_listed(schema, choice), shape, path, depth)
        expected = _types(schema)
        if expected and not any(_is(kind, shape) for kind in expected):
            yield Violation(Kind.TYPE, path or "arguments", " or ".join(sorted(expected)))
        elif isinstance(shape, dict):
            yield from self._object(schema, shape, path, depth, whole=whole)
        elif isinstance(shape, list) and shape and shape[0] != "NULL":  # NULL: no elements
            elements = self.at(schema.get("items"), shape[0], f"{path}[]", depth + 1)
            # The shapes of all elements are one: what each of them has cannot be told.
            yield from (v for v in elements if v.kind is not Kind.MISSING)

    def _object(
        self, schema: Schema, shape: Mapping[str, Shape], path: str, depth: int, *, whole: bool
    ) -> Iterator[Violation]:
        members = _members(schema)
        required = {name for name in _listed(schema, "required") if isinstance(name, str)}
        prefix = f"{path}." if path else ""
        for name in sorted(required - shape.keys()):
            yield Violation(Kind.MISSING, prefix + name)
        for name, member in shape.items():
            if name in members:
                if member != "NULL" or name in required:  # null stands for "not given"
                    yield from self.at(members[name], member, prefix + name, depth + 1)
            elif _is_closed(schema, whole=whole):
                yield Violation(Kind.UNKNOWN, prefix + name)

    def _choice(
        self, branches: Sequence[Any], shape: Shape, path: str, depth: int
    ) -> Iterator[Violation]:
        """The violations of the branch that comes closest."""
        tried = [list(self.at(branch, shape, path, depth + 1, whole=False)) for branch in branches]
        if tried and all(tried):
            yield from min(tried, key=lambda found: (len(found), sorted(found)))

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        if not reference.startswith("#"):
            return None
        for part in reference[1:].split("/")[1:_DEPTH_MAX]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found


def _listed(schema: Schema, key: str) -> Sequence[Any]:
    found = schema.get(key)
    return found[:200] if isinstance(found, list) else ()


def _types(schema: Schema) -> set[str]:
    """The types that a value may have; empty where any is fine, or one is unheard of."""
    stated = schema.get("type")
    kinds = stated if isinstance(stated, list) else [stated]
    expected = {kind.lower() for kind in kinds if isinstance(kind, str)}
    if not expected or not expected <= _CLASSES.keys():
        return set()
    return expected | ({"null"} if schema.get("nullable") is True else set())


def _is(kind: str, shape: Shape) -> bool:
    if isinstance(shape, dict):
        return kind == "object"
    if isinstance(shape, list):
        return kind == "array"
    return shape in _CLASSES[kind]


def _is_closed(schema: Schema, *, whole: bool) -> bool:
    """Whether a name that is not listed is unknown."""
    if "patternProperties" in schema:
        return False
    if "additionalProperties" in schema:
        return schema["additionalProperties"] is False
    return whole and bool(_members(schema)) and not any(key in schema for key in _COMBINED)
