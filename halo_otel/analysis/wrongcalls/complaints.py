"""What error texts say about the arguments and the names of calls.

The words are those of Python, Pydantic, jsonschema, Ajv, Zod, MCP servers and agent frameworks. Texts come
from strangers and are short (`frame_span.error_text`); every expression is without nested repetition.
"""

import re
from collections.abc import Iterator
from typing import Final

from halo_otel.analysis.wrongcalls.schemas import Kind

_NAME: Final = r"[`'\"]?([A-Za-z_][\w.-]{0,63})"
_NOUN: Final = r"(?:keyword argument|argument|parameter|param|field|property|input|key|option)s?"

# RE2, for the few failed calls that are worth reading.
PREFILTER: Final = (
    r"(?i)unexpected keyword|additional propert|unrecogni[sz]ed|not permitted|missing|required|requires"
    r"|input should be|is not (one of|of type)|(unknown|unexpected|unsupported|invalid) (argument|parameter|param|field|property|key|option|input)"
)
_UNKNOWN: Final = tuple(
    re.compile(expression, re.IGNORECASE)
    for expression in (
        rf"unexpected keyword argument:? {_NAME}",
        r"Additional properties are not allowed \('([^']{1,64})'",
        r"Unrecognized key(?:\(s\)|s)? in object: '([^']{1,64})'",
        r"Unrecognized key: \"([^\"]{1,64})\"",
        r"([\w.-]{1,64})\s*\n\s+(?:Extra inputs are not permitted|Unexpected keyword argument)",
        rf"(?:unknown|unexpected|unrecogni[sz]ed|unsupported|invalid) {_NOUN}(?: name)?:? {_NAME}",
        rf"{_NOUN} {_NAME}[`'\"]? (?:is|was) (?:unknown|unexpected|not (?:allowed|recogni[sz]ed|supported|permitted))",
    )
)
_MISSING: Final = tuple(
    re.compile(expression, re.IGNORECASE)
    for expression in (
        r"missing \d+ required (?:positional|keyword-only) arguments?: '([^']{1,64})'",
        r"'([^']{1,64})' is a required property",
        r"must have required property '([^']{1,64})'",
        r"([\w.-]{1,64})\s*\n\s+(?:Field required|Missing required)",
        rf"(?:missing|requires|required)(?: required)? {_NOUN}:? {_NAME}",
        rf"{_NOUN} {_NAME}[`'\"]? (?:is (?:missing|required)|was not provided)",
        r"[`'\"]([\w.-]{1,64})[`'\"] is (?:missing|required)",
    )
)
# Pydantic and jsonschema: the member, then what it should be; a type, or a list of values.
_SHOULD_BE: Final = re.compile(
    r"([A-Za-z_][\w.-]{0,63})\s{0,4}[:\n]\s{0,4}"
    r"(?:Input should be (?:a valid (\w{1,20})|('[^\n\[]{1,100}))"
    r"|'[^'\n]{0,100}' is not (?:of type '(\w{1,20})'|one of (\[[^\]\n]{1,100}\])))",
    re.IGNORECASE,
)
_ABOUT_ARGUMENTS: Final = re.compile(
    r"validation|\brequired\b|\bmissing\b|invalid[ _-]?(?:arg|param|input|type|value|request|field|schema)"
    r"|(?:unexpected|unknown|unrecogni[sz]ed|unsupported|extra|additional) "
    r"(?:keyword|arg|param|propert|field|key|input|option|value)"
    r"|not (?:of type|one of|allowed|permitted|a valid|valid)|must (?:be|have|not)|should be"
    r"|\bexpected\b|schema|TypeError|bad request|unprocessable|-32602|\b4(?:00|22)\b",
    re.IGNORECASE,
)


def about_arguments(text: str) -> bool:
    """Whether an error is about what a call was made with."""
    return _ABOUT_ARGUMENTS.search(text) is not None


def names(text: str, argument: str, value: str = "") -> bool:
    """Whether an error is about what a call was made with and names this argument, or its value."""
    if not about_arguments(text):
        return False
    last = argument.rsplit(".", 1)[-1].removesuffix("[]")
    said = (last, value) if len(value) > 1 else (last,)
    return any(
        re.search(rf"(?<!\w){re.escape(one[:200])}(?!\w)", text, re.IGNORECASE)
        for one in said
        if one
    )


def stated(text: str) -> Iterator[tuple[Kind, str, str]]:
    """The arguments that an error says are wrong, how, and what they should be if it says so."""
    for kind, expressions in ((Kind.UNKNOWN, _UNKNOWN), (Kind.MISSING, _MISSING)):
        for expression in expressions:
            for found in expression.finditer(text):
                yield kind, found[1].rstrip(".-"), ""
    for found in _SHOULD_BE.finditer(text):
        kind = Kind.TYPE if found[2] or found[4] else Kind.ENUM
        yield kind, found[1], (found[2] or found[4] or found[3] or found[5]).strip()


_TOOL: Final = r"[`'\"]?([A-Za-z_][\w./:-]{0,127})[`'\"]?"
_ABSENT: Final = (
    r"(?:is not|isn't|was not|not|does not|doesn't|don't|do not|could not be)"
    r" (?:found|exists?|available|registered|known|recogni[sz]ed|be found|defined|a valid tool)"
)
# LangChain and LangGraph, OpenAI Agents, Pydantic AI, Vercel AI, MCP's specification and SDKs, Claude Code,
# CrewAI, AutoGen, Google ADK, LlamaIndex.
_NO_TOOL: Final = tuple(
    re.compile(expression, re.IGNORECASE)
    for expression in (
        rf"(?:unknown|unavailable|unregistered|nonexistent|no such) (?:tool|function)(?: name| available| call)?:? {_TOOL}",
        rf"\b(?:tool|function|action) (?:with name |named )?{_TOOL} {_ABSENT}",
        rf"{_TOOL} is not a valid tool",
        rf"{_TOOL} (?:is )?not found in (?:any workbench|agent|the tools_dict|the tool registry)",
    )
)
_NO_SUCH_TOOL: Final = re.compile(
    r"\b(?:unknown|no such|unregistered|nonexistent) tool\b|\btool (?:was |is )?not (?:found|registered)\b"
    r"|\btool does(?: not|n't) exist\b|\bnosuchtool",
    re.IGNORECASE,
)
NO_TOOL_PREFILTER: Final = (
    r"(?i)(unknown|unavailable|unregistered|nonexistent|no such) (tool|function)|not a valid tool|nosuchtool"
    r"|(tool|function|action)\b.{0,150}(not|n't) (be )?(found|exist|available|registered|known|recogni|defined)"
    r"|not found in (any workbench|agent|the tool)"
)
_BACKEND: Final = re.compile(
    r"time[d ]?-?out|connection|unreachable|refused|rate.?limit|unavailable|overloaded|\b(?:429|5\d\d)\b"
    r"|permission|denied|unauthori[sz]ed|forbidden|quota",
    re.IGNORECASE,
)


def missing_tool(text: str) -> str | None:
    """The tool that an error says there is not; "" if it does not name it, None if it says no such thing."""
    for expression in _NO_TOOL:
        if (found := expression.search(text)) and found[1].lower() not in _FILLERS:
            return found[1].rstrip(".:/-")
    return "" if _NO_SUCH_TOOL.search(text) else None


_FILLERS: Final = frozenset({"is", "was", "not", "name", "call", "does", "the", "in", "for"})


def of_backend(text: str) -> bool:
    """Whether an error comes from what stands behind a tool, so that there is such a tool."""
    return _BACKEND.search(text) is not None
