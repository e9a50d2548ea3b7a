"""What vendors' own SDKs and agent frameworks tell of the run."""

from collections.abc import Mapping
from typing import Any, Final

from tests.emission.matrix import Emission

_LATEST: Final = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
_CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# Its tracer knows the model's name from the agent's settings only.
_STRANDS: Final = frozenset({"served"})
# The session is metadata of the trace, which OtelSpanProcessor does not send; nor has a tool's span the
# id of the call.
_MLFLOW: Final = frozenset({"session", "call id"})
# Its metrics alone know the served model; its finish reasons are Gemini's, where calling is stopping.
_ADK: Final[dict[str, Any]] = {"finish": ("stop", "stop", "stop"), "agent": "travel_agent"}
_ADK_SERVED: Final = frozenset({"served"})
# Log records are of model calls alone; without content a failed tool only says that it failed.
_ADK_EVENTS: Final[dict[str, Any]] = {
    **_ADK,
    "absent": _ADK_SERVED | {"arguments", "result"},
    "failure": "TOOL_ERROR",
}


def _vendor(name: str, dialect: str, *packages: str, program: str = "", **rest: Any) -> Emission:
    return Emission(
        name=name,
        group="vendors",
        program=f"run_{program or name}.py",
        dialect=dialect,
        packages=packages,
        **rest,
    )


def _agentcore(name: str, **environ: str) -> Emission:
    return Emission(
        name=name,
        group="cloud",
        program="run_agentcore.py",
        environ={
            "AGENT_OBSERVABILITY_ENABLED": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "OTEL_PYTHON_CONFIGURATOR": "aws_configurator",
            "OTEL_PYTHON_DISTRO": "aws_distro",
            **environ,
        },
        dialect="strands",
        packages=("bedrock-agentcore", "aws-opentelemetry-distro", "strands-agents"),
        absent=_STRANDS,
    )


def _adk(name: str, environ: Mapping[str, str] = {}, **rest: Any) -> Emission:
    return Emission(
        name=f"google_adk_{name}",
        group="cloud",
        program="run_google_adk.py",
        dialect="google_adk",
        packages=("google-adk", "litellm"),
        # Without it LiteLLM fetches a list of prices at every start.
        environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True", **environ},
        **rest,
    )


EMISSIONS: Final = (
    _vendor(
        "langfuse",
        "langfuse",
        "langfuse",
        # The drop-in writes the served model over the requested, keeps a finish reason of streams
        # only, and observations of tools have no key for the call's id.
        absent=frozenset({"model", "finish", "call id"}),
        environ={"LANGFUSE_OTEL_TRACES_EXPORT_PATH": "v1/traces"},
    ),
    _vendor(
        "langsmith",
        "langsmith",
        "langsmith",
        environ={
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_OTEL_ENABLED": "true",
            "LANGSMITH_OTEL_ONLY": "true",
            "LANGSMITH_API_KEY": "unused",
            "LANGSMITH_ENDPOINT": "http://127.0.0.1:9",  # nobody: it must not be asked
        },
    ),
    _vendor("mlflow", "mlflow", "mlflow-tracing", absent=_MLFLOW),
    _vendor(
        "mlflow_gen_ai",
        "gen_ai",
        "mlflow-tracing",
        program="mlflow",
        absent=_MLFLOW | {"cached"},  # its translator has no key for it
        environ={"MLFLOW_ENABLE_OTEL_GENAI_SEMCONV": "true"},
    ),
    _vendor("strands", "strands", "strands-agents", absent=_STRANDS),
    _vendor(
        "strands_latest",
        "strands",
        "strands-agents",
        program="strands",
        absent=_STRANDS,
        environ=_LATEST,
    ),
    _vendor(
        "strands_mcp",
        "mcp",
        "mcp",
        "strands-agents",
        program="strands",
        absent=_STRANDS,
        environ={"MCP": "1"},
        failure="Error executing tool book_hotel",  # the server keeps why to itself
    ),
    _agentcore("agentcore"),
    _agentcore("agentcore_split", SPLIT="1", OTEL_TRACES_EXPORTER="none"),
    _vendor(
        "smolagents",
        "smolagents",
        "smolagents",
        "openinference-instrumentation-smolagents",
        # The instrumentor reads the model's name and the two sums of tokens off smolagents' objects,
        # which keep no more; its tools are called without an id.
        absent=frozenset({"served", "cached", "finish", "call id"}),
        agent="travel_agent",
        answers_by="final_answer",
    ),
    _adk("default", **{**_ADK_EVENTS, "absent": _ADK_EVENTS["absent"] | {"question", "answer"}}),
    _adk(
        "schema_1",
        environ={"ADK_TELEMETRY_SCHEMA_VERSION_OPT_IN": "1"},
        absent=_ADK_SERVED,
        **_ADK,
    ),
    _adk("latest_spans", environ={**_LATEST, _CAPTURE: "span_only"}, absent=_ADK_SERVED, **_ADK),
    _adk("latest_events", environ={**_LATEST, _CAPTURE: "event_only"}, **_ADK_EVENTS),
)
