"""What of a directory is shown, and that nothing outside of it ever is."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.codebase import tree
from halo_otel.codebase.tree import Codebase, Entry
from halo_otel.errors import BadRequest, ConfigError, NotFound
from tests.codebase.repositories import AGENT, FILES, HIDDEN, committed, git, repository, written

OUTSIDE = "what stands outside"


@pytest.fixture
def code(tmp_path: Path) -> Codebase:
    written(tmp_path, {"outside.txt": OUTSIDE})
    return Codebase.open(repository(tmp_path / "code"))


@pytest.fixture
def plain(tmp_path: Path) -> Codebase:
    """Without git."""
    root = written(tmp_path / "plain", {**FILES, **HIDDEN, "node_modules/x/index.js": "x"})
    return Codebase.open(root)


def test_a_repository_shows_what_git_does_not_ignore(code: Codebase) -> None:
    assert code.files() == sorted(FILES)
    written(code.root, {"src/new.py": "x = 1\n"})
    assert "src/new.py" in code.files()
    (code.root / "README.md").unlink()
    assert "README.md" not in code.files()


def test_a_directory_without_git_is_looked_at_as_well(plain: Codebase) -> None:
    assert plain.history is None
    assert plain.lines("src/agent.py") == AGENT.splitlines()
    shown = set(plain.files())
    assert set(FILES) <= shown
    assert not shown & (set(HIDDEN) - {"run.log", "local/notes.txt"})
    assert not any("node_modules" in path for path in shown)


def test_without_the_program_a_repository_is_a_directory(
    code: Codebase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bare = Codebase.open(code.root)
    assert bare.history is None
    assert set(FILES) - {".gitignore"} <= set(bare.files())
    assert not any(path.startswith(".git/") for path in bare.files())


@pytest.mark.parametrize("path", sorted(HIDDEN))
def test_what_is_hidden_is_nowhere(code: Codebase, path: str) -> None:
    with pytest.raises(NotFound):
        code.lines(path)
    assert not any(path == one.path for one in code.tree(depth=9))
    assert code.matches("TOKEN|rsa|pem|noise|mine") == ([], True)


STRANGE = [
    "../outside.txt",
    "src/../../outside.txt",
    "/etc/passwd",
    "~/x",
    ".git/config",
    "src/../.git/config",
    ".GIT/config",
    "--output=x",
    "-c",
    ":(top)outside.txt",
    ":/",
    ":!src",
    "*",
    "src/*.py",
    "a\0b",
    "a\nb",
    "..\\outside.txt",
    "x" * 5000,
    "src/agent.py/x",
    "nowhere",
]


@pytest.mark.parametrize("path", STRANGE)
def test_a_strange_path_leads_nowhere(code: Codebase, plain: Codebase, path: str) -> None:
    for one in (code, plain):
        with pytest.raises(NotFound):
            one.lines(path)
        try:
            assert one.files(path) == []
        except NotFound:
            pass
    assert not list(code.root.glob("x*"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(st.sampled_from("./\\~-:*sroutidecagnt\0é"), max_size=24))
def test_no_path_leads_out(plain: Codebase, path: str) -> None:
    try:
        assert OUTSIDE not in "\n".join(plain.lines(path))
    except NotFound:
        pass


def test_links_are_not_followed(code: Codebase, tmp_path: Path) -> None:
    (code.root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (code.root / "env.txt").symlink_to(code.root / ".env")
    (code.root / "folder").symlink_to(tmp_path)
    # A folder that git knows, in whose place a link was put afterwards.
    written(code.root, {"was/outside.txt": "inside"})
    committed(code.root, "was a folder")
    (code.root / "was" / "outside.txt").unlink()
    (code.root / "was").rmdir()
    (code.root / "was").symlink_to(tmp_path)
    for path in ("link.txt", "env.txt", "folder/outside.txt", "was/outside.txt"):
        with pytest.raises(NotFound):
            code.lines(path)
        assert path not in code.files()
    assert code.matches(OUTSIDE)[0] == []


def test_the_directory_itself_may_be_a_link(code: Codebase, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(code.root)
    assert Codebase.open(tmp_path / "here").files() == code.files()


def test_a_part_of_a_repository_shows_that_part(code: Codebase) -> None:
    part = Codebase.open(code.root / "src")
    assert part.files() == ["agent.py", "tools/search.py"]
    assert part.history is not None
    (_, first) = part.history.log(limit=9)
    _, lines = part.history.show(first.commit)
    assert "+++ b/agent.py" in lines
    assert not any("README" in line for line in lines)


def test_folders_are_summed_up(code: Codebase) -> None:
    size = len(AGENT.encode())
    search = len(FILES["src/tools/search.py"])
    assert code.tree(depth=1)[-1] == Entry(path="src/", files=2, size_bytes=size + search)
    assert code.tree("src", depth=1) == [
        Entry(path="src/agent.py", files=1, size_bytes=size),
        Entry(path="src/tools/", files=1, size_bytes=search),
    ]
    assert code.tree("./src/", depth=1) == code.tree("src", depth=1)
    assert code.tree(".", depth=9) == code.tree(depth=9)


def test_a_deep_tree_is_no_trouble(plain: Codebase) -> None:
    deep = "/".join(["d"] * 120)
    written(plain.root, {f"{deep}/x.py": "deep = 1\n"})
    assert plain.lines(f"{deep}/x.py") == ["deep = 1"]
    assert plain.tree("d", depth=1) == [Entry(path="d/d/", files=1, size_bytes=9)]


def test_only_text_of_a_sensible_size_is_read(code: Codebase) -> None:
    (code.root / "logo.py").write_bytes(b"\x89PNG\0\0needle")
    (code.root / "huge.py").write_bytes(b"needle\n" * 300_000)
    key = "-----BEGIN RSA PRIVATE KEY-----\nneedle"
    written(code.root, {"fixtures.py": f'KEY = """{key}"""\n'})
    os.mkfifo(code.root / "pipe.py")
    for path in ("logo.py", "huge.py", "fixtures.py", "pipe.py"):
        with pytest.raises(NotFound):
            code.lines(path)
    assert code.matches("needle") == ([], True)


def test_lines_are_those_of_editors(code: Codebase) -> None:
    (code.root / "odd.py").write_bytes(
        b"\xef\xbb\xbfone\r\ntwo\x0cpage\xe2\x80\xa8still two\n\xff\xfe three"
    )
    assert code.lines("odd.py") == ["one", "two\x0cpage\u2028still two", "\ufffd\ufffd three"]
    written(code.root, {"empty.py": ""})
    assert code.lines("empty.py") == []


def test_a_search_gives_places(code: Codebase) -> None:
    found, is_all = code.matches(r"MAX_\w+")
    assert is_all
    assert [(one.path, one.line) for one in found] == [("src/agent.py", 1), ("src/agent.py", 6)]
    assert found[0].text == "MAX_RETRIES = 50"
    assert code.matches("max_retries", ignore_case=True)[0] == found
    assert code.matches("max_retries")[0] == []
    assert code.matches("def ", "**/*.py", below="src/tools")[0][0].path == "src/tools/search.py"
    assert code.matches("def ", "*.md")[0] == []


def test_a_search_ends(code: Codebase, monkeypatch: pytest.MonkeyPatch) -> None:
    written(code.root, {"many.py": "x\n" * 2000, "z.py": "x\n"})
    found, is_all = code.matches("x", "many.py")
    assert (len(found), is_all) == (tree.MATCHES_MAX, False)
    monkeypatch.setattr(tree, "SEARCHED_BYTES_MAX", 1000)
    assert code.matches("nothing") == ([], False)


@pytest.mark.parametrize(
    "pattern", ["(", "[", r"(a)\1", "a{50}{50}", "(?=a)", "x" * 201, "a{,", "*"]
)
def test_a_pattern_that_is_none_is_told(code: Codebase, pattern: str) -> None:
    if pattern == "a{,":
        assert code.matches(pattern) == ([], True)
        return
    with pytest.raises(BadRequest):
        code.matches(pattern)


def test_a_pattern_that_others_choke_on_is_answered(code: Codebase) -> None:
    written(code.root, {"a.py": "a" * 200_000 + "\n"})
    assert code.matches("(a+)+$b|(a|a)*c|(.*a){20}d", "a.py") == ([], True)


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"file": "x", "only/.env": "x"})
    for path in ("file", "nowhere", "only"):
        with pytest.raises(ConfigError, match=r"llm\.code"):
            Codebase.open(tmp_path / path)


def test_a_repository_elsewhere_is_refused(code: Codebase, tmp_path: Path) -> None:
    """A tree that says its history is that of another directory."""
    thief = written(tmp_path / "thief", {"x.py": "x", ".git": f"gitdir: {code.root / '.git'}\n"})
    with pytest.raises(ConfigError, match="leads elsewhere"):
        Codebase.open(thief)
    (thief / ".git").unlink()
    (thief / ".git").symlink_to(code.root / ".git")
    with pytest.raises(ConfigError, match="leads elsewhere"):
        Codebase.open(thief)


def test_a_work_tree_of_gits_is_a_repository(code: Codebase, tmp_path: Path) -> None:
    git(code.root, "worktree", "add", "--quiet", str(tmp_path / "other"))
    other = Codebase.open(tmp_path / "other")
    assert other.files() == sorted(FILES)
    assert other.history is not None
    assert len(other.history.log(limit=9)) == 2


def test_a_damaged_repository_is_refused(code: Codebase) -> None:
    (code.root / ".git" / "index").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="damaged"):
        Codebase.open(code.root)


def test_a_repository_within_is_not_asked(tmp_path: Path) -> None:
    """What looks like a bare repository in the tree has a configuration of its own."""
    mark = tmp_path / "mark"
    root = written(tmp_path / "tree", {"x.py": "x"})
    git(tmp_path, "init", "--quiet", "--bare", str(root / "inner"))
    with (root / "inner" / "config").open("a", encoding="utf-8") as file:
        file.write(f"[core]\n\tfsmonitor = echo > {mark}\n")
    inner = Codebase.open(root / "inner")
    assert inner.git is None
    assert not mark.exists()
