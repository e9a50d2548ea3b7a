"""What git says of a tree, asked so that nothing of the repository's is executed.

A repository's own configuration can name programs (git-config(1)): fsmonitor, hooks, pagers, external diffs,
text conversions, filters, signature checks, transports of a partial clone. Each is switched off below, and
git is asked for nothing that needs one: files are blamed as they are committed, since to read them from the
disk would run a filter.
"""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Final, Literal, TypeAlias

from halo_otel.errors import ConfigError, NotFound

TIMEOUT_S: Final = 10.0
OUTPUT_BYTES_MAX: Final = 16 << 20  # the paths of some 200,000 files
Subcommand: TypeAlias = Literal["ls-files", "log", "blame", "show"]

_SETTINGS: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.untrackedCache=false",
    "log.showSignature=false",
    "log.mailmap=false",
    "protocol.allow=never",
)
_ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",  # a path is a path, never `:(top)` or a pattern
    "GIT_NO_LAZY_FETCH": "1",  # what a partial clone lacks stays away
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # nothing is written, not even a fresher index
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "PATH": os.defpath,
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """git over the part of a repository that lies below `root`; made by `git_of`."""

    program: str
    root: Path
    top: Path  # the work tree that `root` lies in

    def ask(self, subcommand: Subcommand, *options: str, path: str = "") -> str:
        """What git answers about `path` below the root, everything by default; at most OUTPUT_BYTES_MAX.

        `options` are ours: whatever a stranger wrote must have been matched against a pattern. Raises
        NotFound if git has no answer, or none in time.
        """
        settings = [part for one in _SETTINGS for part in ("-c", one)]
        command = [self.program, "--no-pager", *settings, subcommand, *options, "--", path or "."]
        try:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise NotFound(f"git cannot be asked any more: {error.strerror}") from error
        output, is_cut = _read(process)
        if process.returncode and not is_cut:
            raise NotFound(f"git {subcommand} has no answer to that, or none in {TIMEOUT_S:.0f} s")
        return output.decode("utf-8", "replace")

    def _environment(self) -> dict[str, str]:
        """Nothing of ours, and no search for a repository: the tree could hold one that is not its own."""
        place = {"GIT_DIR": str(self.top / ".git"), "GIT_WORK_TREE": str(self.top)}
        return {**_ENVIRONMENT, **place}


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, bool]:
    """What the process writes until it ends or is ended, and whether it would have written more."""
    timer = Timer(TIMEOUT_S, _end, [process])
    timer.start()
    with process:
        assert process.stdout is not None
        output = process.stdout.read(OUTPUT_BYTES_MAX)
        is_cut = bool(process.stdout.read(1))
        if is_cut:
            _end(process)
    timer.cancel()
    return output, is_cut


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and all it started: a child that lives on would keep the output open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def git_of(root: Path) -> Git | None:
    """git over `root`, an absolute path without links; None if it lies in no repository or there is no git.

    Raises ConfigError where `.git` leads somewhere else than to the repository of this work tree: history
    would be that of another directory.
    """
    top = next((one for one in (root, *root.parents) if os.path.lexists(one / ".git")), None)
    program = shutil.which("git")
    if top is None or program is None:
        return None
    if not _is_own(top / ".git"):
        raise ConfigError(
            f"llm.code: {top / '.git'} leads elsewhere and nothing there names this directory: give a"
            " clone, a work tree of git's, or a plain directory"
        )
    return Git(program=program, root=root, top=top)


def _is_own(entry: Path) -> bool:
    """Whether `.git` is the repository itself, or a link of git's to one that links back: that of a further
    work tree (gitrepository-layout(5), `worktrees/<id>/gitdir`)."""
    if entry.is_symlink():
        return False
    if entry.is_dir():
        return True
    try:
        target = entry.parent / entry.read_text("utf-8").removeprefix("gitdir:").strip()
        back = target / (target / "gitdir").read_text("utf-8").strip()
    except (OSError, ValueError):
        return False
    return back.resolve() == entry.resolve()
