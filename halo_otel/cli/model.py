"""Options about the model, with HALO's names, and what the model tier of one `analyze` says."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.live import Live
from halo_otel.cli.terminal import note
from halo_otel.errors import BadRequest, ConfigError, HaloError

if TYPE_CHECKING:
    from halo_otel.config.sections import Config
    from halo_otel.model.report import Report
    from halo_otel.recursion.claims.checking import Accepted
    from halo_otel.service.reasoning import Analysed

_PANEL = "Model"


def _option(*names: str, help_: str, metavar: str | None = None) -> object:
    return typer.Option(*names, help=help_, metavar=metavar, rich_help_panel=_PANEL)


PromptOption = Annotated[
    str | None, _option("--prompt", "-p", help_="A question for the model to answer.")
]
ModelOption = Annotated[str | None, _option("--model", "-m", help_="The model (llm.model).")]
SynthesisModelOption = Annotated[
    str | None, _option("--synthesis-model", help_="The model that looks a second time.")
]
CompactionModelOption = Annotated[
    str | None, _option("--compaction-model", help_="The model that shortens long talks.")
]
BaseUrlOption = Annotated[
    str | None, _option("--base-url", help_="An endpoint that speaks OpenAI's chat completions.")
]
ApiKeyOption = Annotated[
    str | None,
    _option("--api-key", help_="Its key; others may see it in the list of processes."),
]
HeaderOption = Annotated[
    list[str] | None,
    _option("--header", "-H", metavar="NAME: VALUE", help_="A header to send; may be repeated."),
]
MaxDepthOption = Annotated[int | None, _option("--max-depth", help_="Questions below questions.")]
MaxTurnsOption = Annotated[int | None, _option("--max-turns", help_="Requests of a conversation.")]
MaxParallelOption = Annotated[
    int | None, _option("--max-parallel", help_="Requests in flight at once.")
]
MaxOutputTokensOption = Annotated[
    int | None, _option("--max-output-tokens", help_="Tokens of one answer.")
]
TemperatureOption = Annotated[float | None, _option("--temperature", help_="Sent as it is.")]
ReasoningEffortOption = Annotated[str | None, _option("--reasoning-effort", help_="Sent as it is.")]
TelemetryOption = Annotated[
    bool,
    _option(
        "--telemetry",
        help_="Write the model's own work as OpenInference spans to ./halo-telemetry-TIME.jsonl, or"
        " where $HALO_TELEMETRY_PATH says.",
    ),
]
TelemetryToOption = Annotated[
    str | None,
    _option(
        "--telemetry-to",
        metavar="FILE|URL",
        help_="The same to this file (OTLP JSON lines), or this OTLP/gRPC receiver (llm.telemetry).",
    ),
]
DryRunOption = Annotated[
    bool,
    _option(
        "--dry-run",
        help_="Ask no model, and report nothing: show what would be sent, and what it may cost.",
    ),
]
CodeOption = Annotated[
    Path | None,
    _option(
        "--code",
        metavar="DIRECTORY",
        help_="The agents' source code, for the model to read and cite (llm.code).",
    ),
]
RefusalRetriesOption = Annotated[
    int | None,
    _option("--refusal-retries", help_="How often a model that declines is asked to go on."),
]


def headers_of(given: list[str] | None) -> dict[str, str] | None:
    """`NAME: VALUE` or `NAME=VALUE` as headers. Raises BadRequest."""
    headers = {}
    for one in given or ():
        name, colon, value = one.partition(":" if ":" in one else "=")
        if not colon or not name.strip():
            raise BadRequest(f"--header {name.strip()!r}: write it like 'X-Team: search'")
        headers[name.strip()] = value.strip()
    return headers or None


def with_model(config: "Config", **given: object) -> "Config":
    """`config` with what was given on the command line in its section `llm`. Raises ConfigError."""
    from halo_otel.config.given import with_llm

    return with_llm(config, given, "change the option or the file")


def check_model(config: "Config", prompt: str | None, *, dry_run: bool, has_baseline: bool) -> None:
    """Raises BadRequest for what no model could do."""
    for option, is_given in (("--prompt", prompt is not None), ("--dry-run", dry_run)):
        if not is_given:
            continue
        if config.llm.model is None:
            raise BadRequest(f"{option}: there is no model to ask: give --model, or set llm.model")
        if has_baseline:
            raise BadRequest(f"{option}: not together with --baseline: ask in a run of its own")


def telemetry_of(flag: bool, to: str | None) -> str | None:
    """Where the spans go: `to`, or with HALO's flag alone a file where HALO puts its own."""
    if to is not None or not flag:
        return to
    from halo_otel.clock import SystemClock
    from halo_otel.service.tracing import unnamed_file

    return unnamed_file(SystemClock().now_ns())


def reasoned(
    files: "Analysed", config: "Config", prompt: str | None, *, quiet: bool
) -> "tuple[Report, Sequence[Accepted]]":
    """The report with what the model adds, and its answer to `prompt`; told live unless `quiet`.

    An endpoint that fails costs the report nothing but the model's part, of which it is told; a question
    that could not be asked is an error.
    """
    import asyncio

    from halo_otel.service.reasoning import deepened

    try:
        came = asyncio.run(deepened(files, config, prompt, None if quiet else Live()))
    except ConfigError:
        raise
    except HaloError as error:
        if prompt is not None:
            raise
        note(f"without the model: {error}")
        return files.report, ()
    if not quiet:
        usage = came.report.usage
        note(
            f"the model: {usage.model_calls} requests, {usage.input_tokens:,} tokens in,"
            f" {usage.output_tokens:,} out, {usage.cost:.4f} USD;"
            f" {usage.claims_dropped} of {usage.claims_checked} claims did not hold"
        )
        for what, why in came.unfinished:
            note(f"the model did not finish {what}: {why}")
    return came.report, came.answer


def tell_answer(prompt: str, answer: "Sequence[Accepted]") -> None:
    """The answer beside the report, on standard error: programs read the report."""
    from halo_otel.service.answer import NOTHING, answer_lines

    note(f"question: {prompt}")
    if not answer:
        note(f"  {NOTHING}")
    for statement, recommendation, spans in answer_lines(answer):
        note(f"  {statement} [{spans}]")
        if recommendation:
            note(f"    {recommendation}")
