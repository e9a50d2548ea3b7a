"""Error templates that say the same thing become one: the second stage of detectors.md §1.1.

Works on distinct (error type, masked text) pairs of comparable errors, a few hundred at most. Two are
merged when the types are the same and either both have the same length and at least 60 % equal
tokens, or the same first three tokens and a token Jaccard of at least 0.6 (over-merging two causes is
worse than splitting one, so 0.6 and not Drain's 0.4). Masks such as `<str>` are no evidence for
sameness, and what only wraps the message (its type, a leading `Error while …:`) is not compared: else
“Unknown database” and “Unknown column” would be one cause. Merging is the transitive closure, so the
order of the input does not matter; the shortest text names the class.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Template: TypeAlias = tuple[str, str]  # error type, masked text

SIMILARITY_MIN: Final = 0.6
_WRAPPER: Final = re.compile(r"\AError\b[^:]{0,60}:\s+")
TEMPLATES_MAX: Final = 1000  # compared pair by pair; what lies beyond stands for itself


def merge(templates: Iterable[Template]) -> dict[Template, Template]:
    """Each template's class, named by its shortest (then alphabetically first) member."""
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
    return {template: find(template) for template in distinct}


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
