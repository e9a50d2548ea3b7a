"""Error templates that say the same thing become one: the second stage of detectors.md §1.1.

Works on distinct (error type, masked text) pairs of comparable errors, a few hundred at most. Two are
merged when the types are the same and either both have the same length and at least 60 % equal
tokens, or the same first three tokens and a token Jaccard of at least 0.6 (over-merging two causes is
worse than splitting one, so 0.6 and not Drain's 0.4). Masks such as `<str>` are no evidence for
sameness, and what only wraps the message (its type, a leading `Error while …:`) is not compared: else
“Unknown database” and “Unknown column” would be one cause. Merging is the transitive closure, so the
order of the input does not matter.

A class is named by what its members share, `<*>` standing where they differ. A member must not name it:
the lookback slides, members come and go, and the name is part of the fingerprint.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Template: TypeAlias = tuple[str, str]  # error type, masked text

SIMILARITY_MIN: Final = 0.6
_WRAPPER: Final = re.compile(r"\AError\b[^:]{0,60}:\s+")
ANYTHING: Final = "<*>"
TEMPLATES_MAX: Final = 1000  # compared pair by pair; what lies beyond stands for itself


def merge(templates: Iterable[Template]) -> dict[Template, Template]:
    """Each template's class, named by what all of its members share."""
    distinct = sorted(set(templates), key=_simplicity)
    parent = {template: template for template in distinct}

    def find(template: Template) -> Template:
        while parent[template] != template:
            template = parent[template]
        return template

    compared = [(template, _tokens(template)) for template in distinct[:TEMPLATES_MAX]]
    for place, (template, tokens) in enumerate(compared):
        for other, other_tokens in compared[:place]:
            if template[0] == other[0] and similar(tokens, other_tokens):
                first, second = sorted((find(template), find(other)), key=_simplicity)
                parent[second] = first
    members: dict[Template, list[str]] = {}
    for template in distinct:
        members.setdefault(find(template), []).append(template[1])
    names = {first: (first[0], shared(texts)) for first, texts in members.items()}
    return {template: names[find(template)] for template in distinct}


def shared(texts: Iterable[str]) -> str:
    """What `texts` have in common: `<*>` for each word, or run of words, in which they differ."""
    common: list[str] | None = None
    for tokens in (text.split() for text in texts):
        common = tokens if common is None else _shared(common, tokens)
    return " ".join(common or ())


def _shared(one: list[str], two: list[str]) -> list[str]:
    if len(one) == len(two):
        return [a if a == b else ANYTHING for a, b in zip(one, two, strict=True)]
    shorter = min(len(one), len(two))
    head = next((n for n in range(shorter) if one[n] != two[n]), shorter)
    room = shorter - head
    tail = next((n for n in range(room) if one[-1 - n] != two[-1 - n]), room)
    codes = [code for code in _codes(one) if code not in [*one[:head], *one[len(one) - tail :]]]
    return [*one[:head], ANYTHING, *codes, *one[len(one) - tail :]]


def similar(one: list[str], two: list[str]) -> bool:
    """Whether two token lists are the same message with other parameters."""
    if not one or not two or _codes(one) != _codes(two):
        return one == two
    if len(one) == len(two):
        told = [(a, b) for a, b in zip(one, two, strict=True) if a != b or not _is_mask(a)]
        if not told or sum(a == b for a, b in told) / len(told) >= SIMILARITY_MIN:
            return True
    words, other_words = _words(one), _words(two)
    either = words | other_words
    alike = not either or len(words & other_words) / len(either) >= SIMILARITY_MIN
    return one[:3] == two[:3] and alike


def _tokens(template: Template) -> list[str]:
    """The words of the message without the error type, which only some recorders repeat."""
    kind, text = template
    short = kind.rsplit(".", 1)[-1]
    for prefix in (kind, short):
        if prefix and text.startswith(prefix):
            text = text[len(prefix) :].lstrip(" :")
    return (_WRAPPER.sub("", text) or text).split()


def _words(tokens: list[str]) -> set[str]:
    return {token for token in tokens if not _is_mask(token)}


def _is_mask(token: str) -> bool:
    return token.startswith("<")


def _codes(tokens: list[str]) -> list[str]:
    """HTTP statuses, errnos and the like, which the masks fence in «»: they say what went wrong."""
    return [token for token in tokens if "«" in token]


def _simplicity(template: Template) -> tuple[int, Template]:
    return len(template[1].split()), template
