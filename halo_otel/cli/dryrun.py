"""`analyze --dry-run`: what would be sent to the model, and what it may come to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halo_otel.cli.terminal import safe, write

if TYPE_CHECKING:
    from halo_otel.config.sections import Config
    from halo_otel.service.reasoning import Analysed
    from halo_otel.service.rehearsal import Planned, Rehearsed


def tell_requests(
    files: "Analysed", config: "Config", prompt: str | None, out: Path | None, *, quiet: bool
) -> None:
    """Tell it: for people on standard output, as JSON lines in the file `out`. Raises ConfigError, BadRequest."""
    import asyncio

    from halo_otel.service.rehearsal import rehearsed

    told = asyncio.run(rehearsed(files, config, prompt, streams=not quiet))
    write(_lines(told) if out else _text(told), out)


def _lines(told: "Rehearsed") -> str:
    """A line for each request, with its body as it would leave, and one for the window's budget."""
    budget = {
        "requests_max": told.calls_max,
        "input_tokens_max": told.input_tokens_max,
        "output_tokens_max": told.output_tokens_max,
        "cost_max_usd": told.cost_max,
    }
    lines: list[dict[str, Any]] = [_line(one) for one in told.planned]
    return "".join(json.dumps(line) + "\n" for line in [*lines, {"budget": budget}])


def _line(one: "Planned") -> dict[str, Any]:
    preview = one.preview
    return {
        "about": one.about,
        "title": one.title,
        "role": one.role,
        "model": preview.model,
        "bytes": len(preview.body),
        "input_tokens_estimated": preview.input_tokens_estimated,
        "input_tokens_max": preview.input_tokens_max,
        "output_tokens_max": preview.output_tokens_max,
        "cost_max_usd": preview.cost_max,
        "fields": dict(sorted(preview.fields.items())),
        "masked": dict(sorted(preview.masked.items())),
        "body": json.loads(preview.body),
    }


def _text(told: "Rehearsed") -> str:
    parts = [_paragraph(place, one) for place, one in enumerate(told.planned, 1)]
    parts.append(
        f"{len(told.planned)} first requests; nothing was sent.\n"
        f"The budget of the window allows at most {told.calls_max:,} requests, {told.input_tokens_max:,}"
        f" tokens in, {told.output_tokens_max:,} out, {_usd(told.cost_max)}.\n"
    )
    return "\n".join(parts)


def _paragraph(place: int, one: "Planned") -> str:
    preview = one.preview
    return (
        f"{place}. {safe(one.title)} [{safe(one.about)}]\n"
        f"   to {safe(preview.model)}: {len(preview.body):,} bytes, about"
        f" {preview.input_tokens_estimated:,} tokens, at most {preview.input_tokens_max:,} in and"
        f" {preview.output_tokens_max:,} out, {_usd(preview.cost_max)}\n"
        f"   texts of traces: {_counts(preview.fields, 'bytes')}; masked: {_counts(preview.masked, 'values')}\n"
        f"   {safe(preview.body.decode())}\n"
    )


def _counts(counts: Mapping[str, int], unit: str) -> str:
    told = ", ".join(f"{safe(name)} {number:,} {unit}" for name, number in sorted(counts.items()))
    return told or "none"


def _usd(cost: float | None) -> str:
    return "an unknown price" if cost is None else f"{cost:.4f} USD"
