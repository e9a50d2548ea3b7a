"""smolagents, told through OpenInference: what its spans say that others do not."""

from typing import Any, Final

from halo_otel.agentspan.source import Dialect
from halo_otel.agentspan.values import arguments, decoded, payload, text

DIALECT: Final = Dialect(
    name="smolagents",
    markers=frozenset({"smolagents.task", "smolagents.max_steps", "smolagents.tools_names"}),
    scopes=("openinference.instrumentation.smolagents",),
)

_RECORD: Final = '{"memory_step": "'
_CALL: Final = {"args", "kwargs", "sanitize_inputs_outputs"}


def tool_arguments(value: Any) -> str | None:
    """A call's arguments in the call of the wrapper `{args, sanitize_inputs_outputs, kwargs}`."""
    found = decoded(value)
    if not isinstance(found, dict) or set(found) != _CALL:
        return None
    return arguments(found["args"] or found["kwargs"])


def given(value: Any) -> str | None:
    """What went in, on any span; a step is only given its own, empty record, which tells nothing."""
    record = isinstance(value, str) and value.startswith(_RECORD)
    return None if record else payload(value)


def task(value: Any) -> str | None:
    """The task in the call of `run`."""
    found = decoded(value)
    return text(found.get("task")) if isinstance(found, dict) else None
