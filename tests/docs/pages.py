"""The pages that users read, taken apart: what stands in code, in blocks of code, in links and in quotes."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "halo_otel"
# What a shell has seen before the command, and what ends it.
_BEFORE: Final = re.compile(r"[A-Z_]+=\S*")
_END: Final = ("|", "&", ";", "<", ">", "2>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page in Markdown, by its path below the checkout."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def tokens(self) -> Iterator[Token]:
        """Every token, also those within a line."""
        for token in MarkdownIt().enable("table").parse(self.text):
            yield token
            yield from token.children or ()

    def code(self) -> list[str]:
        """What stands between backticks."""
        return [token.content for token in self.tokens() if token.type == "code_inline"]

    def blocks(self, *languages: str) -> list[str]:
        """Blocks of code in one of `languages`; "" are the indented ones."""
        kinds = ("fence", "code_block")
        return [t.content for t in self.tokens() if t.type in kinds and t.info in languages]

    def prose(self) -> str:
        """The text without any code."""
        return " ".join(token.content for token in self.tokens() if token.type == "text")

    def links(self) -> list[str]:
        return [str(t.attrs["href"]) for t in self.tokens() if t.type == "link_open"]

    def anchors(self) -> set[str]:
        """What a link may name behind `#`, as GitHub makes it of headings."""
        tokens = list(self.tokens())
        heads = [tokens[at + 1].content for at, t in enumerate(tokens) if t.type == "heading_open"]
        return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}

    def commands(self) -> list[list[str]]:
        """The words of each command that is in a block for the shell, one or several in a line."""
        lines = "".join(self.blocks("", "sh")).replace("\\\n", " ").splitlines()
        return [words for line in lines for words in _commands(line)]


def _commands(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        parts = list(lexer)
    except ValueError:  # no shell: an example of text
        return
    for part in [*parts, ";"]:
        if part[0] in "|&;<>":
            yield from [words] if words else []
            words = []
        elif words or not _BEFORE.fullmatch(part):
            words.append(part)


@cache
def said() -> str:
    """All texts in the package's source, adjacent ones joined and a hole where a value is put in."""
    files = [path for path in PACKAGE.rglob("*.py") if "_pb" not in path.parts]
    return "\n".join(
        text for path in files for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
    )


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
