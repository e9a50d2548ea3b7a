"""Names of goals: what a person would call them, out of words that strangers wrote."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from halo_otel.analysis.claims.wording import plain

CHARS_MAX: Final = 80
_PURPOSE_CHARS_MAX: Final = 39  # of a tool, and of its argument
_TELLING_CHARS_MIN: Final = 15  # of a sentence that stands for a text
_PURPOSES_MAX: Final = 4  # of a step or an episode; more say nothing
_SENTENCE_END: Final = re.compile(r"(?<=[.!?。！？])\s|\n")
_GREETING: Final = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening))\b[\w ]{0,20}[!,.]\s*", re.IGNORECASE
)
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OPERATION: Final = re.compile(
    r"^(?:execute_tool|invoke_agent|invoke_workflow|retrieval|tools/call) "
)
_WORD: Final = re.compile(r"\w")
_NOT_IN_KEYS: Final = re.compile(r"[\W_]+")

# Where plan tools put their items, what they call the one being worked on, and where its text stands:
# TodoWrite (Claude Code), update_plan (Codex), write_todos (deepagents), manage_todo_list (Copilot).
_PLAN_LISTS: Final = ("todos", "plan", "todoList", "items", "steps", "tasks")
_IN_PROGRESS: Final = frozenset({"inprogress", "active", "doing", "started"})
_PLAN_TEXTS: Final = ("content", "step", "title", "text", "description", "task", "activeForm")


def line(text: str, limit: int = CHARS_MAX) -> str:
    """`text` on one printable line of at most `limit` characters: `plain`, but fast for most."""
    if text.isprintable() and "  " not in text and len(text) <= limit:
        return text.strip()
    return plain(text, limit)


@lru_cache(maxsize=8192)
def sentence(text: str) -> str:
    """The first telling sentence of what somebody asked: not "Hi!" and not "Oh, okay."."""
    text = text.strip().lstrip("#*-> ")
    said = _SENTENCE_END.split(_GREETING.sub("", text) or text, maxsplit=3)
    telling = (part for part in said[:3] if len(part.strip()) >= _TELLING_CHARS_MIN)
    return line(next(telling, said[0]))


@lru_cache(maxsize=8192)
def label(name: str) -> str:
    """A span's name without the operation that conventions put before it: `execute_tool search`."""
    return line(_OPERATION.sub("", name) or name)


@lru_cache(maxsize=8192)
def spoken(tool: str) -> str:
    """`search flights` for `search_flights`, `searchFlights` and `mcp__air__search_flights`."""
    tool = _OPERATION.sub("", tool) or tool
    words = re.sub(r"[_\-.\s]+", " ", _WORD_START.sub(" ", tool.rpartition("__")[2] or tool))
    cased = " ".join(word if word.isupper() else word.lower() for word in words.split())
    return line(cased, _PURPOSE_CHARS_MAX)


def purpose(tool: str, argument: str | None) -> str:
    """What a call is for: `search flights Ulm`."""
    if argument is None or not _WORD.search(argument):
        return spoken(tool)
    return f"{spoken(tool)} {line(argument, _PURPOSE_CHARS_MAX)}"


def listed(done: Iterable[str]) -> str:
    """`search flights × 3, book`, the first few; empty without any."""
    calls = list(done)
    if len(calls) == 1:
        return calls[0]
    counts: dict[str, int] = {}
    for what in calls:
        counts[what] = counts.get(what, 0) + 1
    parts = [f"{what} × {times}" if times > 1 else what for what, times in counts.items()]
    more = len(parts) - _PURPOSES_MAX
    return ", ".join(parts[:_PURPOSES_MAX]) + (f" and {more} more" if more > 0 else "")


def plan_item(arguments: str) -> str | None:
    """The item in progress of a plan that an agent writes down, None if it says of none."""
    try:
        told = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    lists = [told.get(key) for key in _PLAN_LISTS] if isinstance(told, dict) else [told]
    items = next((found for found in lists if isinstance(found, list)), [])
    return next((text for item in items if (text := _in_progress(item))), None)


def same_name(name: str) -> str:
    """A key under which `Refund Agent` and `refund_agent` are one."""
    return _NOT_IN_KEYS.sub("", name).casefold()


def _in_progress(item: Any) -> str | None:
    if not isinstance(item, dict) or same_name(str(item.get("status"))) not in _IN_PROGRESS:
        return None
    texts = (item.get(key) for key in _PLAN_TEXTS)
    return next((line(text) for text in texts if isinstance(text, str) and text.strip()), None)
