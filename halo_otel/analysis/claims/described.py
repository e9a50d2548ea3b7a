"""The detectors as a document: what each means, when it is silent, and how to set it otherwise."""

from collections.abc import Iterable
from typing import Final

from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.detectors import BY_NAME, DETECTORS
from halo_otel.model.explained import EXPLAINED, Explanation

_HEAD: Final = """\
# Detectors

What halo-otel looks for without any model. A finding needs several traces (`analysis.min_traces`, a rate surely
above 1 % of the traces that could show it, two sessions where sessions are known) and a confidence; what most
successful runs do is how an agent works, no finding. Where what a detector reads is not recorded, cut or redacted,
it abstains, and the report says so.

**Mute one finding**: `halo-otel mute FINGERPRINT`, with `--for 7d` for a time. It is still counted.

**Set a detector otherwise** in the configuration, by its name:

```yaml
analysis:
  min_traces: 5                      # for all of them
  detectors:
    cacheable_call: off              # never told
    latency: {max_severity: info}    # never worse than a note, so it fails no build and raises no alert
    redundant_call: {min_waste: 0.05}
    error_signature: {min_traces: 10, min_rate: 0.02}
```

or `HALO_ANALYSIS_DETECTORS=cacheable_call=off,latency=off`; as JSON for more. `min_traces` are distinct traces, `min_rate` is
the share of the traces that could show it, `min_waste` the share of the agent's calls and time, all of them lower
bounds for a finding. The category is what findings are grouped and filtered by.

"""
_NATURES: Final = {
    Nature.FAULT: "a fault: blamed for the failure of a run that does not recover from it",
    Nature.RISK: "a risk: blamed only where runs with it fail more often",
    Nature.INEFFICIENCY: "an inefficiency: the work gets done, at a price; a note below 5 % of the traces",
    Nature.ADVICE: "advice: nothing is wrong, it could be had cheaper; always a note",
    Nature.TELEMETRY: "about the telemetry: always a note",
}
_ISOLATED: Final = {
    Isolated.NEVER: "",
    Isolated.STRONG: "a single trace is a note if it is hard to overlook (ten repetitions, three in a small window)",
    Isolated.ANY: "a single trace is a note in a window of fewer than 30 traces",
    Isolated.ALWAYS: "a single trace is a note",
}


def markdown() -> str:
    """All detectors, those that run per trace in the order in which they take precedence."""
    rest = [one for name, one in EXPLAINED.items() if name not in BY_NAME]
    order = [*(EXPLAINED[detector.name] for detector in DETECTORS), *rest]
    rows = [f"| [`{one.name}`](#{one.name}) | {one.category} | {one.means} |" for one in order]
    table = ["| Detector | Category | What it means |", "|---|---|---|", *rows, ""]
    sections = [line for one in order for line in _section(one)]
    return _HEAD + "\n".join([*table, *sections])


def _section(one: Explanation) -> Iterable[str]:
    yield f"## {one.name}"
    yield ""
    yield one.means
    yield ""
    yield f"- **Example:** {one.example}"
    yield f"- **Says nothing about:** {one.abstains}"
    if detector := BY_NAME.get(one.name):
        yield f"- **Told as** {_told(detector)}."
        yield f"- **Set** `min_rate` ({detector.rate_min:g}), `min_waste` ({detector.waste_floor:g}), `min_traces`, `max_severity`."
    else:
        yield "- **Told as** a comparison of many runs, never of one."
        yield "- **Set** `max_severity`."
    yield ""


def _told(detector: Detector) -> str:
    parts = [_NATURES[detector.nature]]
    if detector.habit is not Habit.NEVER:
        parts.append("none where most successful runs do it")
    if _ISOLATED[detector.isolated]:
        parts.append(_ISOLATED[detector.isolated])
    return "; ".join(parts)
