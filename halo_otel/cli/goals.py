"""A goal tree on the terminal: one line a goal, figures in columns, repetitions once."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from halo_otel.cli.terminal import console, duration, note, safe, write
from halo_otel.reports.words import clip

if TYPE_CHECKING:
    from rich.text import Text

    from halo_otel.model.goal import GoalNode

LINES_MAX: Final = 2000  # of a tree on the terminal, unless all are wanted; the JSON has them all
DEPTH_MAX: Final = 16  # levels, unless more are wanted
DEPTH_OF_ALL_MAX: Final = 100  # a line costs its depth, and senders may nest thousands of spans
REPEATS_MIN: Final = 3  # like goals in a row from which on they are drawn as one
NAME_WIDTH_MIN: Final = 40  # of the names with their guides, however narrow the terminal
SPAN_IDS_FROM: Final = 140  # columns of a terminal that has room for span ids
_GAP: Final = "  "
_STYLES: Final = {"suspect": "yellow", "bad": "red", "recovered": "cyan"}


class _Line(NamedTuple):
    """A goal, or `times` like goals in a row of which this is the first."""

    guides: str
    goal: "GoalNode"
    label: str
    times: int
    time_ns: int
    tokens: int | None
    cost: float | None


def draw(
    nodes: "Sequence[GoalNode]", *, depth: int | None = None, everything: bool = False
) -> None:
    """Draw a tree, `depth` levels of it; with `everything` no line is saved."""
    deepest = min(depth or (DEPTH_OF_ALL_MAX if everything else DEPTH_MAX), DEPTH_OF_ALL_MAX)
    outline = _Outline(nodes, deepest, 0 if everything else REPEATS_MIN)
    lines = list(outline.lines(len(nodes) if everything else LINES_MAX))
    shown = console()
    texts = _aligned(lines, shown.width if shown.is_terminal else None)
    if shown.is_terminal:
        for text in texts:
            shown.print(text, no_wrap=True, crop=True, overflow="crop")
    else:
        write("".join(f"{text.plain}\n" for text in texts), None)
    if outline.left_out:
        note(f"{outline.left_out:,} more goals are not shown: --all or --format json has them")


class _Outline:
    """What of a tree is drawn. `left_out` counts the goals that no line stands for."""

    def __init__(self, nodes: "Sequence[GoalNode]", depth: int, repeats_min: int) -> None:
        self._nodes = list(nodes)
        self._depth = depth
        self._repeats_min = repeats_min
        self._below: list[list[int]] = [[] for _ in self._nodes]
        for place, node in enumerate(self._nodes):
            if node.parent >= 0:
                self._below[node.parent].append(place)
        self._sizes = [1] * len(self._nodes)
        for node in reversed(self._nodes):
            if node.parent >= 0:
                self._sizes[node.parent] += self._sizes[node.index]
        self._likeness = self._likenesses() if repeats_min else []
        self.left_out = 0

    def lines(self, limit: int) -> Iterator[_Line]:
        """At most `limit` lines from top to bottom."""
        self.left_out = len(self._nodes)
        todo = [([place], "", "", 1) for place, n in enumerate(self._nodes) if n.parent < 0]
        while todo and limit:
            limit -= 1
            group, branch, inner, level = todo.pop()
            first = group[0]
            cut = level >= self._depth and self._sizes[first] > 1
            yield self._line(group, branch, cut=cut)
            self.left_out -= 1 + sum(self._sizes[place] for place in group[1:])
            if not cut:
                groups = list(self._groups(self._below[first]))
                for number, below in enumerate(reversed(groups)):
                    last = number == 0
                    lead = (
                        (inner + "└─ ", inner + "   ") if last else (inner + "├─ ", inner + "│  ")
                    )
                    todo.append((below, *lead, level + 1))

    def _groups(self, places: Sequence[int]) -> Iterator[list[int]]:
        """Siblings in order; enough like ones in a row together."""
        start = 0
        while start < len(places):
            end = start + 1
            while self._repeats_min and end < len(places) and self._alike(places, start, end):
                end += 1
            if end - start >= self._repeats_min:
                yield list(places[start:end])
            else:
                yield from ([place] for place in places[start:end])
            start = end

    def _alike(self, places: Sequence[int], one: int, other: int) -> bool:
        return self._likeness[places[one]] == self._likeness[places[other]]

    def _likenesses(self) -> list[int]:
        """Equal numbers for goals that look alike with all below, but for their number and figures."""
        known: dict[object, int] = {}
        likeness = [0] * len(self._nodes)
        for node in reversed(self._nodes):
            verdicts = (node.correctness, node.latency, node.resources)
            below = tuple(likeness[place] for place in self._below[node.index])
            looks = (node.level, _unnumbered(node.name), node.agent, verdicts, below)
            likeness[node.index] = known.setdefault(looks, len(known))
        return likeness

    def _line(self, group: Sequence[int], branch: str, *, cut: bool) -> _Line:
        goals = [self._nodes[place] for place in group]
        first = goals[0]
        label = clip(safe(first.name)) or "(no name)"
        above = self._nodes[first.parent].agent if first.parent >= 0 else None
        if first.agent and first.agent != above and first.agent not in first.name:
            label += f" ({clip(safe(first.agent))})"
        if len(group) > 1:
            label = f"{_unnumbered(label)} × {len(group)}"
        if cut:
            label += f" … {self._sizes[group[0]] - 1:,} below"
        tokens = [goal.tokens for goal in goals if goal.tokens is not None]
        costs = [goal.cost for goal in goals if goal.cost is not None]
        return _Line(
            guides=branch,
            goal=first,
            label=label,
            times=len(group),
            time_ns=max(goal.end_ns for goal in goals) - min(goal.start_ns for goal in goals),
            tokens=sum(tokens) if tokens else None,
            cost=sum(costs) if costs else None,
        )


def _unnumbered(name: str) -> str:
    """`turn 3: search` without its number."""
    head, colon, done = name.partition(": ")
    word, _, number = head.partition(" ")
    return f"{word}{colon}{done}" if colon and number.isdecimal() else name


def _aligned(lines: Sequence[_Line], width: int | None) -> "Iterator[Text]":
    """The lines with their figures in columns; names give way where it is narrow."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    wide = width is None or width >= SPAN_IDS_FROM
    figures = [
        (
            duration(line.time_ns),
            "" if line.tokens is None else f"{line.tokens:,} tokens",
            "" if line.cost is None else f"{line.cost:,.4f} USD",
            line.goal.span_id if wide else "",
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*figures, strict=True)]
    room = max((cell_len(line.guides + line.label) for line in lines), default=0)
    if width is not None:
        taken = sum(len(_GAP) + column for column in widths if column)
        room = min(room, max(NAME_WIDTH_MIN, width - taken - len(_GAP) - _notes_width(lines)))
    for line, cells in zip(lines, figures, strict=True):
        left = room - cell_len(line.guides)
        label = line.label
        if cell_len(label) > left:
            label = set_cell_size(label, max(1, left - 1)).rstrip() + "…"
        text = Text(line.guides, style="dim")
        text.append(
            set_cell_size(label, max(left, 1)), "bold" if line.goal.level <= 2 else "not dim"
        )
        for cell, column in zip(cells, widths, strict=True):
            if column:
                text.append(_GAP + cell.rjust(column), "dim")
        for words, style in _notes(line.goal):
            text.append(_GAP + words, style)
        text.rstrip()
        yield text


def _notes(goal: "GoalNode") -> Iterator[tuple[str, str]]:
    """What is to be said of a goal, with its style; verdicts that are ok go without saying."""
    for what in ("correctness", "latency", "resources"):
        verdict = getattr(goal, what).value
        if verdict in _STYLES:
            yield f"{what} {verdict}", _STYLES[verdict]
    if goal.parallel:
        yield "parallel", "dim"
    if goal.shift_ns:
        sign = "+" if goal.shift_ns > 0 else "-"
        yield f"clock {sign}{duration(abs(goal.shift_ns))}", "dim"


def _notes_width(lines: Sequence[_Line]) -> int:
    """What the notes of most lines need: those beyond are cut by the terminal's edge."""
    found = sorted(sum(len(words) + 2 for words, _ in _notes(line.goal)) for line in lines)
    return found[len(found) * 3 // 4] if found else 0
