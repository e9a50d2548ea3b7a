"""Reads the configuration: a YAML file, then `HALO_…` variables over it, then `…_file` secrets.

    defaults (sections) ◀── YAML file ◀── HALO_… variables ◀── files named by `…_file` keys

All problems are told at once, each with the key's path, what is wrong and the cure. A variable that
is set to nothing counts as not set, as in the Collector's `${env:NAME:-default}`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from halo_otel.config import checks, complaints, tree
from halo_otel.config.keys import KEYS, PREFIX, Key
from halo_otel.config.sections import Config
from halo_otel.errors import ConfigError

CONFIG_VARIABLE: Final = "HALO_CONFIG"
TELEMETRY_VARIABLE: Final = "HALO_TELEMETRY_PATH"
# Variables with our prefix that are not keys: the file itself, the cache of `make collector`, what
# the files in `collector-config/` read, and HALO's own name for the file of `--telemetry`.
OTHER_VARIABLES: Final = frozenset(
    {
        CONFIG_VARIABLE,
        "HALO_CACHE",
        "HALO_ENDPOINT",
        "HALO_FINDINGS_DIRECTORY",
        "HALO_HTTP_ENDPOINT",
        "HALO_QUEUE_DIRECTORY",
        TELEMETRY_VARIABLE,
    }
)
# Kubernetes sets these for every Service in the namespace, so also for one whose name starts with
# `halo` (kubernetes.io, "Service discovery: environment variables").
_SERVICE_LINK: Final = re.compile(
    r"HALO\w*?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_BY_NAME: Final = {key.name: key for key in KEYS}
_BY_VARIABLE: Final = {key.variable: key for key in KEYS}
# `url_file` beside `url`: the value may stand in a file of its own, readable by us alone.
SECRETS: Final[dict[Key, Key]] = {
    key: _BY_NAME[key.name + "_file"] for key in KEYS if key.name + "_file" in _BY_NAME
}


def load_from_environment(path: Path | None) -> Config:
    """`load` with this process's environment; without `path` the file that `HALO_CONFIG` names."""
    named = os.environ.get(CONFIG_VARIABLE)
    return load(path or (Path(named) if named else None), os.environ)


def variable(name: str) -> str:
    """A variable that another tool defines, such as its API key; `""` if it is not set."""
    return os.environ.get(name, "")


def preset_variable(name: str, value: str) -> None:
    """Set a variable that a library reads, unless somebody has set it."""
    os.environ.setdefault(name, value)


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The file `path` (none: only defaults) under the `HALO_…` variables of `environ`.

    Raises `ConfigError` that lists every problem.
    """
    problems: list[str] = []
    raw: tree.Tree = {}
    if path is not None:
        try:
            raw = tree.parse(tree.text(_expanded(path, environ)))
        except (tree.Unreadable, RuntimeError) as error:
            problems.append(f"{path}: {error}")
    problems += _override(raw, environ)
    problems += _locate(raw, environ)
    problems += _read_secrets(raw)
    _fill_sections(raw)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        set_by = {key.name: key.variable for key in KEYS if environ.get(key.variable)}
        problems += complaints.told(error, set_by, {key.name for key in SECRETS})
    else:
        problems += checks.problems(config)
        if not problems:
            return config
    raise ConfigError(complaints.message(path, problems))


def _override(raw: tree.Tree, environ: Mapping[str, str]) -> list[str]:
    """Put the variables' values into `raw`; return the problems."""
    problems = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or not value or name in OTHER_VARIABLES:
            continue
        key = _BY_VARIABLE.get(name)
        if key:
            try:
                tree.put(raw, key.path, tree.pairs(value) if key.kind == "mapping" else value)
            except tree.Unreadable as error:
                problems.append(f"{key.name} ({name}): {error}")
        elif not _SERVICE_LINK.fullmatch(name):
            cure = complaints.near(name, _BY_VARIABLE) or ": unset it"
            problems.append(f"{name}: there is no such setting{cure}")
    return problems


def _locate(raw: tree.Tree, environ: Mapping[str, str]) -> list[str]:
    """Make every path in `raw`, also a default one, absolute; return the problems."""
    problems = []
    for key in KEYS:
        value = tree.get(raw, key.path)
        value = key.field.default if value is None else value
        if key.kind != "path" or not isinstance(value, str | Path):
            continue
        try:
            tree.put(raw, key.path, _expanded(Path(value), environ).absolute())
        except RuntimeError as error:
            problems.append(f"{key.name}: {error}")
    return problems


def _expanded(path: Path, environ: Mapping[str, str]) -> Path:
    """`path` with its `~` replaced; raises `RuntimeError` where there is no home directory."""
    home = environ.get("HOME")
    if home and path.parts[:1] == ("~",):
        return Path(home, *path.parts[1:])
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise RuntimeError(f"{path} needs a home directory: give a full path") from error


def _read_secrets(raw: tree.Tree) -> list[str]:
    """Put what stands in the files that `…_file` keys name into `raw`; return the problems."""
    problems = []
    for key, file_key in SECRETS.items():
        file = tree.get(raw, file_key.path)
        if not isinstance(file, Path):
            continue
        if tree.get(raw, key.path):
            problems.append(f"{file_key.name}: {key.name} is given too: keep one of them")
            continue
        try:
            text = tree.text(file)
            value = tree.parse(text) if key.kind == "mapping" else text.strip()
        except tree.Unreadable as error:
            problems.append(f"{file_key.name}: {file} {error}")
            continue
        if value:
            tree.put(raw, key.path, value)
        else:
            problems.append(f"{file_key.name}: {file} is empty: write {key.name} into it")
    return problems


def _fill_sections(raw: tree.Tree) -> None:
    """`window:` with nothing under it means its defaults, as in the Collector."""
    sections = {key.path[:depth] for key in KEYS for depth in range(1, len(key.path))}
    for path in sorted(sections):
        if tree.get(raw, path) is None:
            tree.put(raw, path, {})
