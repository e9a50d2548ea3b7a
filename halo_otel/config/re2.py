"""The operator's patterns, judged by the engine that will run them: RE2, which comes with Arrow."""

from collections.abc import Mapping
from typing import Final

# What a person reads in place of a value, and what RE2 compiles in no time.
_NAME_CHARS_MAX: Final = 40
_PATTERN_CHARS_MAX: Final = 1000
_ANYTHING: Final = ("a b", "0 1", "- +")  # have nothing in common that a secret has


def problems(path: str, patterns: Mapping[str, str]) -> list[str]:
    """What is wrong with `patterns`, a mapping of names at `path`, as `key: what is wrong and the cure`."""
    told = []
    for name, pattern in patterns.items():
        plain = name.replace(" ", "").replace("_", "").replace("-", "")
        if (
            not (plain.isascii() and plain.isalnum() and name[0].isalpha())
            or len(name) > _NAME_CHARS_MAX
        ):
            told.append(
                f"{path}: {name!r} is no name: use up to {_NAME_CHARS_MAX} letters, digits, spaces, _ -"
            )
        elif len(pattern) > _PATTERN_CHARS_MAX:
            told.append(
                f"{path}.{name}: has more than {_PATTERN_CHARS_MAX} characters: make it several"
            )
        elif why := _complaint(pattern):
            told.append(f"{path}.{name}: {why}; RE2 knows no look-around and no back-references")
    together = "|".join(f"({one})" for one in patterns.values())
    # Behind a sign, as each may match what the others do not.
    if not told and patterns and (why := _complaint(f"\\A#(?:{together})")):
        told.append(f"{path}: all together: {why}")
    return told


def _complaint(pattern: str) -> str | None:
    """Why `pattern` is none; None if it is one."""
    import pyarrow as pa  # costs 40 MB: only where there are patterns
    import pyarrow.compute as pc

    try:
        found = pc.match_substring_regex(pa.array(["", *_ANYTHING]), pattern=pattern).to_pylist()
    except pa.ArrowInvalid as error:
        return str(error).removeprefix("Invalid regular expression: ")
    if found[0]:
        return "matches the empty text, so it would match everywhere"
    return "matches any text, so nothing would be left" if all(found[1:]) else None
