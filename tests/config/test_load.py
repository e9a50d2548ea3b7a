"""What `load` reads, in which order, and what it says when it cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import yaml

from halo_otel.config.keys import KEYS, Key, duration
from halo_otel.config.llm import Price
from halo_otel.config.load import CONFIG_VARIABLE, SECRETS, load, load_from_environment
from halo_otel.config.sections import Config, DetectorRule
from halo_otel.errors import ConfigError

PRICES = Path(__file__).parents[2] / "halo_otel" / "agentspan" / "prices.toml"
HOME = {"HOME": "/home/someone"}
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "halo.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(path: Path | None, environ: dict[str, str]) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(ConfigError) as refusal:
        load(path, {**HOME, **environ})
    first, *lines = str(refusal.value).split("\n  - ")
    assert first.startswith(f"{len(lines)} problem"), first
    return lines


RULES = '{"loop": {"enabled": false}}', {"loop": DetectorRule(enabled=False)}


# Keys whose values must be something of their own.
OTHERS: dict[str, tuple[str, object]] = {
    "window.prices_file": (str(PRICES), PRICES),
    "llm.prices": ('{"m": {"input": 2}}', {"m": Price(input=2)}),
    "control.tls.insecure": ("true", True),
    "llm.base_url": ("http://localhost:9/v1", "http://localhost:9/v1"),
}


def another_value(key: Key) -> tuple[str, object]:
    """A legal value of `key` that is not its default: as written, and as it is then read."""
    default = key.field.default
    if key.name in OTHERS or isinstance(default, tuple):
        return OTHERS.get(key.name, ("email, ip", ("email", "ip")))
    if key.kind == "path":
        return "/elsewhere/file", Path("/elsewhere/file")
    if key.kind == "mapping":
        return RULES if key.members else ("a=1,b = two=2", {"a": "1", "b": "two=2"})
    if key.kind == "duration":
        return duration(default + 61), default + 61
    if key.kind == "size":
        other = 1 << 30 if default is None else default + 4096
        return str(other), other
    if isinstance(default, bool):
        return str(not default).lower(), not default
    if isinstance(default, int | float) or {int, float} & {*get_args(key.field.annotation)}:
        other = 1000 if default is None and int in get_args(key.field.annotation) else 1
        return str((default or 0) + other), (default or 0) + other
    if key.name.endswith("endpoint"):
        return "127.0.0.1:9", "127.0.0.1:9"
    if key.limits:
        return next((word, word) for word in key.limits.split(", ") if word != default)
    return "postgresql+psycopg://db/halo", "postgresql+psycopg://db/halo"


def value_of(config: Config, key: Key) -> object:
    value: object = config
    for name in key.path:
        value = getattr(value, name)
    return value


def test_defaults_need_neither_file_nor_variables() -> None:
    config = load(None, HOME)
    assert config.window.length == 300
    assert config.storage.directory == Path("/home/someone/.local/share/halo-otel")
    assert config.journal_directory == config.storage.directory / "journal"


def test_variables_do_not_collide() -> None:
    assert len({key.variable for key in KEYS}) == len(KEYS)


# Files of TLS only make sense together (test_reach.py).
TLS_FILES = ("ca_file", "cert_file", "key_file")
SETTABLE = [key for key in KEYS if key not in SECRETS.values() and not key.name.endswith(TLS_FILES)]


@pytest.mark.parametrize("key", SETTABLE, ids=lambda key: key.name)
def test_every_key_can_be_set_by_its_variable(key: Key) -> None:
    written, read = another_value(key)
    assert value_of(load(None, HOME), key) != read
    assert value_of(load(None, {**HOME, key.variable: written}), key) == read


@pytest.mark.parametrize("key", SETTABLE, ids=lambda key: key.name)
def test_every_key_can_be_set_by_the_file(key: Key, write: Write) -> None:
    written, read = another_value(key)
    as_it_is = key.kind == "mapping" and not key.members
    value: object = read if as_it_is else yaml.safe_load(written)
    for name in reversed(key.path):
        value = {name: value}
    assert value_of(load(write(yaml.safe_dump(value)), HOME), key) == read


def test_a_variable_wins_over_the_file_and_its_neighbours_stay(write: Write) -> None:
    path = write("window: {length: 1m, threads: 3}")
    config = load(path, {**HOME, "HALO_WINDOW_LENGTH": "2m"})
    assert (config.window.length, config.window.threads) == (120, 3)


def test_a_variable_set_to_nothing_is_not_set(write: Write) -> None:
    assert load(write("window: {length: 1m}"), {"HALO_WINDOW_LENGTH": ""}).window.length == 60


@pytest.mark.parametrize("text", ["", "# nothing\n", "window:\nreceivers:\n  otlp:\n"])
def test_empty_files_and_sections_mean_defaults(text: str, write: Write) -> None:
    assert load(write(text), HOME) == load(None, HOME)


def test_headers_may_be_json() -> None:
    headers = {"authorization": "Bearer a=b,c"}
    environ = {**HOME, "HALO_EXPORTERS_OTLP_HEADERS": json.dumps(headers)}
    assert load(None, environ).exporters.otlp.headers == headers


@pytest.mark.parametrize("written", ["~/data", "data", "/data"])
def test_paths_become_absolute(written: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    expected = {"~/data": "/home/someone/data", "data": "/tmp/data", "/data": "/data"}[written]
    assert load(write(f"window: {{directory: {written}}}"), HOME).window_directory == Path(expected)


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql+psycopg://halo:secret@db/halo\n", encoding="utf-8")
    (tmp_path / "headers").write_text("authorization: Bearer token\n", encoding="utf-8")
    config = load(
        None,
        {
            **HOME,
            "HALO_REGISTRY_URL_FILE": str(tmp_path / "url"),
            "HALO_EXPORTERS_OTLP_HEADERS_FILE": str(tmp_path / "headers"),
        },
    )
    assert config.registry_url == "postgresql+psycopg://halo:secret@db/halo"
    assert config.exporters.otlp.headers == {"authorization": "Bearer token"}


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    environ = {"HALO_REGISTRY_URL_FILE": str(tmp_path), "HALO_REGISTRY_URL": "sqlite://"}
    assert problems(None, environ) == [
        "registry.url_file: registry.url is given too: keep one of them"
    ]


def test_an_unreadable_secret_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("authorization: 'Bearer hunter2\n", encoding="utf-8")
    (tmp_path / "empty").touch()
    told = problems(
        None,
        {
            "HALO_EXPORTERS_OTLP_HEADERS_FILE": str(tmp_path / "headers"),
            "HALO_REGISTRY_URL_FILE": str(tmp_path / "empty"),
        },
    )
    assert "hunter2" not in str(told)
    assert (
        told[0] == f"registry.url_file: {tmp_path / 'empty'} is empty: write registry.url into it"
    )
    assert told[1].startswith(f"exporters.otlp.headers_file: {tmp_path / 'headers'} is not YAML")


def test_all_problems_are_told_at_once(write: Write) -> None:
    text = "retention: 4h\nwindow: {lenght: 1m, threads: 0}\nemit: 5\ntelemetry: {log_level:}\n"
    environ = {"HALO_WINDOW_LENGHT": "1m", "HALO_JOURNAL_MAX_BYTES": "lots"}
    assert sorted(problems(write(text), environ)) == sorted(
        [
            "HALO_WINDOW_LENGHT: there is no such setting; did you mean HALO_WINDOW_LENGTH?",
            "emit: is a section: put its keys below it",
            "journal.max_bytes (HALO_JOURNAL_MAX_BYTES): 'lots' is not a size: write it like"
            " 512MiB, 2GiB or 1048576",
            "retention: there is no such key; did you mean window.retention?",
            "telemetry.log_level: has no value: give one or delete the line",
            "window.lenght: there is no such key; did you mean window.length?",
            "window.threads: input should be greater than or equal to 1, not 0",
        ]
    )


def test_an_unknown_key_unlike_any_other_is_told_what_belongs_there(write: Write) -> None:
    assert problems(write("storage: {zzz: 1}"), {}) == [
        "storage.zzz: there is no such key; here belong directory"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is not YAML in line 1, column 5"),
        ("- a\n- b\n", "does not hold `key: value` lines"),
        ("window: {threads: 1}\nwindow: {threads: 2}\n", "the key 'window' is given twice"),
        ("window:\n  threads: 1\n  threads: 2\n", "line 3, column 3: the key 'threads' is given"),
        ("web: {endpoint: \x01}", "is not YAML"),
        ("telemetry: !!python/object:os.system {}", "could not determine a constructor"),
    ],
)
def test_a_bad_file_is_named_with_the_place(text: str, told: str, write: Write) -> None:
    path = write(text)
    [problem] = problems(path, {})
    assert problem.startswith(f"{path}: ")
    assert told in problem


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    assert problems(path, {}) == [
        f"{path}: cannot be read (No such file or directory): check its path and rights"
    ]


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "halo.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert problems(path, {}) == [f"{path}: is not UTF-8 text"]


@pytest.mark.parametrize(
    "value", [".inf", ".nan", "-1s", "5 minutes", "1e9d", "[1]", "{}", "'300'", "true1"]
)
def test_a_bad_duration_is_refused(value: str, write: Write) -> None:
    [problem] = problems(write(f"window: {{length: {value}}}"), {})
    assert problem.startswith("window.length: ")


@pytest.mark.parametrize("written", ["a", "=1", "{", "a=1,b"])
def test_bad_headers_are_refused(written: str) -> None:
    [problem] = problems(None, {"HALO_EXPORTERS_OTLP_HEADERS": written})
    assert problem.startswith("exporters.otlp.headers (HALO_EXPORTERS_OTLP_HEADERS): ")


@pytest.mark.parametrize(
    "name", ["registry.url", "exporters.otlp.headers", "llm.api_key", "llm.headers"]
)
def test_the_value_of_a_secret_is_never_shown(name: str, write: Write) -> None:
    value: object = ["hunter2"]
    for part in reversed(name.split(".")):
        value = {part: value}
    assert "hunter2" not in "".join(problems(write(yaml.safe_dump(value)), {}))


def test_variables_that_kubernetes_sets_for_services_are_not_ours() -> None:
    environ = {
        "HALO_SERVICE_HOST": "10.0.0.1",
        "HALO_OTEL_SERVICE_PORT_OTLP_GRPC": "14317",
        "HALO_OTEL_PORT": "tcp://10.0.0.1:14317",
        "HALO_OTEL_PORT_14317_TCP_ADDR": "10.0.0.1",
    }
    assert load(None, {**HOME, **environ}) == load(None, HOME)


def test_the_process_environment_and_the_file_it_names(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(write("window: {threads: 7}")))
    monkeypatch.setenv("HALO_WINDOW_LENGTH", "7s")
    config = load_from_environment(None)
    assert (config.window.threads, config.window.length) == (7, 7)


def test_no_home_directory_is_a_problem_only_where_it_is_needed() -> None:
    nowhere = {"HALO_STORAGE_DIRECTORY": "~nobody-of-this-name/data", "HOME": ""}
    assert problems(None, nowhere) == [
        "storage.directory: ~nobody-of-this-name/data needs a home directory: give a full path"
    ]
    assert load(None, {"HALO_STORAGE_DIRECTORY": "/data"}).storage.directory == Path("/data")


def test_a_table_of_prices_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    nowhere = tmp_path / "none.toml"
    (told,) = problems(None, {"HALO_WINDOW_PRICES_FILE": str(nowhere)})
    assert told.startswith(f"window.prices_file: cannot read {nowhere}")
