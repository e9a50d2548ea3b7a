"""A text with what is sensitive in it replaced: what `credentials`, `personal`, `contact`, `named` and the
operator's own patterns find.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from halo_otel.redact import Sensitive, contact, credentials, named, personal, re2
from halo_otel.redact.custom import Custom

# RE2 takes half a millisecond to make ready all it looks for; in so many characters the parts look by themselves.
_FEW_CHARS: Final = 16_384
# Each round takes its time: of numbers that stand in one piece each may show the next alone, thousands of them.
_ROUNDS_MAX: Final = 16
_PERSONAL: Final = {"card number": "card", "IBAN": "iban"}  # all other numbers: `national_id`


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text without its sensitive values, and how many of each kind were taken out."""

    text: str
    kinds: Counter[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the things that are looked for: `prefilter` is a cheap RE2 pattern that matches every text in which
    `find` finds something."""

    prefilter: str
    find: Callable[[str], Iterable[Sensitive]]
    is_quick: bool = True  # it does not ask RE2 itself


class Rules:
    """What is sensitive: the kinds of `config.sections.SensitiveKind`, and patterns by their names."""

    def __init__(self, kinds: Collection[str], patterns: Mapping[str, str] | None = None) -> None:
        kinds = frozenset(kinds)
        self._personal = kinds & {"card", "iban", "national_id"}
        custom = Custom(patterns or {})
        self._parts = (
            *(part for kind, parts in _PARTS.items() if kind in kinds for part in parts),
            *([Part(personal.PREFILTER, self._numbers)] if self._personal else ()),
            *([Part(custom.prefilter, custom.find, is_quick=False)] if patterns else ()),
        )

    @classmethod
    def usual(cls, patterns: Mapping[str, str]) -> "Rules":
        """What a person would not send to strangers, and `patterns`. Addresses of machines are no secret to
        who reads their traces."""
        return cls(("credentials", "card", "iban", "national_id", "email", "phone"), patterns)

    @property
    def prefilter(self) -> str:
        """A cheap RE2 pattern that matches every text that `mask` changes by these rules."""
        return "|".join(part.prefilter for part in self._parts)

    @property
    def built_in(self) -> list[Part]:
        """All parts but the operator's patterns."""
        return [part for part in self._parts if part.is_quick]

    def suspects(self, texts: Collection[str]) -> dict[str, list[Part]]:
        """Those of `texts` in which something may be sensitive, with the parts that may find it there."""
        if not texts or not self._parts:
            return {}
        some = [*texts]
        if not _are_few(some):
            some = re2.matching(some, self.prefilter)
        few = _are_few(some)
        suspects: dict[str, list[Part]] = {}
        for part in self._parts if some else ():
            for text in some if few and part.is_quick else re2.matching(some, part.prefilter):
                suspects.setdefault(text, []).append(part)
        return suspects

    def find(self, text: str, parts: Iterable[Part] | None = None) -> list[Sensitive]:
        """What is sensitive in `text`, in order of place; some may overlap. With `parts` only what these find."""
        looking = self._parts if parts is None else parts
        return sorted(one for part in looking for one in part.find(text))

    def _numbers(self, text: str) -> Iterator[Sensitive]:
        for one in personal.find(text):
            if _PERSONAL.get(one.kind, "national_id") in self._personal:
                yield one


_PARTS: Final = {
    "credentials": (
        Part(credentials.PREFILTER, credentials.find),
        Part(named.PREFILTER, named.find),
    ),
    "email": (Part(contact.EMAILS_PREFILTER, contact.emails),),
    "phone": (Part(contact.TELEPHONES_PREFILTER, contact.telephones),),
    "ip": (Part(contact.ADDRESSES_PREFILTER, contact.addresses),),
}
USUAL: Final = Rules.usual({})


def _are_few(texts: Collection[str]) -> bool:
    return sum(map(len, texts)) <= _FEW_CHARS


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
    rounds = 0
    parts = None
    while places := rules.find(text, parts):
        if kept is not None:
            places = _outside(places, [match.span() for match in kept.finditer(text)])
        if not places:
            break
        if (rounds := rounds + 1) > _ROUNDS_MAX:
            places = [_to_the_end(text, places[0])]
        text = _without(text, places, stand_in, kinds)
        # A pattern of the operator's may match what stands in: without `kept` there would be no end.
        parts = rules.built_in if kept is None else None
    return Masked(text=text, kinds=kinds)


def _to_the_end(text: str, first: Sensitive) -> Sensitive:
    """`first` and all that stands behind it as one value, for a text that comes to no end otherwise."""
    rest = text[first.start :]
    return Sensitive(first.start, len(text), first.kind, rest, "")


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
