"""What the Helm chart holds that comes from elsewhere: copies, the schema of `config`, the README's table of values.

`make docs` runs it by way of docs.py; tests/deploy checks that nothing has changed since.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from halo_otel.config.keys import KEYS

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "halo-otel"
BEGIN, END = "<!-- values: begin -->\n", "<!-- values: end -->"


def written() -> dict[Path, str]:
    """The text of every file that is made here."""
    rules = ROOT / "deploy" / "prometheus" / "halo-otel.rules.yaml"
    dashboards = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
    readme, schema = CHART / "README.md", CHART / "values.schema.json"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    values = json.loads(schema.read_text(encoding="utf-8"))
    values["properties"]["config"] = config_schema()
    copies = {
        CHART / "files" / rules.name: rules,
        **{CHART / "files" / "dashboards" / file.name: file for file in dashboards},
    }
    return {
        readme: f"{before}{BEGIN}{table()}{END}{after}",
        schema: json.dumps(values, indent=2) + "\n",
        **{copy: file.read_text(encoding="utf-8") for copy, file in copies.items()},
    }


def config_schema() -> dict[str, Any]:
    """The keys of halo.yaml; what their values may be the service says when it starts."""
    top: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    for key in KEYS:
        section = top
        for name in key.path[:-1]:
            empty = {"type": "object", "additionalProperties": False, "properties": {}}
            section = section["properties"].setdefault(name, empty)
        section["properties"][key.path[-1]] = {}
    return top


def table() -> str:
    """One row for each value: name, default, and the comment above it in values.yaml."""
    rows = [f"| `{name}` | {_cell(default)} | {help} |\n" for name, default, help in values()]
    return "| Value | Default | What it is |\n|---|---|---|\n" + "".join(rows)


def values() -> Iterator[tuple[str, object, str]]:
    """Dotted name, default and comment of each value in values.yaml that has a comment, in order."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    yield from _values(root, yaml.safe_load(text), lines, ())


def _values(
    node: yaml.Node, loaded: Any, lines: list[str], path: tuple[str, ...]
) -> Iterator[tuple[str, object, str]]:
    for name_node, value in node.value:
        name = (*path, name_node.value)
        default = loaded[name_node.value]
        block = isinstance(value, yaml.MappingNode) and not value.flow_style
        inner = list(_values(value, default, lines, name)) if block else []
        if help := _comment(lines, name_node.start_mark.line):
            yield ".".join(name), "" if inner else default, help
        yield from inner


def _comment(lines: list[str], line: int) -> str:
    """The comment that ends right above `line`."""
    above: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].lstrip()[1:].strip())
    return " ".join(above)


def _cell(default: object) -> str:
    return f"`{json.dumps(default)}`" if default not in ("", None) else ""


def write() -> None:
    """Write what is made here, and take away copies of what is no more."""
    made = written()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for copy in _copies() - made.keys():
        copy.unlink()


def differing() -> list[Path]:
    """The files that `write` would change."""
    made = written()
    changed = {
        path
        for path, text in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    return sorted(changed | (_copies() - made.keys()))


def _copies() -> set[Path]:
    return set((CHART / "files").rglob("*.*"))


if __name__ == "__main__":
    if "--check" not in sys.argv:
        write()
    for path in differing():
        sys.exit(f"{path} is not what it is made from: run `make docs`")
