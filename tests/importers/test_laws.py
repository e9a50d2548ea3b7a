"""Whatever JSON comes in, spans come out or it is said why not: nothing else."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.errors import BadRequest
from halo_otel.importers import fields, foreign
from halo_otel.importers.files import telemetry
from halo_otel.importers.formats import Part
from halo_otel.model.span import Span
from halo_otel.otlp.decode import decode_traces
from halo_otel.otlp.encode import json_line, requests
from halo_otel.otlp.jsonlines import spans_from_json_line
from tests.importers import exports

WHOLE = [
    *exports.HALO,
    exports.HALO_TRACE,
    *exports.LANGFUSE_V2,
    exports.LANGFUSE_TRACE,
    exports.LANGFUSE_BLOB,
    *exports.PHOENIX,
    *exports.phoenix_rows(),
    exports.PHOENIX_OTLP,
    exports.JAEGER,
    exports.JAEGER_STORED,
]


def names(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        return set(tree).union(*map(names, tree.values()))
    return set().union(*map(names, tree)) if isinstance(tree, list) else set()


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["2026-08-01T10:00:00Z", "b7ad6b7169203331", "{}", "[1]", '{"a":1}'])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(sorted(names(WHOLE))), inner, max_size=8)
    ),
    max_leaves=30,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A real export in which something stands that does not belong there."""
    tree = json.loads(json.dumps(draw(st.sampled_from(WHOLE))))
    for _ in range(draw(st.integers(1, 4))):
        holder = tree
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(holder[key], dict | list) and draw(st.booleans()):
                holder = holder[key]
                continue
            holder[key] = draw(trees)
            break
    return tree


def sound(span: Span) -> bool:
    return (
        len(bytes.fromhex(span.trace_id)) == 16
        and len(bytes.fromhex(span.span_id)) == 8
        and len(bytes.fromhex(span.parent_span_id)) in (0, 8)
        and 0 <= span.start_ns < 2**63
        and 0 <= span.end_ns < 2**63
    )


@given(trees | damaged())
def test_any_tree_gives_spans_or_says_why_not(tree: Any) -> None:
    contents = telemetry(Part(number=1, format="json", content=orjson.dumps(tree)))
    spans = [item for item in contents.items if isinstance(item, Span)]
    assert all(map(sound, spans))
    assert contents.verdict.usable or (contents.verdict.problems and not spans)


@given(damaged())
def test_what_is_read_can_be_sent_and_written(tree: Any) -> None:
    found = foreign.read(tree)
    spans = list(found.spans) if found else []
    sent = [span for request in requests(spans) for span in decode_traces(request)]
    assert sorted(map(str, sent)) == sorted(map(str, spans))
    assert sorted(map(str, spans_from_json_line(json_line(spans)))) == sorted(map(str, spans))


@given(
    st.datetimes(datetime.fromisoformat("1974-01-01"), datetime.fromisoformat("2200-01-01")),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from("T "),
)
def test_a_moment_is_the_same_in_every_zone_and_spelling(
    moment: datetime, away: int, between: str
) -> None:
    zone = timezone(timedelta(minutes=away))
    there = moment.replace(tzinfo=UTC).astimezone(zone)
    microseconds = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    for text in (there.isoformat(between), moment.isoformat(between), f"{moment.isoformat()}Z"):
        assert fields.time_ns(text, "time") == microseconds * 1000
    for count in (microseconds, microseconds * 1000):
        assert fields.time_ns(count, "time") == microseconds * 1000


@given(st.text(min_size=1).filter(lambda text: text.strip("0")))
def test_every_id_becomes_one_and_stays_it(text: str) -> None:
    found = fields.span_id(text)
    assert fields.span_id(found) == found == fields.span_id(text)
    assert len(fields.trace_id(text)) == 32


@pytest.mark.parametrize("value", [None, "", "0" * 16, 7, ["a"]])
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(BadRequest, match="no span id"):
        fields.span_id(value)


@pytest.mark.parametrize(
    "value", ["soon", "2026-13-01T00:00:00Z", "1960-01-01T00:00:00Z", True, -1, [], None, 2**64]
)
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(BadRequest, match="startTime: expected a time"):
        fields.time_ns(value, "startTime")
