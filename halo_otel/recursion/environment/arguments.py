"""What tools are called with: frozen models, and their schema as strict tools take it."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from halo_otel.recursion.environment.reply import BYTES_DEFAULT, BYTES_MAX, BYTES_MIN

TraceId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
SpanId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Outcome = Literal["failed", "passed", "unknown"]
TRACES_MAX: Final = 200  # that one call may name

# What strict mode of chat completions does not know, or what each request would pay for and the descriptions
# tell as well; the checks stay.
_LEFT_OUT: Final = (
    *("title", "default", "minLength", "maxLength", "minItems", "maxItems"),
    *("pattern", "minimum", "maximum"),
)


class Strict(BaseModel):
    """Whatever a model writes: frozen, unknown members are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Arguments(Strict):
    """Arguments of one tool."""

    bytes_max: int = Field(
        BYTES_DEFAULT,
        ge=BYTES_MIN,
        le=BYTES_MAX,
        description=f"size of the reply, {BYTES_MIN} to {BYTES_MAX}; {BYTES_DEFAULT} is usual",
    )


class Paged(Arguments):
    """Arguments of a tool that lists."""

    offset: int = Field(0, ge=0, description="how many to skip; 0 at first")


class TraceSet(Strict):
    """Some traces: all that meet every condition which is not null."""

    finding: str | None = Field(None, max_length=64, description="fingerprint: traces it affects")
    outcome: Outcome | None = Field(None, description="how they ended")
    service: str | None = Field(None, max_length=500)
    agent: str | None = Field(None, max_length=500)
    traces: tuple[TraceId, ...] | None = Field(
        None, max_length=TRACES_MAX, description=f"trace ids, at most {TRACES_MAX}"
    )


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of `model` as strict mode wants it: every member required, none other, no references."""
    whole = model.model_json_schema()
    strict: dict[str, Any] = _strict(whole, whole.get("$defs", {}))
    strict.pop("description", None)  # the tool has its own
    return strict


def strict_object(properties: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of an object with just these members, all required, as strict mode wants it."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _strict(node: Any, named: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_strict(inner, named) for inner in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = named[node["$ref"].rpartition("/")[2]]
        return _strict({**target, **{k: v for k, v in node.items() if k != "$ref"}}, named)
    kinds = [
        inner.get("type") for inner in node.get("anyOf", ()) if len(inner.keys() - _LEFT_OUT) == 1
    ]
    if kinds and len(kinds) == len(node["anyOf"]) and None not in kinds:  # the short form
        node = {"type": kinds, **{name: value for name, value in node.items() if name != "anyOf"}}
    properties = node.get("properties")
    kept = {
        name: _strict(value, named)
        for name, value in node.items()
        if name not in _LEFT_OUT and name not in ("$defs", "properties")
    }
    if isinstance(properties, dict):
        kept["properties"] = {name: _strict(value, named) for name, value in properties.items()}
        kept["required"] = list(properties)
        kept["additionalProperties"] = False
    return kept
