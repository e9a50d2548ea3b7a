"""Options about the model, with HALO's names, and what the model tier of one `analyze` says."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.terminal import note
from halo_otel.errors import BadRequest, ConfigError, HaloError

if TYPE_CHECKING:
    from halo_otel.config.sections import Config
    from halo_otel.importers.files import OnBad
    from halo_otel.model.report import Report
    from halo_otel.recursion.checking import Accepted
    from halo_otel.service.offline import OnProgress

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
    told = {name: value for name, value in given.items() if value is not None}
    if not told:
        return config
    from pydantic import ValidationError

    from halo_otel.config.sections import Llm

    try:
        llm = Llm.model_validate({**config.llm.model_dump(), **told})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"llm.{where}: {first['msg']}: change the option or the file") from error
    return config.model_copy(update={"llm": llm})


def check_prompt(config: "Config", prompt: str | None, *, has_baseline: bool) -> None:
    """Raises BadRequest for a question that nobody could answer."""
    if prompt is None:
        return
    if config.llm.model is None:
        raise BadRequest("--prompt: there is no model to ask: give --model, or set llm.model")
    if has_baseline:
        raise BadRequest("--prompt: not together with --baseline: ask in a run of its own")


def reasoned(
    paths: Sequence[Path],
    config: "Config",
    on_progress: "OnProgress",
    on_bad: "OnBad",
    prompt: str | None,
    *,
    quiet: bool,
) -> "tuple[Report, Sequence[Accepted]]":
    """The report with what the model adds, and its answer to `prompt`.

    An endpoint that fails costs the report nothing but the model's part, of which it is told; a question
    that could not be asked is an error.
    """
    from halo_otel.service.offline import analyze_files
    from halo_otel.service.reasoning import deepen_files

    try:
        deepened = deepen_files(paths, config, on_progress, on_bad, prompt)
    except ConfigError:
        raise
    except HaloError as error:
        if prompt is not None:
            raise
        note(f"without the model: {error}")
        report = analyze_files(
            paths, config.analysis, on_progress, lambda bad: None, window=config.window
        )
        return report, ()
    if not quiet:
        usage = deepened.report.usage
        note(
            f"the model: {usage.model_calls} requests, {usage.input_tokens:,} tokens in,"
            f" {usage.output_tokens:,} out, {usage.cost:.4f} USD;"
            f" {usage.claims_dropped} of {usage.claims_checked} claims did not hold"
        )
        for what, why in deepened.unfinished:
            note(f"the model did not finish {what}: {why}")
    return deepened.report, deepened.answer


def tell_answer(prompt: str, answer: "Sequence[Accepted]") -> None:
    """The answer beside the report, on standard error: programs read the report."""
    from halo_otel.recursion.telling import explained

    note(f"question: {prompt}")
    if not answer:
        note("  nothing that holds could be said")
    for one in answer:
        spans = " ".join(f"{c.trace_id}/{c.span_id}" for c in one.verified.claim.spans)
        told = explained(one)
        note(f"  {told.statement} [{spans}]")
        if told.recommendation:
            note(f"    {told.recommendation}")
