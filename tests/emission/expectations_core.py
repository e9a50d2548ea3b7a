"""What instrumentors and agent frameworks tell of the run."""

from collections.abc import Mapping
from typing import Any, Final

from tests.emission.matrix import Emission

_LATEST: Final = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
_EMIT: Final = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
_CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

# A tool's span has content only where spans may have it; there is no event of a tool's call.
_TOOL_CONTENT: Final = frozenset({"arguments", "result"})
# Decorators around functions, and the Agents SDK's spans of functions, never see the call's id.
_CALL_ID: Final = frozenset({"call id"})


def _otel(name: str, environ: Mapping[str, str], absent: frozenset[str] = frozenset()) -> Emission:
    return Emission(
        name=f"otel_openai_{name}",
        group="python",
        program="run_otel_openai.py",
        dialect="gen_ai",
        packages=("opentelemetry-instrumentation-genai-openai", "opentelemetry-util-genai"),
        environ=environ,
        protocol="grpc",
        absent=absent,
    )


def _otel_v2(name: str, environ: Mapping[str, str]) -> Emission:
    return Emission(
        name=f"otel_openai_v2_{name}",
        group="openai_v2",
        program="run_otel_openai_v2.py",
        dialect="gen_ai",
        packages=("opentelemetry-instrumentation-openai-v2", "opentelemetry-util-genai"),
        environ=environ,
        protocol="grpc",
        # It tells cached tokens of the Responses API only.
        absent=_TOOL_CONTENT | {"cached"},
    )


def _told_by(library: str, sdk: str, program: str, package: str, **rest: Any) -> Emission:
    return Emission(
        name=f"{program}_{library}",
        group="python",
        program=f"run_{program}.py",
        packages=(package, sdk),
        environ={"TOLD_BY": library},
        **rest,
    )


EMISSIONS: Final = (
    _otel("spans", {_CAPTURE: "span_only"}),
    _otel("events", {_CAPTURE: "event_only", _EMIT: "true"}, _TOOL_CONTENT),
    _otel_v2("default", {_CAPTURE: "true"}),
    _otel_v2("latest_spans", {**_LATEST, _CAPTURE: "span_only"}),
    _otel_v2("latest_events", {**_LATEST, _CAPTURE: "event_only"}),
    Emission(
        name="openinference_openai",
        group="python",
        program="run_openinference_openai.py",
        dialect="openinference",
        packages=("openinference-instrumentation-openai", "openai"),
        absent=_CALL_ID,
    ),
    Emission(
        name="traceloop",
        group="python",
        program="run_traceloop.py",
        dialect="openllmetry",
        packages=("traceloop-sdk", "openai"),
        absent=_CALL_ID,
    ),
    _told_by(
        "openinference",
        "openai-agents",
        "openai_agents",
        "openinference-instrumentation-openai-agents",
        dialect="openinference",
        # It does not read the trace's group id, and of a model call only the response.
        absent=_CALL_ID | {"session", "model"},
        finish=("stop", "stop", "stop"),  # the response's status, which was completed
    ),
    _told_by(
        "openllmetry",
        "openai-agents",
        "openai_agents",
        "opentelemetry-instrumentation-openai-agents",
        dialect="openllmetry",
        # As above.
        absent=_CALL_ID | {"session", "model"},
    ),
    _told_by(
        "logfire",
        "openai-agents",
        "openai_agents",
        "logfire",
        dialect="logfire",
        # A response of the Responses API has no finish reason.
        absent=_CALL_ID | {"finish"},
    ),
    _told_by(
        "openinference",
        "langchain",
        "langchain",
        "openinference-instrumentation-langchain",
        dialect="openinference",
        absent=_CALL_ID,  # LangChain's run of a tool names it in the answer only, if there is one
        arguments="Ulm",  # of a single argument the value alone
    ),
    _told_by(
        "openllmetry",
        "langchain",
        "langchain",
        "opentelemetry-instrumentation-langchain",
        dialect="openllmetry",
    ),
    *(
        Emission(
            name=f"pydantic_ai_format_{number}",
            group="python",
            program="run_pydantic_ai.py",
            dialect="pydantic_ai",
            packages=("pydantic-ai-slim",),
            environ={"FORMAT": str(number)},
        )
        for number in (2, 5, 6)
    ),
    Emission(
        name="pydantic_ai_logfire",
        group="python",
        program="run_logfire.py",
        dialect="pydantic_ai",
        packages=("logfire", "pydantic-ai-slim"),
    ),
    *(
        Emission(
            name=f"vercel_ai_{major}",
            group="node",
            program="run_vercel_ai.mjs",
            dialect="vercel_ai",
            packages=(f"ai-{major}",),
            environ={"MAJOR": str(major)},
            # Version 5 tells cached tokens of streams only.
            absent=frozenset({"cached"} if major == 5 else ()),
        )
        for major in (5, 6, 7)
    ),
)
