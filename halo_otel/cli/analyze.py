"""`analyze`: find what goes wrong in files of traces, without a service."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.dryrun import tell_requests
from halo_otel.cli.model import (
    ApiKeyOption,
    BaseUrlOption,
    CodeOption,
    CompactionModelOption,
    DryRunOption,
    HeaderOption,
    MaxDepthOption,
    MaxOutputTokensOption,
    MaxParallelOption,
    MaxTurnsOption,
    ModelOption,
    PromptOption,
    ReasoningEffortOption,
    RefusalRetriesOption,
    SynthesisModelOption,
    TelemetryOption,
    TelemetryToOption,
    TemperatureOption,
    check_model,
    headers_of,
    reasoned,
    telemetry_of,
    tell_answer,
    with_model,
)
from halo_otel.cli.options import ConfigOption, OutOption, load
from halo_otel.cli.reporting import ReportFormat, ReportFormatOption, write_report
from halo_otel.cli.terminal import note, progress

if TYPE_CHECKING:
    from halo_otel.importers.files import BadLine
    from halo_otel.model.report import Report
    from halo_otel.recursion.claims.checking import Accepted
    from halo_otel.service.offline import OnProgress

BAD_LINES_SHOWN = 10  # the rest is counted
PLAIN_EVERY = 100_000  # spans between two lines about progress, off a terminal


class FailOn(StrEnum):
    """What makes a check in a build pipeline fail."""

    WARN = "warn"
    ERROR = "error"
    NEW = "new"
    REGRESSED = "regressed"


class BadLines:
    """Shows the first bad lines and counts them all."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, bad: "BadLine") -> None:
        self.count += 1
        if self.count <= BAD_LINES_SHOWN:
            where = f"{bad.path}:{bad.number}: " if bad.number else ""
            note(f"{where}skipped: {bad.why}")

    def sum_up(self) -> None:
        if self.count > BAD_LINES_SHOWN:
            note(f"{self.count} bad lines were skipped, {BAD_LINES_SHOWN} of them are shown")


def analyze(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Files or directories: OTLP JSON lines, JSON or protobuf, or exports of HALO, Langfuse, "
            "Phoenix or Jaeger; plain or gzip.",
        ),
    ],
    format_: ReportFormatOption = ReportFormat.MARKDOWN,
    out: OutOption = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="Exit with 1 if there is such a finding (warn: or a worse one)."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Traces or a JSON report to compare with: findings get their status from it, "
            "regressions are findings of their own.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing about progress and skipped lines.")
    ] = False,
    config: ConfigOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    synthesis_model: SynthesisModelOption = None,
    compaction_model: CompactionModelOption = None,
    base_url: BaseUrlOption = None,
    api_key: ApiKeyOption = None,
    header: HeaderOption = None,
    max_depth: MaxDepthOption = None,
    max_turns: MaxTurnsOption = None,
    max_parallel: MaxParallelOption = None,
    max_output_tokens: MaxOutputTokensOption = None,
    temperature: TemperatureOption = None,
    reasoning_effort: ReasoningEffortOption = None,
    refusal_retries: RefusalRetriesOption = None,
    code: CodeOption = None,
    telemetry: TelemetryOption = False,
    telemetry_to: TelemetryToOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Find what goes wrong in files of traces; everything given is one window.

    With a model (--model or llm.model) it also explains findings and looks for what no rule can see.
    """
    settings = with_model(
        load(config),
        model=model,
        synthesis_model=synthesis_model,
        compaction_model=compaction_model,
        base_url=base_url,
        api_key=api_key,
        headers=headers_of(header),
        max_depth=max_depth,
        max_turns=max_turns,
        parallelism=max_parallel,
        max_output_tokens=max_output_tokens,
        temperature=temperature,
        reasoning_effort=reasoning_effort,
        refusal_retries=refusal_retries,
        code=code,
        telemetry=telemetry_of(telemetry, telemetry_to),
    )
    check_model(settings, prompt, dry_run=dry_run, has_baseline=baseline is not None)

    bad = BadLines()
    on_bad = (lambda line: None) if quiet else bad
    regressed = False
    answer: Sequence[Accepted] = ()
    if baseline is not None:
        from halo_otel.service.comparing import compare_files

        with loading(quiet) as on_progress:
            compared = compare_files(
                [baseline], paths, settings.analysis, on_progress, on_bad, window=settings.window
            )
        report, regressed = compared.report, compared.comparison.regressed
    elif settings.llm.model is not None:
        from halo_otel.service.reasoning import analysed

        with ExitStack() as stack:
            with loading(quiet) as on_progress:
                files = stack.enter_context(analysed(paths, settings, on_progress, on_bad))
            if dry_run:
                tell_requests(files, settings, prompt, out, quiet=quiet)
                return
            report, answer = reasoned(files, settings, prompt, quiet=quiet)
    else:
        from halo_otel.service.offline import analyze_files

        with loading(quiet) as on_progress:
            report = analyze_files(
                paths, settings.analysis, on_progress, on_bad, window=settings.window
            )
    bad.sum_up()
    left_out = report.window.traces - report.window.settled
    if left_out and not quiet:
        note(f"{left_out:,} traces were not judged: raise analysis.max_spans")
    from halo_otel.service.redaction import safe

    write_report(safe(report, settings), format_, out, _question(prompt, answer, format_, out))
    regressed = regressed and fail_on is FailOn.REGRESSED
    if regressed or (fail_on is not None and fails(report, fail_on)):
        raise typer.Exit(1)


def _question(
    prompt: str | None, answer: "Sequence[Accepted]", format_: ReportFormat, out: Path | None
) -> str:
    """What stands above the report: in Markdown the answer to `prompt`. It is told beside a report that is
    made for programs, and one that goes to a file."""
    if prompt is None:
        return ""
    if format_ is not ReportFormat.MARKDOWN or out is not None:
        tell_answer(prompt, answer)
    if format_ is not ReportFormat.MARKDOWN:
        return ""
    from halo_otel.service.answer import question_markdown

    return question_markdown(prompt, answer)


def fails(report: "Report", fail_on: FailOn) -> bool:
    """Whether `report` holds what must not be."""
    from halo_otel.model.finding import Severity

    if fail_on in (FailOn.NEW, FailOn.REGRESSED):
        return any(finding.status.value == fail_on.value for finding in report.findings)
    threshold = Severity(fail_on.value).number
    return any(finding.severity.number >= threshold for finding in report.findings)


@contextmanager
def loading(quiet: bool) -> Iterator["OnProgress"]:
    """Tells how far reading is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda read: None
    elif not sys.stderr.isatty():
        told = 0

        def tell(read: int) -> None:
            nonlocal told
            if read >= told + PLAIN_EVERY:
                told = read
                note(f"read {read:,} spans and log records")

        yield tell
    else:
        with progress() as bar:
            task = bar.add_task("reading", total=None, detail="")

            def show(read: int) -> None:
                bar.update(task, detail=f"{read:,} spans and log records")

            yield show
