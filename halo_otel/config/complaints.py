"""What is wrong with a configuration, said so that a person can mend it."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from halo_otel.config.keys import KEYS, Key


def message(path: Path | None, problems: list[str]) -> str:
    """All problems as one text, one line each."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    source = f"{path} and the environment" if path else "the environment"
    return "\n  - ".join([f"{count} in the configuration ({source}):", *problems])


def near(word: str, words: Iterable[str]) -> str:
    """`; did you mean …?` with the most similar word, or nothing."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def told(error: ValidationError, set_by: Mapping[str, str], secret: Collection[str]) -> list[str]:
    """Pydantic's complaints in our words.

    `set_by` maps a key's name to the variable that set it; values of keys in `secret` are not shown.
    """
    problems = []
    for complaint in error.errors(include_url=False, include_context=False):
        path = tuple(map(str, complaint["loc"]))
        name = ".".join(path)
        if complaint["type"] == "extra_forbidden":
            problems.append(f"{name}: there is no such key{_near_key(path)}")
            continue
        key = _key_at(path)
        what = complaint["msg"].removeprefix("Value error, ")
        if complaint["input"] is None:
            what = "has no value: give one or delete the line"
        elif complaint["type"] != "value_error" and key and key.name not in secret:
            what += f", not {complaint['input']!r}"
        if complaint["type"] == "model_type":
            what = "is a section: put its keys below it"
        variable = f" ({set_by[key.name]})" if key and key.name in set_by else ""
        problems.append(f"{name}{variable}: {what[:1].lower()}{what[1:]}")
    return problems


def _key_at(path: tuple[str, ...]) -> Key | None:
    """The key at or above `path` (an entry of a mapping lies below its key)."""
    return next((key for key in KEYS if key.path == path[: len(key.path)]), None)


def _near_key(path: tuple[str, ...]) -> str:
    """The cure for an unknown key: one of its name elsewhere, one like it here, or all there are."""
    above, name = path[:-1], path[-1]
    here = {key.path[len(above)]: None for key in KEYS if key.path[: len(above)] == above}
    if of := _key_at(above):
        here = dict.fromkeys(of.members)
    elsewhere = [key.name for key in KEYS if key.path[-1] == name]
    if len(elsewhere) == 1:
        return f"; did you mean {elsewhere[0]}?"
    close = difflib.get_close_matches(name, here, n=1)
    if close:
        return f"; did you mean {'.'.join((*above, close[0]))}?"
    return f"; here belong {', '.join(here)}"
