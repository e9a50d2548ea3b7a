"""The configuration as documents: the commented defaults file and the README's table."""

from halo_otel.config.keys import KEYS, Key
from halo_otel.config.load import CONFIG_VARIABLE

_HEAD = f"""\
# Every setting of halo-otel with its default: keep what you change, delete the rest.
# Each key is also a variable (window.length: HALO_WINDOW_LENGTH) that wins over this file; {CONFIG_VARIABLE}
# names this file. Durations are written 30s, 5m or 1h30m; sizes 512KiB, 64MiB or 2GiB.
"""


def defaults_yaml() -> str:
    """A YAML file that holds every default, with help; loading it changes nothing."""
    lines = [_HEAD]
    above: tuple[str, ...] = ()
    for key in KEYS:
        *sections, name = key.path
        for depth, section in enumerate(sections):
            if above[: depth + 1] != tuple(sections[: depth + 1]):
                if depth == 0 and above:
                    lines.append("")
                lines.append(f"{'  ' * depth}{section}:")
        above = key.path
        indent = "  " * len(sections)
        limits = f" ({key.limits})" if key.limits else ""
        unset = "# " if key.default is None else ""
        lines += [f"{indent}# {key.help}{limits}", f"{indent}{unset}{name}: {key.default or ''}"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown_table() -> str:
    """One row for each key: name, default, limits, help and the rule for its variable."""
    head = "| Key | Default | Limits | What it is |\n|---|---|---|---|\n"
    return head + "".join(map(_row, KEYS))


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default is not None else ""
    return f"| `{key.name}`<br>`{key.variable}` | {default} | {key.limits} | {key.help} |\n"
