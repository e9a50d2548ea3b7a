"""A text with what is sensitive in it replaced: what `credentials`, `personal`, `contact`, `named` and the
operator's own patterns find.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from halo_otel.redact import Sensitive, contact, credentials, named, personal
from halo_otel.redact.custom import Custom

# A cheap RE2 pattern that matches every text that `mask` changes by `USUAL`.
PREFILTER: Final = "|".join(
    (credentials.PREFILTER, personal.PREFILTER, contact.PREFILTER, named.PREFILTER)
)
_PERSONAL: Final = {"card number": "card", "IBAN": "iban"}  # all other numbers: `national_id`


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text without its sensitive values, and how many of each kind were taken out."""

    text: str
    kinds: Counter[str]


class Rules:
    """What is sensitive: the kinds of `config.sections.SensitiveKind`, and patterns by their names."""

    def __init__(self, kinds: Collection[str], patterns: Mapping[str, str] | None = None) -> None:
        self._kinds = frozenset(kinds)
        self._custom = Custom(patterns or {})
        self._personal = self._kinds & {"card", "iban", "national_id"}

    @classmethod
    def usual(cls, patterns: Mapping[str, str]) -> "Rules":
        """What a person would not send to strangers, and `patterns`. Addresses of machines are no secret to
        who reads their traces."""
        return cls(("credentials", "card", "iban", "national_id", "email", "phone"), patterns)

    @property
    def prefilter(self) -> str:
        """A cheap RE2 pattern that matches every text that `mask` changes by these rules, if they are usual."""
        return "|".join(filter(None, (PREFILTER, self._custom.prefilter)))

    def find(self, text: str) -> list[Sensitive]:
        """What is sensitive in `text`, in order of place; some may overlap."""
        return sorted(self._all(text))

    def _all(self, text: str) -> Iterator[Sensitive]:
        if "credentials" in self._kinds:
            yield from credentials.find(text)
            yield from named.find(text)
        if self._personal:
            for one in personal.find(text):
                if _PERSONAL.get(one.kind, "national_id") in self._personal:
                    yield one
        if "email" in self._kinds:
            yield from contact.emails(text)
        if "phone" in self._kinds:
            yield from contact.telephones(text)
        if "ip" in self._kinds:
            yield from contact.addresses(text)
        yield from self._custom.find(text)


USUAL: Final = Rules.usual({})


def shown(value: Sensitive) -> str:
    """What people and models see of a value: its kind, and at most four characters."""
    return f"[{value.kind}{value.shown and ' '}{value.shown}]"


def mask(
    text: str,
    rules: Rules = USUAL,
    stand_in: Callable[[Sensitive], str] = shown,
    kept: re.Pattern[str] | None = None,
) -> Masked:
    """`text` with `stand_in(value)` in place of every sensitive value by `rules`; what `kept` matches stays.

    The same value becomes the same mask in every text; what is masked stays as it is when masked again.
    """
    kinds: Counter[str] = Counter()
    # What stood in one piece with a masked value may stand out now.
    while places := rules.find(text):
        if kept is not None:
            places = _outside(places, [match.span() for match in kept.finditer(text)])
        if not places:
            break
        text = _without(text, places, stand_in, kinds)
    return Masked(text=text, kinds=kinds)


def _outside(places: list[Sensitive], spared: list[tuple[int, int]]) -> list[Sensitive]:
    """The places that touch none of `spared`, which are in order and apart."""
    ends = [end for _, end in spared]

    def touches(place: Sensitive) -> bool:
        behind = bisect_right(ends, place.start)  # the first that ends after the place begins
        return behind < len(spared) and spared[behind][0] < place.end

    return [place for place in places if not touches(place)]


def _without(
    text: str,
    places: list[Sensitive],
    stand_in: Callable[[Sensitive], str],
    kinds: Counter[str],
) -> str:
    pieces: list[str] = []
    end = 0
    for place in places:
        if place.start < end:  # overlaps the one before: what sticks out goes with it
            end = max(end, place.end)
            continue
        pieces += (text[end : place.start], stand_in(place))
        kinds[place.kind] += 1
        end = place.end
    return "".join((*pieces, text[end:]))
