"""The figures and names in a sentence, and whether what was verified covers them.

A sentence may say only numbers that were counted again: a predicate's value, a count of the window or of
the contrast, what stands in a quote; thresholds out of a predicate only as such (“at least 3 times”).
Words that stand for numbers or for all of something are figures, too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

_WORDS: Final[dict[str, float]] = {
    **{
        word: number
        for number, word in enumerate(
            "two three four five six seven eight nine ten eleven twelve".split(), start=2
        )
    },
    "zero": 0, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "hundreds": 100,
    "thousand": 1000, "thousands": 1000, "million": 1e6, "millions": 1e6, "dozen": 12, "dozens": 12,
    "twice": 2, "double": 2, "doubles": 2, "triple": 3, "triples": 3,
}  # fmt: skip
_SHARES: Final = {"half": 50.0, "third": 100 / 3, "quarter": 25.0}
_ALL: Final = frozenset("all every each always everywhere everybody entirely consistently".split())
_NONE: Final = frozenset("never none nobody nowhere".split())
_MOST: Final = frozenset("most mostly majority usually".split())

_ROUNDING_MAX: Final = 0.05  # of a value: a third is no 0

_TOKEN: Final = re.compile(r"[#@$€£]?\w[\w.,:/@#+-]*(?:\s?(?:%|percent\b|per cent\b))?")
_NUMBER: Final = re.compile(
    r"[$€£]?(?P<n>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<unit>\s?%|\s?percent|\s?per cent|x|s|ms|st|nd|rd|th)?(?:-[a-z]+)?"
)
_BOUND_BEFORE: Final = re.compile(
    r"(?i)\b(at least|at most|more than|less than|fewer than|over|under|above|below|beyond|up to|within|longer than"
    r"|shorter than|larger than|smaller than|exceed(s|ed|ing)?|limit(ed)? (of|to)|threshold of|minimum of|maximum of)"
    r"\s+\W{0,2}$"
)
_BOUND_AFTER: Final = re.compile(r"(?i)^\s*(\w+ )?or (more|fewer|less|longer|above|below)\b")
_QUOTED: Final = re.compile(r"[\"“”„«»`]([^\"“”„«»`]+)[\"“”„«»`]")


class Count(NamedTuple):
    """A count, or a share of 0 to 1, that may be stated in a sentence with one of these words."""

    value: int | float
    words: str  # a pattern


class Figure(NamedTuple):
    """One number in a sentence. `bound` says that it stands there as a limit."""

    text: str
    value: float
    decimals: int
    percent: bool
    bound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was verified: the main predicate's value, all values, counts and shares that are known without
    them, limits that stand in predicates, texts of quotes, names."""

    main: int | float | str
    values: tuple[int | float | str, ...]
    counts: tuple[Count, ...]
    shares: tuple[Count, ...]
    limits: frozenset[float]
    quoted: str
    names: frozenset[str]

    def covers(self, figure: Figure, sentence: str) -> bool:
        """Whether the figure is one that was verified."""
        if any(says(figure, value) for value in self.values):
            return True
        if figure.percent:
            shares = told(self.shares, sentence)
            return any(_rounded(100 * share, figure) for share in shares) or self._quotes(figure)
        if not figure.decimals and figure.value in told(self.counts, sentence):
            return True
        return (figure.bound and figure.value in self.limits) or self._quotes(figure)

    def _quotes(self, figure: Figure) -> bool:
        return bool(re.search(rf"(?<![\w.]){re.escape(figure.text.strip())}(?![\w])", self.quoted))


def told(counts: tuple[Count, ...], sentence: str) -> list[float]:
    """The counts of what the sentence speaks of."""
    return [one.value for one in counts if re.search(one.words, sentence, re.IGNORECASE)]


def says(figure: Figure, value: int | float | str) -> bool:
    """Whether a figure states `value`, to as many digits as it has."""
    if isinstance(value, str):
        return False
    if figure.percent:  # a count is no share
        return isinstance(value, float) and (
            _rounded(value, figure) or (0 <= value <= 1 and _rounded(100 * value, figure))
        )
    return _rounded(value, figure)


def _rounded(value: float, figure: Figure) -> bool:
    if isinstance(value, int) or float(value).is_integer():
        return float(value) == figure.value
    near = abs(value - figure.value) <= _ROUNDING_MAX * abs(value)
    return near and abs(round(value, figure.decimals) - figure.value) < 1e-9


def figures(sentence: str) -> Iterator[Figure]:
    """The numbers in a sentence, in digits and in words."""
    for text, start, end in _tokens(sentence):
        bound = bool(_BOUND_BEFORE.search(sentence[:start]) or _BOUND_AFTER.match(sentence[end:]))
        if (number := _NUMBER.fullmatch(text)) and number["n"]:
            digits = number["n"].replace(",", "")
            percent = (number["unit"] or "").strip() in ("%", "percent", "per cent")
            yield Figure(number["n"], float(digits), len(digits.partition(".")[2]), percent, bound)
        elif (word := text.lower()) in _WORDS:
            yield Figure(text, _WORDS[word], 0, False, bound)
        elif word in _SHARES:
            yield Figure(text, round(_SHARES[word]), 0, True, bound)


def names(sentence: str) -> Iterator[str]:
    """What only a quote or a name can cover: words with digits in them, and what stands in quotation marks."""
    for found in _QUOTED.finditer(sentence):
        yield found[1].strip()
    for text, _, _ in _tokens(_QUOTED.sub(" ", sentence)):
        if re.search(r"\d", text) and not _NUMBER.fullmatch(text):
            yield text


def _tokens(sentence: str) -> Iterator[tuple[str, int, int]]:
    for found in _TOKEN.finditer(sentence):
        text = found[0].rstrip(".,:;/-+")
        yield text, found.start(), found.start() + len(text)


def unverified(sentence: str, known: Known) -> str | None:
    """The first figure that nothing covers; None if all are covered."""
    stated = list(figures(_QUOTED.sub(" ", sentence)))
    for figure in stated:
        if not known.covers(figure, sentence):
            return figure.text
    if stated and not isinstance(known.main, str) and not any(_tells(f, known) for f in stated):
        return f"{stated[0].text} without the main predicate's {known.main:g}"
    return _quantity(sentence, known)


def _tells(figure: Figure, known: Known) -> bool:
    return says(figure, known.main) or (figure.bound and figure.value in known.limits)


def _quantity(sentence: str, known: Known) -> str | None:
    """The first word for all, none or most that no verified share bears out."""
    shares = told(known.shares, sentence)
    shares += [v for v in known.values if isinstance(v, float) and 0 <= v <= 1]
    shares += [v / 100 for v in known.values if isinstance(v, float) and 1 < v <= 100]
    whole = 1.0 in shares or any(v in told(known.counts, sentence) for v in known.values if v)
    for found in re.finditer(r"[a-z]+", sentence.lower()):
        word = found[0]
        if word in _ALL and not whole:
            return word
        if word in _NONE and 0.0 not in shares and 0 not in known.values:
            return word
        if word in _MOST and not whole and not any(share > 0.5 for share in shares):
            return word
    return None


def unknown_name(sentence: str, known: Known) -> str | None:
    """The first name or quotation that is neither a name of the window nor in a quote; None if all are."""
    for name in names(sentence):
        if name not in known.names and " ".join(name.split()) not in known.quoted:
            return name
    return None
