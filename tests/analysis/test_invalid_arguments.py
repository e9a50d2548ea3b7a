"""Calls whose arguments are not what the tool takes."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from halo_otel.analysis.usual import tooluse
from halo_otel.analysis.usual.tooluse import SHAPES_MAX, Tool, ToolUse, Use
from halo_otel.analysis.wrongcalls import complaints, schemas
from halo_otel.analysis.wrongcalls.schemas import Kind
from halo_otel.model.finding import Finding, Severity
from halo_otel.window.single import SingleWindow
from halo_otel.window.view import View
from tests.analysis.conftest import Row, Run, Traffic, findings_in, one_each

DEFINITIONS = json.dumps(
    [
        {
            "type": "function",
            "name": "book",
            "description": "books",
            "parameters": {
                "type": "object",
                "properties": {
                    "order_id": {"type": "string"},
                    "seats": {"type": "integer"},
                    "cabin": {"type": "string", "enum": ["economy", "business"]},
                    "note": {"type": "string"},
                },
                "required": ["order_id"],
            },
        },
        {"type": "function", "name": "search", "parameters": {"type": "object", "properties": {}}},
    ]
)
OFFER: Row = {"tool_definitions": DEFINITIONS}
REFUSED = "ValidationError: 1 validation error for book"


def invalid(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "invalid_arguments")


def alarming(traffic: Traffic) -> list[Finding]:
    return [one for one in invalid(traffic) if one.severity is not Severity.INFO]


def good(traffic: Traffic, count: int = 60, *, offer: bool = False) -> None:
    for number in range(count):
        arguments = {"order_id": f"o{number}", "seats": number, "cabin": "economy"}
        ask(traffic.run(), arguments, offer=offer).turn()


def ask(
    run: Run,
    arguments: dict[str, Any],
    *,
    offer: bool = False,
    error: str | None = None,
    tool: str = "book",
) -> Run:
    return run.call(
        tool, arguments, None if error else "booked", error=error, asking=OFFER if offer else None
    )


def bad(
    traffic: Traffic,
    arguments: dict[str, Any],
    *,
    count: int = 6,
    offer: bool = False,
    error: str | None = REFUSED,
) -> None:
    for number in range(count):
        given_ = {**arguments, "order_id": f"b{number}"} if "order_id" in arguments else arguments
        ask(traffic.run(outcome=error is None), given_, offer=offer, error=error).turn()


def test_a_misspelt_name_is_told_with_the_right_one(traffic: Traffic) -> None:
    for offer in traffic.each([True, False]):
        good(traffic, offer=offer)
        bad(traffic, {"orderid": "o1", "seats": 2}, offer=offer)
    for _, finding in one_each(traffic, invalid(traffic)):
        assert finding.severity is not Severity.INFO
        assert dict(finding.subject.attributes) == {"argument": "orderid"}
        assert finding.subject.tool == "book"
        assert '"order_id"' in finding.recommendation
        assert finding.impact.traces_affected == 6


def test_a_missing_argument_is_told_when_the_tool_asks_for_it(traffic: Traffic) -> None:
    given = {"seats": 2, "cabin": "economy"}
    for offer in traffic.each([True, False]):
        good(traffic, offer=offer)
        bad(traffic, given, offer=offer, error="order_id: Field required")
    for _, finding in one_each(traffic, alarming(traffic)):
        assert '"order_id"' in finding.title


def test_a_wrong_type_is_told(traffic: Traffic) -> None:
    for offer in traffic.each([True, False]):
        good(traffic, offer=offer)
        bad(
            traffic,
            {"order_id": "", "seats": "two", "cabin": "economy"},
            offer=offer,
            error="seats: Input should be a valid integer",
        )
    for _, finding in one_each(traffic, alarming(traffic)):
        assert dict(finding.subject.attributes) == {"argument": "seats"}
        assert "type" in finding.title


def test_a_value_that_is_not_allowed_is_told_with_the_nearest(traffic: Traffic) -> None:
    good(traffic, offer=True)
    error = "cabin must be one of economy, business; 'Economi' is not allowed"
    bad(traffic, {"order_id": "", "cabin": "Economi"}, offer=True, error=error)
    (finding,) = alarming(traffic)
    assert '"economy"' in finding.recommendation


def test_a_refused_value_is_read_from_the_error(traffic: Traffic) -> None:
    good(traffic)
    error = "cabin: Input should be 'economy' or 'business'"
    bad(traffic, {"order_id": "", "cabin": "all"}, error=error)
    (finding,) = alarming(traffic)
    assert dict(finding.subject.attributes) == {"argument": "cabin"}


def test_an_unexpected_keyword_is_read_from_the_error(traffic: Traffic) -> None:
    """A page-down tool that takes nothing, called with a page, over many traces."""
    for number in range(40):
        run = traffic.run()
        if number % 4 == 0:
            error = "TypeError: PageDownTool.forward() got an unexpected keyword argument 'page'"
            run.call("page_down", {"page": number}, None, error=error)
        run.call("page_down", {}, f"page {number}").turn()
    (finding,) = invalid(traffic)
    assert dict(finding.subject.attributes) == {"argument": "page"}


def test_what_the_tool_takes_all_the_same_is_information(traffic: Traffic) -> None:
    good(traffic, offer=True)
    bad(
        traffic,
        {"order_id": "", "seats": "2"},
        count=15,
        offer=True,
        error=None,
    )
    (finding,) = invalid(traffic)
    assert finding.severity is Severity.INFO
    assert "takes it" in finding.title


# Traffic that a healthy system makes.


def test_a_backend_that_fails_blames_no_argument(traffic: Traffic) -> None:
    good(traffic, offer=True)
    bad(traffic, {"order_id": "", "seats": 3, "cabin": "economy"}, offer=True, error="HTTP 503")
    assert not invalid(traffic)


def test_a_region_whose_backend_is_down_is_no_wrong_argument(traffic: Traffic) -> None:
    """All calls with `region` fail, for the region is down; no other name is like it."""
    good(traffic)
    bad(traffic, {"order_id": "", "seats": 3, "cabin": "economy", "region": "eu"}, error="HTTP 503")
    assert not invalid(traffic)


def test_optional_arguments_may_be_left_out_or_null(traffic: Traffic) -> None:
    good(traffic, offer=True)
    bad(traffic, {"order_id": ""}, offer=True, error=None)
    bad(traffic, {"order_id": "", "note": None}, offer=True, error=None)
    bad(traffic, {"order_id": ""}, offer=True, error="connection reset")
    assert not invalid(traffic)


def test_rare_but_working_arguments_are_right(traffic: Traffic) -> None:
    good(traffic, 100)
    bad(traffic, {"order_id": "", "notes": "x"}, error=None)
    assert not invalid(traffic)


def test_a_recorder_that_wraps_arguments_breaks_no_schema(traffic: Traffic) -> None:
    for number in range(60):
        error = "HTTP 503" if number % 9 == 0 else None
        wrapped = {"args": [], "kwargs": {"order_id": f"o{number}"}}
        ask(traffic.run(outcome=error is None), wrapped, offer=True, error=error).turn()
    assert not alarming(traffic)


def test_an_interpreter_reports_the_errors_of_the_code_it_runs(traffic: Traffic) -> None:
    error = "TypeError: load() missing 1 required positional argument: 'path'"
    for number in range(60):
        run = traffic.run()
        failing = number % 5 == 0
        run.call("run_python", {"code": f"x{number}"}, "1", error=error if failing else None)
        run.call("run_python", {"code": f"y{number}"}, "2").turn()
    assert not invalid(traffic)


def test_a_backend_that_wants_a_field_the_tool_does_not_have(traffic: Traffic) -> None:
    good(traffic, offer=True)
    bad(traffic, {"order_id": "", "seats": 1}, offer=True, error="400: field 'email' is required")
    assert not invalid(traffic)


def test_arguments_that_are_a_map_have_no_schema(traffic: Traffic) -> None:
    for number in range(SHAPES_MAX + 50):
        failing = number % 10 == 0
        run = traffic.run(outcome=not failing)
        error = "validation failed: invalid value" if failing else None
        run.call("put", {f"key_{number}": number, "keyword": 1}, "ok", error=error).turn()
    assert not invalid(traffic)


def test_without_arguments_nothing_is_claimed(traffic: Traffic) -> None:
    good(traffic)
    for _ in range(6):
        traffic.run(outcome=False).call("book", None, None, error=REFUSED).turn()
    assert not invalid(traffic)


# What errors say.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("f() got an unexpected keyword argument 'x'", (Kind.UNKNOWN, "x")),
        (
            "Additional properties are not allowed ('x' was unexpected)",
            (Kind.UNKNOWN, "x"),
        ),
        ("Unrecognized key(s) in object: 'x'", (Kind.UNKNOWN, "x")),
        (
            "1 validation error for f\nx\n  Extra inputs are not permitted [type=extra_forbidden]",
            (Kind.UNKNOWN, "x"),
        ),
        ("Unknown parameter: x", (Kind.UNKNOWN, "x")),
        ("f() missing 1 required positional argument: 'x'", (Kind.MISSING, "x")),
        ("'x' is a required property", (Kind.MISSING, "x")),
        ("data must have required property 'x'", (Kind.MISSING, "x")),
        ("1 validation error for f\nx\n  Field required [type=missing]", (Kind.MISSING, "x")),
        ("The required parameter `x` is missing", (Kind.MISSING, "x")),
        ("missing required argument x", (Kind.MISSING, "x")),
        ("1 validation error for f\nx\n  Input should be 'a' or 'b' [type=enum]", (Kind.ENUM, "x")),
        ("x: Input should be a valid integer", (Kind.TYPE, "x")),
        ("x: 'auto' is not one of ['a', 'b']", (Kind.ENUM, "x")),
        ("x: '5' is not of type 'integer'", (Kind.TYPE, "x")),
    ],
)
def test_errors_name_the_argument(text: str, said: tuple[Kind, str]) -> None:
    assert said in [(kind, name) for kind, name, _ in complaints.stated(text)]


@pytest.mark.parametrize("text", ["HTTP 503", "no such user", "connection refused", ""])
def test_other_errors_name_none(text: str) -> None:
    assert not list(complaints.stated(text))


@given(st.text(max_size=1000), st.text(max_size=30))
def test_any_text_can_be_read(text: str, name: str) -> None:
    for _, argument, meant in complaints.stated(text):
        assert argument in text
        assert meant in text
    if complaints.names(text, name):
        assert complaints.about_arguments(text)
    complaints.missing_tool(text)


# Schemas: what is called wrong here is wrong for a full validator.

_SCALARS = st.sampled_from(["string", "integer", "number", "boolean", "null"])


def _schemas(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from("abc")
    closed = st.fixed_dictionaries(
        {
            "type": st.just("object"),
            "properties": st.dictionaries(names, children, max_size=3),
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": st.booleans(),
        }
    )
    return st.one_of(
        closed,
        st.builds(lambda items: {"type": "array", "items": items}, children),
        st.builds(lambda some: {"anyOf": some}, st.lists(children, min_size=1, max_size=3)),
        st.builds(lambda some: {"allOf": some}, st.lists(children, min_size=1, max_size=2)),
        st.just({"$ref": "#/$defs/d"}),
    )


SCHEMAS = st.recursive(
    st.one_of(
        st.builds(lambda kind: {"type": kind}, _SCALARS),
        st.builds(
            lambda kinds: {"type": kinds}, st.lists(_SCALARS, min_size=1, max_size=2, unique=True)
        ),
        st.just({}),
    ),
    _schemas,
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(
        st.text(max_size=3),
        st.integers(-5, 5),
        st.sampled_from([0.5, -1.25]),
        st.booleans(),
    ),
    lambda children: st.one_of(
        st.dictionaries(st.sampled_from("abcd"), children, max_size=3),
        st.lists(children, max_size=2),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def view() -> Iterator[View]:
    with SingleWindow() as window, window.view() as view:
        yield view


@settings(deadline=None)
@given(SCHEMAS, SCHEMAS, st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4))
def test_what_breaks_a_schema_here_breaks_it_for_a_validator(
    view: View, schema: dict[str, Any], shared: dict[str, Any], arguments: dict[str, Any]
) -> None:
    root = {"properties": {"a": schema}, "additionalProperties": True, "$defs": {"d": shared}}
    assume('"$ref"' not in json.dumps(shared))  # a loop of references is no schema
    row = view.con.execute("select json_structure($text)", {"text": json.dumps(arguments)})
    (shape,) = row.fetchone() or ("",)
    found = schemas.violations(root, schemas.decoded(shape))
    valid = jsonschema.Draft202012Validator(root).is_valid(arguments)
    assert valid is False or not found


@given(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text()),
        lambda c: st.one_of(
            st.lists(c, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "properties",
                        "required",
                        "items",
                        "anyOf",
                        "allOf",
                        "$ref",
                        "enum",
                        "additionalProperties",
                        "nullable",
                        "a",
                    ]
                ),
                c,
                max_size=4,
            ),
        ),
        max_leaves=15,
    )
)
def test_no_schema_is_too_odd(schema: Any) -> None:
    if isinstance(schema, dict):
        schemas.violations(schema, {"a": {"a": ["VARCHAR"]}, "b": "NULL"})
        schemas.allowed(schema)
        schemas.names(schema)


def test_a_schema_that_refers_to_itself_ends() -> None:
    assert schemas.violations({"anyOf": [{"$ref": "#"}] * 200}, {"a": "VARCHAR"}) == []
    remote = {"properties": {"a": {"$ref": "https://schemas.example/a.json"}}}
    assert schemas.violations(remote, {"a": "VARCHAR"}) == []


# What is learned.

_USES = st.dictionaries(
    st.sampled_from(['{"a":"VARCHAR"}', '{"b":"UBIGINT"}', '"JSON"']),
    st.builds(lambda ok, bad: Use(ok + bad, ok), st.integers(0, 9), st.integers(0, 9)),
)
_LEARNED = st.dictionaries(
    st.builds(Tool, st.just("shop"), st.sampled_from(["x", "y"])),
    st.builds(lambda calls, shapes: ToolUse(calls=calls, shapes=shapes), st.just(Use(3, 1)), _USES),
)


@given(st.lists(_LEARNED, max_size=4), st.randoms())
def test_what_is_learned_adds_up_in_any_order(
    parts: list[dict[Tool, ToolUse]], random: Any
) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)
    pairs = tooluse.merge([tooluse.merge(parts[:1]), tooluse.merge(parts[1:])])
    assert tooluse.merge(parts) == tooluse.merge(shuffled) == pairs


def test_too_many_shapes_stay_too_many() -> None:
    tool = Tool("shop", "put")
    many = {f'{{"k{n}":"VARCHAR"}}': Use(1, 1) for n in range(SHAPES_MAX + 1)}
    half, rest = dict(list(many.items())[:200]), dict(list(many.items())[200:])
    whole = tooluse.merge([{tool: ToolUse(shapes=half)}, {tool: ToolUse(shapes=rest)}])
    assert whole[tool].shapes is None
    assert tooluse.merge([whole, {tool: ToolUse(shapes=half)}])[tool].shapes is None
