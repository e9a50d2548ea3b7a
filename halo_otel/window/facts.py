"""Agent facts as the cells of a span's row."""

import json
import re
from collections.abc import Callable
from typing import Final

import orjson

from halo_otel.model.facts import AgentFacts, Evaluation
from halo_otel.model.span import Attributes
from halo_otel.otlp.anyvalue import to_json
from halo_otel.window.schema import SPAN_COLUMNS, TEXT_CHARS_MAX

# The columns that `fact_cells` fills: all after `service`.
FACT_COLUMNS: Final = tuple(SPAN_COLUMNS)[tuple(SPAN_COLUMNS).index("service") + 1 :]


def fact_cells(
    facts: AgentFacts, resource: Attributes, keep: Callable[[str], bytes]
) -> tuple[object, ...]:
    """The agent facts of a span, and its resource's deployment, in the order of `FACT_COLUMNS`.

    `keep` takes the texts whose ids the cells hold, and gives those ids.
    """
    arguments = facts.tool_arguments
    instructions = _kept(facts.system_instructions, keep)
    return (
        facts.kind.value,
        ",".join(facts.dialects),
        facts.agent_name,
        facts.agent_id,
        facts.agent_version,
        facts.workflow,
        facts.session_id,
        facts.user_id,
        facts.provider,
        facts.model_requested,
        facts.model_served,
        facts.input_tokens,
        facts.output_tokens,
        facts.cache_read_tokens,
        facts.cache_write_tokens,
        facts.reasoning_tokens,
        facts.cost,
        facts.cache_accounting,
        facts.first_token_ms,
        facts.retry_attempt,
        facts.handoff_target,
        facts.tool_name,
        facts.tool_call_id,
        *_text(arguments and canonical_arguments(arguments)),
        *_text(facts.tool_result),
        *_text(facts.input_text),
        *_text(facts.output_text),
        facts.arguments_unknown,
        facts.result_unknown,
        facts.input_unknown,
        facts.output_unknown,
        instructions,
        _kept(facts.tool_definitions, keep),
        _kept(facts.retrieval_documents, keep),
        _evaluations(facts.evaluations) if facts.evaluations else None,
        facts.finish_reason,
        facts.error_type,
        _text(facts.error_message)[0],
        facts.error_source,
        facts.prompt_version or (instructions and f"blake2:{instructions.hex()[:12]}"),
        _label(resource.get("service.version")),
        _label(
            resource.get("deployment.environment.name") or resource.get("deployment.environment")
        ),
        to_json(facts.sources) if facts.sources else "{}",
    )


def _label(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _kept(text: str | None, keep: Callable[[str], bytes]) -> bytes | None:
    return None if text is None else keep(text)


def _evaluations(evaluations: tuple[Evaluation, ...]) -> str:
    return to_json(
        [
            {
                "name": evaluation.name,
                "score": evaluation.score,
                "label": evaluation.label,
                "explanation": evaluation.explanation,
            }
            for evaluation in evaluations
        ]
    )


def _text(text: str | None) -> tuple[str | None, int | None]:
    """The stored prefix and the true length."""
    if text is None:
        return None, None
    length = len(text)
    return (text if length <= TEXT_CHARS_MAX else text[:TEXT_CHARS_MAX]), length


# Numbers that orjson would round: 20 digits and more do not fit into 64 bits.
_LONG_NUMBER: Final = re.compile(r"\d{19}")


def canonical_arguments(text: str) -> str:
    """`text` with sorted keys and without spaces if it is a JSON object, else as it is.

    Two calls with the same arguments then have the same text, whatever order a model wrote them in.
    """
    if not text.lstrip().startswith("{"):
        return text
    try:
        if _LONG_NUMBER.search(text):
            exact = json.loads(text)
            return json.dumps(exact, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except (ValueError, TypeError, RecursionError):
        return text
