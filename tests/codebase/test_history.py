"""What git tells, and that it runs nothing of the repository's."""

from dataclasses import replace
from pathlib import Path

import pytest

from halo_otel.codebase import git as asking
from halo_otel.codebase.history import History
from halo_otel.codebase.tree import Codebase
from halo_otel.errors import BadRequest, NotFound
from tests.codebase.repositories import AGENT, committed, git, repository, trapped, written
from tests.codebase.test_tree import STRANGE


@pytest.fixture
def code(tmp_path: Path) -> Codebase:
    return Codebase.open(repository(tmp_path / "code"))


def history_of(code: Codebase) -> History:
    assert code.history is not None
    return code.history


def test_the_log_tells_what_changed_when(code: Codebase) -> None:
    history = history_of(code)
    latest, first = history.log(limit=9)
    assert (latest.subject, latest.day) == ("Retry more often", "2026-11-10")
    assert latest.commit == git(code.root, "rev-parse", "HEAD")
    assert history.log("README.md", limit=9) == [first]
    assert history.log(limit=1) == [latest]
    assert history.log(limit=9, since="2026-11-10") == [latest]
    assert history.log(limit=9, until="2026-11-01") == [first]
    assert history.log(limit=9, text="RETRY") == [latest]
    assert history.log(limit=9, text="Re.ry") == []
    assert history.log("src/agent.py", limit=9, since="2030-01-01") == []


def test_blame_tells_whence_a_line_comes(code: Codebase) -> None:
    history = history_of(code)
    latest, first = history.log(limit=2)
    blamed = history.blame("src/agent.py", 1, 4)
    assert [one.line for one in blamed] == [1, 2, 3, 4]
    assert [one.text for one in blamed] == AGENT.split("\n")[:4]
    assert (blamed[0].commit, blamed[0].day) == (latest.commit, "2026-11-10")
    assert (blamed[3].commit, blamed[3].subject) == (first.commit, "Book what was found")
    with pytest.raises(NotFound):
        history.blame("src/agent.py", 900, 901)


def test_show_tells_the_change(code: Codebase) -> None:
    history = history_of(code)
    latest, first = history.log(limit=2)
    shown, lines = history.show(latest.commit[:7])
    assert shown == latest
    assert "-MAX_RETRIES = 5" in lines
    assert "+MAX_RETRIES = 50" in lines
    _, readme = history.show(first.commit, "README.md")
    assert [line for line in readme if line.startswith("+++")] == ["+++ b/README.md"]
    assert history.show(latest.commit, "README.md") == (latest, [])


def test_nobody_is_named(code: Codebase) -> None:
    history = history_of(code)
    (latest, _) = history.log(limit=2)
    told = repr(
        [history.log(limit=9), history.blame("src/agent.py", 1, 9), history.show(latest.commit)]
    )
    assert "omebody" not in told


def test_secrets_of_the_past_stay_there(code: Codebase) -> None:
    with_secret = committed(code.root, "Oops: TOKEN", day="2026-11-12")
    history = history_of(code)
    _, lines = history.show(with_secret)
    assert any(line.startswith("+++ b/local/notes.txt") for line in lines)
    assert not any("TOKEN" in line for line in lines)
    blob = git(code.root, "rev-parse", "HEAD:.env")
    for commit in (blob, git(code.root, "rev-parse", "HEAD^{tree}")):
        with pytest.raises(NotFound):
            history.show(commit)
    for path in (".env", "keys/server.pem"):
        for ask in (
            lambda path=path: history.log(path, limit=1),
            lambda path=path: history.blame(path, 1, 1),
            lambda path=path: history.show(with_secret, path),
        ):
            with pytest.raises(NotFound):
                ask()


@pytest.mark.parametrize("path", [one for one in STRANGE if one not in (":/", "*")])
def test_a_strange_path_has_no_history(code: Codebase, path: str) -> None:
    history = history_of(code)
    (latest, _) = history.log(limit=2)
    try:
        assert history.log(path, limit=9) == []
        assert history.show(latest.commit, path) == (latest, [])
    except NotFound:
        pass
    with pytest.raises(NotFound):
        history.blame(path, 1, 2)
    assert {one.name for one in code.root.parent.iterdir()} == {"code"}


@pytest.mark.parametrize(
    "commit",
    [
        *(
            "--output=x",
            "-p",
            "HEAD",
            "main",
            "HEAD:.env",
            "abcdef",
            "0" * 65,
            "0123456\n",
            "٠١٢٣٤٥٦٧",
        ),
        *("0123456..0123457", "0123456:.env", "ABCDEF0", ""),
    ],
)
def test_a_commit_is_its_digits(code: Codebase, commit: str) -> None:
    with pytest.raises(BadRequest):
        history_of(code).show(commit)
    assert not list(code.root.rglob("x"))


@pytest.mark.parametrize("day", ["yesterday", "--all", "2026-11-1", "2026-11-01 --all", ""])
def test_a_day_is_a_date(code: Codebase, day: str) -> None:
    for name in ("since", "until"):
        with pytest.raises(BadRequest):
            history_of(code).log(limit=9, **{name: day})


@pytest.mark.parametrize("text", ["", "a\nb", "\0"])
def test_a_text_is_of_one_line(code: Codebase, text: str) -> None:
    with pytest.raises(BadRequest):
        history_of(code).log(limit=9, text=text)
    assert history_of(code).log(limit=9, text="--all") == []


def test_an_unknown_commit_is_told(code: Codebase) -> None:
    with pytest.raises(NotFound):
        history_of(code).show("0123456789")


def test_a_repository_without_commits_has_files_and_no_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    code = Codebase.open(written(tmp_path, {"x.py": "x"}))
    assert code.files() == ["x.py"]
    with pytest.raises(NotFound):
        history_of(code).log(limit=1)


def test_nothing_of_a_repository_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = Codebase.open(trapped(tmp_path / "code", mark))
    history = history_of(code)
    assert "src/agent.py" in code.files()
    latest, *_ = history.log(limit=9)
    assert latest.subject == "Attributes"
    assert history.blame("src/agent.py", 1, 3)
    assert history.show(latest.commit)[1]
    assert code.matches("MAX")[0]
    # An object that a partial clone has not.
    for path in (code.root / ".git" / "objects").glob("??/*"):
        path.unlink()
    with pytest.raises(NotFound):
        history.show(latest.commit)
    assert not mark.exists(), mark.read_text("utf-8")


def test_the_trap_is_one(tmp_path: Path) -> None:
    """Git that is asked plainly does run them: else the test above could not fail."""
    mark = tmp_path / "mark"
    root = trapped(tmp_path / "code", mark)
    git(root, "-c", f"core.worktree={root}", "-c", "alias.x=", "ls-files", "--others")
    assert mark.exists()


def test_nothing_is_written(code: Codebase) -> None:
    def state() -> list[tuple[str, int, int]]:
        return sorted(
            (str(path), path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in code.root.rglob("*")
        )

    before = state()
    history = history_of(code)
    history.blame("src/agent.py", 1, 2)
    history.show(history.log(limit=1)[0].commit)
    code.files()
    assert state() == before


def test_what_is_too_much_is_cut(code: Codebase, monkeypatch: pytest.MonkeyPatch) -> None:
    written(code.root, {"src/agent.py": "x = 1\n" * 200_000})
    huge = committed(code.root, "Much")
    monkeypatch.setattr(asking, "OUTPUT_BYTES_MAX", 5_000)
    _, lines = history_of(code).show(huge, "src/agent.py")
    assert 500 < len(lines) < 900


def test_what_takes_too_long_is_ended(
    code: Codebase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_S", 0.1)
    endless = written(tmp_path, {"endless": "#!/bin/sh\nexec tail -f /dev/null\n"}) / "endless"
    endless.chmod(0o755)
    assert code.git is not None
    with pytest.raises(NotFound, match="none in"):
        replace(code.git, program=str(endless)).ask("log")
    with pytest.raises(NotFound, match="any more"):
        replace(code.git, program=str(tmp_path / "gone")).ask("log")
