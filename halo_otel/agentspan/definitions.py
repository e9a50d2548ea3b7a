"""The tools a model was offered, in OTel's form: a JSON list of `{type, name, description, parameters}`.

Sources (conventions §3, "tools offered"): OpenAI's `{type, function: {…}}`, Anthropic's and MCP's
`{name, input_schema}`, Bedrock's `{toolSpec}`, Gemini's `{function_declarations}`, Pydantic AI's
`{function_tools, output_tools}`, Vercel's `{name, inputSchema}`, and plain names.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from halo_otel.agentspan.source import Parse
from halo_otel.agentspan.values import decoded, label, payload, text

_LISTS: Final = (
    "function_tools",
    "output_tools",
    "tools",
    "functions",
    "function_declarations",
    "functionDeclarations",
)
_WRAPPERS: Final = ("function", "toolSpec")
_PARAMETERS: Final = (
    "parameters",
    "input_schema",
    "inputSchema",
    "parameters_json_schema",
    "json_schema",
)
_DEPTH_MAX: Final = 3  # of lists in lists: Gemini's declarations in a request's tools


def definitions(value: Any) -> str | None:
    """The tools in a list, or in a request's or an agent's lists of them."""
    if isinstance(value, str):
        return _of_text(value)
    return _listed(_tools(value, _DEPTH_MAX))


def inside(member: str) -> Parse:
    """A parser of the tools in one member of a JSON object."""

    def parse(value: Any) -> str | None:
        if isinstance(value, str) and f'"{member}"' not in value:
            return None
        found = decoded(value)
        return definitions(found[member]) if isinstance(found, dict) and member in found else None

    return parse


def definition(name: Any, description: Any, parameters: Any) -> dict[str, Any] | None:
    """One tool; without a name it is none."""
    known = label(name)
    if known is None:
        return None
    tool: dict[str, Any] = {"type": "function", "name": known}
    if says := text(description):
        tool["description"] = says
    if isinstance(schema := decoded(parameters), dict):
        tool["parameters"] = schema.get("json", schema)  # Bedrock wraps it once more
    return tool


# The same tools are offered on every call of an agent.
@lru_cache(256)
def _of_text(value: str) -> str | None:
    return _listed(_tools(decoded(value), _DEPTH_MAX))


def _listed(tools: Iterable[dict[str, Any]]) -> str | None:
    found = list(tools)
    return payload(found) if found else None


def _tools(found: Any, depth: int) -> Iterator[dict[str, Any]]:
    if isinstance(found, list):
        for tool in found:
            yield from _tool(tool, depth)
    elif isinstance(found, dict):
        yield from _tool(found, depth)


def _tool(found: Any, depth: int) -> Iterator[dict[str, Any]]:
    found = decoded(found)
    if isinstance(found, str):
        found = {"name": found}
    if not isinstance(found, dict):
        return
    for wrapper in _WRAPPERS:
        if isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    schema = next((found[key] for key in _PARAMETERS if key in found), None)
    if tool := definition(found.get("name"), found.get("description"), schema):
        yield tool
    elif depth:
        for key in _LISTS:
            if key in found:
                yield from _tools(found[key], depth - 1)
