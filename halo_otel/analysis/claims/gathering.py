"""From the hits of all judged traces to patterns."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from halo_otel.analysis.claims import templates
from halo_otel.analysis.claims.hit import ANY_AGENT, EVERYTHING, Group, Hit
from halo_otel.analysis.claims.pattern import REPEATS_KEPT, Exposure, Pattern
from halo_otel.analysis.judgement import Judgement
from halo_otel.model.finding import fingerprint


def gather(judgements: Sequence[Judgement], among: Sequence[Judgement] = ()) -> list[Pattern]:
    """The patterns in `judgements`, in the order of their fingerprints.

    Error texts are merged as in `among`, which holds all of them; by default in themselves.
    """
    classes = _error_classes(hit for judgement in among or judgements for hit in judgement.hits)
    patterns: dict[tuple[object, ...], Pattern] = {}  # by what a fingerprint is made of
    for place, judgement in enumerate(judgements):
        for hit in judgement.hits:
            scope, of = _scope(hit, classes), hit.subject
            attributes = tuple(sorted(of.attributes.items()))
            identity = (hit.detector, of.service, of.agent, of.tool, of.model, attributes, scope)
            pattern = patterns.get(identity)
            if pattern is None:
                written = fingerprint(hit.detector, of, *scope)
                pattern = patterns[identity] = Pattern(fingerprint=written, scope=scope)
            pattern.hits.setdefault(place, []).append(hit)
    found = sorted(patterns.values(), key=lambda pattern: pattern.fingerprint)
    _measure(found, judgements)
    return found


_Classes = dict[tuple[Group, str], dict[templates.Template, templates.Template]]


def _error_classes(hits: Iterable[Hit]) -> _Classes:
    """Per operation, what each error template was merged into."""
    distinct: dict[tuple[Group, str], set[templates.Template]] = defaultdict(set)
    for hit in hits:
        if hit.category == "error":
            operation, kind, text = hit.scope
            distinct[hit.exposure, operation].add((kind, text))
    return {key: templates.merge(found) for key, found in distinct.items()}


def _scope(hit: Hit, classes: _Classes) -> tuple[str, ...]:
    if hit.category != "error":
        return hit.scope
    operation, kind, text = hit.scope
    return (operation, *classes[hit.exposure, operation][kind, text])


def _measure(patterns: list[Pattern], judgements: Sequence[Judgement]) -> None:
    """Count each needed group once over all traces; patterns of one group share the numbers."""
    needed: dict[Group, Exposure] = {}
    for pattern in patterns:
        group = pattern.first.exposure
        agent = Group(group.service, group.agent, EVERYTHING)
        pattern.exposure = needed.setdefault(group, Exposure())
        pattern.agent_work = needed.setdefault(agent, Exposure())
    measure(needed, judgements)


def measure(needed: dict[Group, Exposure], judgements: Sequence[Judgement]) -> None:
    """Add to each needed group's exposure what `judgements` did in it."""
    parts: dict[Group, list[Exposure]] = {}  # a trace's group -> the needed groups it belongs to
    for judgement in judgements:
        seen: set[int] = set()
        for group, calls, ns, repeats, _ in judgement.work:
            if group not in parts:
                parts[group] = _belongs_to(group, needed)
            for exposure in parts[group]:
                exposure.calls += calls
                exposure.ns += ns
                if id(exposure) not in seen:
                    seen.add(id(exposure))
                    exposure.outcomes[judgement.failed, min(repeats, REPEATS_KEPT)] += 1


def _belongs_to(group: Group, needed: dict[Group, Exposure]) -> list[Exposure]:
    names = {group, Group(group.service, group.agent, group.operation)}
    if group.operation in ("tool", "llm"):
        names.add(Group(group.service, group.agent, EVERYTHING))
        names.add(Group(group.service, ANY_AGENT, EVERYTHING))
    return [needed[name] for name in sorted(names) if name in needed]
