"""What the pages name is there: commands and their options, keys, variables, metrics, files, links, messages."""

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main

from halo_otel.analysis.claims import capture
from halo_otel.cli.app import app
from halo_otel.config.keys import KEYS
from halo_otel.config.load import OTHER_VARIABLES
from halo_otel.config.prices import read_prices
from halo_otel.otlp import names
from halo_otel.selfobs import GAUGES, HELP, HISTOGRAMS
from tests.docs.pages import PACKAGE, ROOT, Page, said

PAGES: Final = [
    Page(path=ROOT / name)
    for name in (
        "README.md",
        "deploy/README.md",
        "docs/faults.md",
        "docs/limits.md",
        "docs/sizing.md",
        "docs/troubleshooting.md",
    )
]
TROUBLESHOOTING: Final = PAGES[-1]
each = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

GROUP: Any = typer.main.get_command(app)
CONFIGURED: Final = {key.name for key in KEYS} | {
    ".".join(key.path[:count]) for key in KEYS for count in range(1, len(key.path))
}
# Beginnings by which a name with dots is known to be a key, or the end of one.
KEY: Final = re.compile(
    rf"(?<![\w./-])(?:{'|'.join(sorted({key.path[0] for key in KEYS}))}|auth|tls)(?:\.[a-z_0-9]+)++(?![\w/(-])"
)
# Files whose names look like keys.
FILES: Final = {"registry.sqlite", "redaction.key"}
EMITTED: Final = {value for value in vars(names).values() if isinstance(value, str)}
SERVED: Final = {
    f"{name.replace('.', '_')}{part}"
    for name in HELP
    for part in (
        ("_bucket", "_sum", "_count")
        if name in HISTOGRAMS
        else ("",)
        if name in GAUGES
        else ("_total",)
    )
}
# What is configured beside us, with its files; a page may show a file of its own.
BESIDE: Final = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("collector-config", "deploy")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".yaml", ".tpl", ".txt"}
)
MADE_BY_READERS: Final = {"halo.yaml", "cloud.yaml"}
# Switches of others. What a finding recommends is in `capture`; these are their kin.
SWITCH: Final = re.compile(
    r"\b(?:OTEL|OPENINFERENCE|TRACELOOP|LANGFUSE|LANGSMITH|ADK|CLAUDE)_[A-Z_]+"
)
RECOMMENDED: Final = " ".join((*capture._CONTENT.values(), capture._TRUNCATED))
KIN: Final = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    *(
        f"OPENINFERENCE_HIDE_{way}_{what}"
        for way in ("INPUT", "OUTPUT")
        for what in ("MESSAGES", "TEXT")
    ),
}
BY_OTHERS: Final = {"Exporting failed. Dropping data."}


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and what follows."""
    command, rest = GROUP, words
    while rest and rest[0] in getattr(command, "commands", ()):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def behind_ours(words: list[str]) -> list[str] | None:
    """What follows our name, which may stand behind a command that reaches into a container."""
    ours = [at for at, word in enumerate(words) if word == "halo-otel"]
    reaches = words[:1] in (["docker"], ["kubectl"]) and "exec" in words
    return words[ours[-1] + 1 :] if ours and (reaches or ours[0] == 0) else None


@each
def test_commands_in_blocks_can_be_parsed(page: Page) -> None:
    for words in page.commands():
        if (given := behind_ours(words)) is not None:
            command, rest = command_of(given)
            assert command is not GROUP, words
            command.make_context("halo-otel", list(rest))


@each
def test_commands_in_the_text_exist_with_their_options(page: Page) -> None:
    for code in page.code():
        given = behind_ours(code.split())
        if given and re.fullmatch(r"[a-z]+", given[0]):
            command, rest = command_of(given)
            known = {
                opt for param in command.params for opt in (*param.opts, *param.secondary_opts)
            }
            assert command is not GROUP, code
            assert {word for word in rest if word.startswith("-")} <= known | {"--help"}, code


@each
def test_targets_of_the_makefile_exist(page: Page) -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = [
        words for words in (*page.commands(), *map(str.split, page.code())) if words[:1] == ["make"]
    ]
    assert {word for words in named for word in words[1:2]} <= set(targets)


@each
def test_keys_exist(page: Page) -> None:
    named = set(chain.from_iterable(map(KEY.findall, page.code()))) - FILES
    assert not {
        name for name in named if not any(f".{key}".endswith(f".{name}") for key in CONFIGURED)
    }


@each
def test_defaults_that_stand_behind_a_key_are_its_own(page: Page) -> None:
    """As in "`analysis.trace_settle` (30 s)"."""
    defaults = {key.name: key.default for key in KEYS}
    for name, count, unit in re.findall(
        r"`([\w.]+)` \(([\d,]+) ?(s|min|h|day|[MG]iB|)\)", page.text
    ):
        written = count.replace(",", "") + {"min": "m", "day": "d"}.get(unit, unit)
        assert defaults.get(name, written) == written, name


@each
def test_variables_are_read_by_somebody(page: Page) -> None:
    read = {key.variable for key in KEYS} | OTHER_VARIABLES
    for variable in re.findall(r"\b(?:HALO|OTELCOL)_[A-Z_]+", page.text):
        assert (
            variable in read
            or re.search(rf"\b{variable}\b", BESIDE)
            or f"${{env:{variable}" in page.text
        )


@each
def test_metrics_and_attributes_exist(page: Page) -> None:
    text = " ".join((*page.code(), *page.blocks("", "sh", "yaml")))
    known = EMITTED | HELP.keys() | set(said().splitlines())
    for name in re.findall(r"(?<![\w./-])halo\.[a-z_]+(?:\.[a-z_]+)*(?![\w*-])", text):
        assert name in known | MADE_BY_READERS, name
    attributes = {name.replace(".", "_") for name in EMITTED}
    for name in re.findall(r"(?<![\w./-])halo_[a-z_]+(?![\w/-])", text):
        assert name in SERVED | attributes | {"halo_otel"}, name


@each
def test_attributes_of_metrics_have_such_values(page: Page) -> None:
    for pair in re.findall(r"\{(\w+=\w+)\}", " ".join(page.code())):
        assert set(pair.split("=")) <= _words(), pair


@cache
def _words() -> set[str]:
    """Names of arguments and constants in the package's source."""
    files = [path for path in PACKAGE.rglob("*.py") if "_pb" not in path.parts]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = chain.from_iterable(map(ast.walk, trees))
    return {str(getattr(node, "arg", None) or getattr(node, "value", "")) for node in nodes}


@each
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links():
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (page.path.parent / path).resolve() if path else page.path
            assert target.exists(), link
            assert not anchor or anchor in Page(path=target).anchors(), link


@each
def test_files_exist(page: Page) -> None:
    words = [word for words in page.commands() for word in words] + page.code()
    for word in words:
        for path in re.findall(
            r"^(?:--config=)?((?:\.\./)*(?:deploy|docs|collector-config|halo_otel|tests)/[\w./*-]+)",
            word,
        ):
            assert any(list(base.glob(path)) for base in (ROOT, page.path.parent)), path
        if re.fullmatch(r"[\w.-]+\.yaml", word) and word not in MADE_BY_READERS:
            assert any(
                list((ROOT / folder).rglob(word)) for folder in ("collector-config", "deploy")
            ), word


def test_messages_that_are_quoted_are_ours() -> None:
    texts = [token.content for token in TROUBLESHOOTING.tokens() if token.type == "text"]
    quoted = set(re.findall(r'"([^"]+)"', "\n".join(texts))) - BY_OTHERS
    assert len(quoted) > 10
    for part in chain.from_iterable(quote.split("…") for quote in quoted):
        assert part.strip() in said(), part


def test_every_switch_that_findings_recommend_is_explained_and_no_other() -> None:
    named = set(SWITCH.findall(TROUBLESHOOTING.text))
    assert set(SWITCH.findall(RECOMMENDED)) <= named
    assert named <= set(SWITCH.findall(RECOMMENDED)) | KIN
    for word in (
        "recordInputs",
        "recordOutputs",
        "include_content=True",
        "trace_include_sensitive_data",
    ):
        assert word in RECOMMENDED
        assert word in TROUBLESHOOTING.text


def test_every_reason_of_a_refusal_is_explained() -> None:
    table = TROUBLESHOOTING.text.partition("## Requests are refused")[2].partition("## ")[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert explained - {"reason"} == _reasons() | {"journal_full"}


def _reasons() -> set[str]:
    """What `Overloaded` is raised with in the receiver."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (PACKAGE / "receiver").glob("*.py")]
    return {
        str(node.args[1].value)
        for node in chain.from_iterable(map(ast.walk, trees))
        if isinstance(node, ast.Call)
        and len(node.args) == 2
        and getattr(node.func, "id", "") == "Overloaded"
        if isinstance(node.args[1], ast.Constant)
    }


def test_the_table_of_prices_is_one(tmp_path: Path) -> None:
    (text,) = TROUBLESHOOTING.blocks("toml")
    (tmp_path / "prices.toml").write_text(text, encoding="utf-8")
    (prices,) = read_prices(tmp_path / "prices.toml").lists
    assert prices.models
