"""Checks claims against the environment: `Verified`, or `Dropped` and why.

Each step asks the database again; nothing is taken from the model but its words. The order is that of
cost: names and spans, quotes, predicates, contrast, then the sentence (design §5).
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from halo_otel.analysis.causality.inference import risk_ratio
from halo_otel.errors import BadQuery, NotFound
from halo_otel.recursion.claims import figures
from halo_otel.recursion.claims.claim import (
    QUOTE_CHARS_MIN,
    Asked,
    Claim,
    Contrasted,
    Dropped,
    Predicate,
    Quote,
    Reason,
    Verified,
)
from halo_otel.recursion.claims.figures import Count
from halo_otel.recursion.environment.arguments import TraceSet
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.tools.span import facts_of, text_of

TRACES_MAX: Final = 20_000  # that a contrast's query may name
_ID_BYTES: Final = 40  # of a row with one trace id
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")

CAUSAL: Final = re.compile(
    r"(?i)\b(caus(e|es|ed|ing|al|ally)|because|due to|owing to|thanks to|lead(s|ing)? to|led to"
    r"|result(s|ed|ing)? (in|from)|as a (result|consequence)|therefore|thus|hence|consequently|so that"
    r"|trigger(s|ed|ing)?|root cause|reason (for|is|why)|responsible for|explains? why|forc(es|ed|ing)"
    r"|prevent(s|ed|ing)?|stems? from|arises? from|makes? \w+ fail|brings? about|induc(es|ed|ing)"
    r"|produc(es|ed|ing)|driv(es|en) by|give(s)? rise|contributes? to|attributable to|blame)\b"
)
# A stranger's text may have the model send the reader somewhere, or have a command run.
_ADDRESS: Final = re.compile(
    r"(?i)\w://|\bwww\.|\b(javascript|data|mailto):|[\w.+-]+@[\w-]+\.\w|\|\s*(ba|z)?sh\b"
    r"|\b(curl|wget|powershell|iwr|sudo|eval|base64)\b"
)
_RUNS: Final = r"\b(runs?|traces?|conversations?|sessions?|tasks?|requests?)\b"
_FAILED: Final = r"\b(fail(s|ed|ing|ures?)?|unsuccessful|broken|bad)\b"
_PASSED: Final = (
    r"\b(pass(es|ed|ing)?|succe(ed|eds|eded|eding|ss|sses|ssful)|good|healthy|others?)\b"
)
_SUBJECT: Final = """
select count(*) from spans
where ($service::varchar is null or service = $service) and ($agent::varchar is null or agent = $agent)
  and ($tool::varchar is null or tool = $tool) and ($model::varchar is null or model = $model)
"""
_EDGE: Final = "select 1 from edges where trace_id = ? and kind = ? and from_id = ? and to_id = ?"
_SPAN: Final = "select 1 from spans where trace_id = ? and span_id = ?"
_NAMES: Final = """
select distinct unnest([service, agent, tool, model]) as name from spans
union select distinct unnest(given::json::map(varchar, varchar).map_values()) from traces where json_valid(given)
union select fingerprint from findings
"""


class _Fails(Exception):
    """A step that found the claim wanting."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why


def verify(claim: Claim, environment: Environment) -> Verified | Dropped:
    """Whether `claim` holds in the environment."""
    try:
        _subject(claim, environment)
        _spans(claim, environment)
        _code(claim, environment)
        values = tuple(_predicate(one, environment) for one in claim.predicates)
        contrast, traces = _contrast(claim, environment)
        _edge(claim, environment)
        _sentences(claim, environment, values, contrast)
    except _Fails as failed:
        return Dropped(reason=failed.reason, why=failed.why[:600], claim=claim)
    return Verified(claim=claim, values=values, contrast=contrast, traces=traces)


def _subject(claim: Claim, environment: Environment) -> None:
    ((spans,),) = environment.rows(_SUBJECT, claim.subject.model_dump())
    if not spans:
        raise _Fails(Reason.SUBJECT_UNKNOWN, "no span of the window has this subject: see overview")


def _spans(claim: Claim, environment: Environment) -> None:
    cited = {(one.trace_id, one.span_id) for one in claim.spans}
    for trace_id, span_id in sorted(cited):
        if not environment.rows(_SPAN, [trace_id, span_id]):
            raise _Fails(Reason.SPAN_UNKNOWN, f"there is no span {span_id} in trace {trace_id}")
    supported: set[tuple[str, str]] = set()
    if claim.edge is not None:
        edge = claim.edge
        supported = {(edge.trace_id, edge.from_span), (edge.trace_id, edge.to_span)}
    for quote in claim.quotes:
        _quote(quote, environment)
        supported.add((quote.trace_id, quote.span_id))
    for trace_id, span_id in sorted(cited - supported):
        why = f"nothing shows what span {span_id} of trace {trace_id} has to do with it: quote it"
        raise _Fails(Reason.SPAN_UNSUPPORTED, why)


def _quote(quote: Quote, environment: Environment) -> None:
    """It stands in the text, both as it is shown and as it was recorded: what redaction put there is said by
    no trace."""
    facts = facts_of(environment, quote.trace_id, quote.span_id)
    where = f"{quote.field} of span {quote.span_id} in trace {quote.trace_id}"
    if facts is None:
        raise _Fails(Reason.SPAN_UNKNOWN, f"there is no span {quote.span_id} in {quote.trace_id}")
    wanted = plain(quote.text)
    if quote.field == "name":
        shown = facts["name"]
    else:
        shown = text_of(environment, facts, quote.field)
    recorded = environment.recorded(quote.trace_id, quote.span_id).get(quote.field, "")
    texts = plain(shown or ""), plain(recorded)
    if not wanted or not all(wanted in text for text in texts):
        raise _Fails(Reason.QUOTE_NOT_FOUND, f"{where} does not say {quote.text[:80]!r}: copy it")
    if len(wanted) < QUOTE_CHARS_MIN and wanted not in texts:
        raise _Fails(Reason.QUOTE_TOO_SHORT, f"quote more of {where} than {wanted!r}")


def _code(claim: Claim, environment: Environment) -> None:
    """Each citation stands in its line, both as it is shown and as it is."""
    for cited in claim.code:
        where = f"{cited.path[:200]}:{cited.line}"
        try:
            lines = environment.code.lines(cited.path) if environment.code else []
        except NotFound as error:
            raise _Fails(Reason.CODE_NOT_FOUND, str(error)) from error
        line = lines[cited.line - 1] if cited.line <= len(lines) else ""
        wanted = plain(cited.text)
        if not wanted or any(wanted not in plain(each) for each in (line, environment.shown(line))):
            why = f"{where} does not say {cited.text[:80]!r}: read it and copy it"
            raise _Fails(Reason.CODE_NOT_FOUND, why)


def unfounded(quote: Quote, environment: Environment) -> Dropped | None:
    """Why `quote` does not stand where it is said to stand; None if it does."""
    try:
        _quote(quote, environment)
    except _Fails as failed:
        return Dropped(reason=failed.reason, why=failed.why[:600])
    return None


def plain(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())


def _predicate(predicate: Predicate, environment: Environment) -> int | float | str:
    value: int | float | str | None = _value(predicate, environment, empty=False)
    if value is None:
        why = "the predicate must give one value in one row and column, and not NULL"
        raise _Fails(Reason.PREDICATE_NO_VALUE, why)
    if not holds(value, predicate):
        told = f"the predicate gives {str(value)[:60]}, not {predicate.comparison} {predicate.expected!r}"
        raise _Fails(Reason.PREDICATE_FALSE, told)
    nothing = _value(predicate, environment, empty=True)
    if nothing is not None and holds(nothing, predicate):
        why = "the predicate would also hold of an empty window, so it says nothing: count what there is"
        raise _Fails(Reason.PREDICATE_VACUOUS, why)
    return value


def value_of(predicate: Predicate, environment: Environment) -> int | float | str | None:
    """What the predicate gives; None if that is not one value."""
    try:
        value: int | float | str | None = _value(predicate, environment, empty=False)
    except _Fails:
        return None
    return value


def _value(predicate: Predicate, environment: Environment, *, empty: bool) -> Any:
    """The one value; None if there is none."""
    try:
        answer = environment.database.ask(predicate.sql, predicate.parameters, rows=2, empty=empty)
    except BadQuery as error:
        if empty:
            return None
        raise _Fails(Reason.PREDICATE_REFUSED, str(error)) from error
    if len(answer.rows) != 1 or len(answer.columns) != 1:
        return None
    (value,) = answer.rows[0]
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float | str) else None


def holds(value: int | float | str, predicate: Predicate) -> bool:
    """Whether `value` is as expected; an expected fraction as exact as it is written."""
    expected = predicate.expected
    if isinstance(value, str) or isinstance(expected, str):
        return predicate.comparison == "=" and value == expected
    if predicate.comparison == "=":
        if isinstance(expected, int):
            return math.isclose(value, expected, rel_tol=1e-12)
        decimals = len(repr(expected).partition(".")[2]) if "e" not in repr(expected) else 12
        return math.isclose(round(value, decimals), expected, rel_tol=1e-12, abs_tol=1e-12)
    return {
        ">=": value >= expected,
        "<=": value <= expected,
        ">": value > expected,
        "<": value < expected,
    }[predicate.comparison]


def _contrast(claim: Claim, environment: Environment) -> tuple[Contrasted | None, tuple[str, ...]]:
    """How much commoner it is in failed traces of the subject, and the traces that show it."""
    if claim.contrast is None:
        return None, tuple(sorted({one.trace_id for one in claim.spans}))
    shown = _showing(claim.contrast, environment)
    about = TraceSet.model_validate(
        {"service": claim.subject.service, "agent": claim.subject.agent}
    )
    among = set(environment.among(about))
    compared = [one for one in environment.judgements if one.trace_id in among]
    failed = [one.trace_id in shown for one in compared if one.failed is True]
    passed = [one.trace_id in shown for one in compared if one.failed is False]
    rates = [sum(each) / len(each) if each else None for each in (failed, passed)]
    if rates[0] is None or rates[1] is None or rates[0] <= rates[1]:
        why = (
            f"it shows in {sum(failed)} of {len(failed)} failed and {sum(passed)} of {len(passed)}"
            " passed traces: that is no contrast"
        )
        raise _Fails(Reason.CONTRAST_ABSENT, why)
    found = Contrasted(
        failed_shown=sum(failed),
        failed=len(failed),
        passed_shown=sum(passed),
        passed=len(passed),
        ratio=risk_ratio(sum(failed), len(failed), sum(passed), len(passed)),
    )
    return found, tuple(sorted(shown))


def _showing(asked: Asked, environment: Environment) -> set[str]:
    inner = asked.sql.rstrip().rstrip(";")
    wrapped = f"select trace_id from traces where trace_id in (\n{inner}\n)"  # noqa: S608 it is admitted
    try:
        environment.database.ask(asked.sql, asked.parameters, rows=1)  # alone it is one SELECT, too
        answer = environment.database.ask(
            wrapped, asked.parameters, rows=TRACES_MAX, bytes_max=TRACES_MAX * _ID_BYTES
        )
    except BadQuery as error:
        raise _Fails(Reason.CONTRAST_REFUSED, str(error)) from error
    return {trace_id for (trace_id,) in answer.rows}


def _edge(claim: Claim, environment: Environment) -> None:
    said = CAUSAL.search(claim.statement) or CAUSAL.search(claim.recommendation)
    if claim.edge is None:
        if claim.causal or said:
            word = f" ({said[0]!r})" if said else ""
            why = f"it speaks of a cause{word}: name an edge that path shows, or say what is seen only"
            raise _Fails(Reason.CAUSE_WITHOUT_EDGE, why)
        return
    edge = claim.edge
    cited = {(one.trace_id, one.span_id) for one in claim.spans}
    ends = {(edge.trace_id, edge.from_span), (edge.trace_id, edge.to_span)}
    wanted = [edge.trace_id, edge.kind, edge.from_span, edge.to_span]
    if not ends <= cited or not environment.rows(_EDGE, wanted):
        why = f"there is no {edge.kind} edge from {edge.from_span} to {edge.to_span} between cited spans"
        raise _Fails(Reason.EDGE_UNKNOWN, why)


def _sentences(
    claim: Claim,
    environment: Environment,
    values: tuple[int | float | str, ...],
    contrast: Contrasted | None,
) -> None:
    for sentence in (claim.statement, claim.recommendation):
        if (found := _ADDRESS.search(sentence)) is not None:
            why = f"{found[0]!r}: name no address and no command, say what to change"
            raise _Fails(Reason.ADDRESS, why)
    known = figures.Known(
        main=values[0],
        values=values,
        counts=tuple(_counts(environment, contrast)),
        shares=() if contrast is None else tuple(_shares(contrast)),
        limits=frozenset(_limits(claim)),
        quoted=" \n ".join(plain(text) for text in _texts(claim)),
        names=frozenset(_names(claim, environment)),
    )
    if (figure := figures.unverified(claim.statement, known)) is not None:
        why = f"{figure!r} in the statement is no value of its predicates, the window or a quote"
        raise _Fails(Reason.FIGURE_UNVERIFIED, why)
    for sentence in (claim.statement, claim.recommendation):
        if (name := figures.unknown_name(sentence, known)) is not None:
            why = f"{name[:80]!r} is no name of the window and stands in none of the quotes"
            raise _Fails(Reason.NAME_UNVERIFIED, why)


def _counts(environment: Environment, contrast: Contrasted | None) -> Iterator[Count]:
    """Counts that everybody may state: the window's, and the contrast's."""
    ended = [one.failed for one in environment.judgements]
    yield Count(len(ended), _RUNS)
    yield Count(ended.count(True), _FAILED)
    yield Count(ended.count(False), _PASSED)
    yield Count(ended.count(None), r"\b(unknown|unclear|undecided)\b")
    yield Count(len(environment.report.window.services), r"\bservices?\b")
    yield Count(environment.rows("select count(*) from spans")[0][0], r"\bspans?\b")
    if contrast is not None:
        yield from (Count(n, _FAILED) for n in (contrast.failed_shown, contrast.failed))
        yield from (Count(n, _PASSED) for n in (contrast.passed_shown, contrast.passed))


def _shares(contrast: Contrasted) -> Iterator[Count]:
    yield Count(contrast.failed_shown / contrast.failed, _FAILED)
    yield Count(contrast.passed_shown / contrast.passed, _PASSED)


def _limits(claim: Claim) -> Iterator[float]:
    """Numbers that predicates are made with."""
    for one in claim.predicates:
        yield from (float(found) for found in _NUMBER.findall(one.sql))
        yield from (float(p) for p in one.parameters if isinstance(p, int | float))
        if one.comparison != "=" and not isinstance(one.expected, str):
            yield float(one.expected)


def _texts(claim: Claim) -> Iterator[str]:
    """What was found to the letter, in traces and in code."""
    yield from (quote.text for quote in claim.quotes)
    yield from (cited.text for cited in claim.code)


def _names(claim: Claim, environment: Environment) -> Iterator[str]:
    yield from (name for (name,) in environment.rows(_NAMES) if name)
    for cited in claim.spans:
        yield from (cited.trace_id, cited.span_id)
    for line in claim.code:
        place = f"{line.path}:{line.line}"
        yield from (line.path, place, *figures.names(line.path), *figures.names(place))
