"""The raw tree behind the configuration: nested mappings as YAML files and variables give them."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Final

import yaml

Tree = dict[str, object]
_MISSING: Final = object()


class Unreadable(ValueError):
    """A text is not the YAML mapping it should be; the message names the cure, never the content."""


def text(path: Path) -> str:
    """What the file `path` holds. Raises `Unreadable`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror}): check its path and rights") from error
    except UnicodeDecodeError as error:
        raise Unreadable("is not UTF-8 text") from error


def parse(source: str) -> Tree:
    """The mapping in the YAML (or JSON) text. Raises `Unreadable`, also for a key given twice."""
    try:
        value = yaml.load(source, Loader=_UniqueKeys)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise Unreadable(f"is not YAML{where}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise Unreadable("is not YAML: it holds characters that are not allowed") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable("does not hold `key: value` lines")
    return value


def pairs(source: str) -> Tree:
    """A mapping written into one variable: JSON, or `k=v,k=v`. Raises `Unreadable`."""
    if source.lstrip().startswith("{"):
        try:
            value = json.loads(source)
        except ValueError as error:
            raise Unreadable("is not JSON") from error
        return dict(value)
    tree: Tree = {}
    for part in filter(None, (part.strip() for part in source.split(","))):
        name, equals, content = part.partition("=")
        if not equals or not name.strip():
            raise Unreadable("has a part that is not k=v: write it like k=v,k=v or as JSON")
        tree[name.strip()] = content.strip()
    return tree


def get(tree: Tree, path: tuple[str, ...]) -> object | None:
    """What stands at `path`; `None` when nothing does."""
    value: object = tree
    for name in path:
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
        if value is _MISSING:
            return None
    return value


def put(tree: Tree, path: tuple[str, ...], value: object) -> None:
    """Set what stands at `path`, making the sections on the way; a non-section in the way stays."""
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if inner is None:
            inner = tree[name] = {}
        if not isinstance(inner, dict):
            return
        tree = inner
    tree[path[-1]] = value


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice: the first value would vanish silently."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
