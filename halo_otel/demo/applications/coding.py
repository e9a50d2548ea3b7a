"""A coding agent: an engineer who edits and tests, and a reviewer he asks."""

from typing import Final

from halo_otel.demo.faults import FaultKind
from halo_otel.demo.recording import Agent, Json, Run, Tool, Use

LIST_FILES = Tool(name="list_files", median_s=0.05)
READ_FILE = Tool(name="read_file", median_s=0.03)
SEARCH_CODE = Tool(name="search_code", median_s=0.2, sigma=0.6)
EDIT_FILE = Tool(name="edit_file", median_s=0.06)
RUN_TESTS = Tool(name="run_tests", median_s=6.0, sigma=1.0)
GIT_DIFF = Tool(name="git_diff", median_s=0.08)
GIT_COMMIT = Tool(name="git_commit", median_s=0.15)
START_BUILD = Tool(name="start_build", median_s=0.4, host="builds.example.net")
BUILD_STATUS = Tool(name="get_build_status", median_s=0.2, host="builds.example.net")
FETCH_ISSUE = Tool(name="fetch_issue", median_s=0.5, host="tracker.example.net")
CHECK_CANCELLED = Tool(name="check_cancelled", median_s=0.01)

MODULES: Final = (
    "parser", "router", "cache", "session", "billing", "export", "search", "upload", "mailer",
    "scheduler", "metrics", "login", "templates", "queue", "storage", "locale",
)  # fmt: skip
SYMPTOMS: Final = (
    "drops the last row", "ignores the time zone", "raises on empty input", "leaks a connection",
    "returns stale data", "is off by one", "swallows errors", "times out under load",
)  # fmt: skip


def fix_bug(run: Run) -> None:
    """Read, then edit and test until green; the tests' output often stays the same for a while."""
    module, symptom = run.topic.choice(MODULES), run.topic.choice(SYMPTOMS)
    with run.agent("engineer", f"Fix: {module} {symptom}.") as engineer:
        issue = run.topic.randrange(100, 9999)
        engineer.use(
            FETCH_ISSUE, {"number": issue}, {"number": issue, "title": f"{module} {symptom}"}
        )
        engineer.use(LIST_FILES, {"path": f"src/{module}"}, _files(run, module))
        _poll_cancelled(engineer)
        engineer.perform_together([_reading(run, path) for path in _some_files(run, module)])
        engineer.use(SEARCH_CODE, {"pattern": f"def {module}_"}, [f"src/{module}/core.py:41"])
        _edit_and_test(engineer, module)
        _poll_cancelled(engineer)
        if run.rng.random() < 0.4:
            _review(engineer, module)
        engineer.use(GIT_COMMIT, {"message": f"{module}: {symptom} no more"}, {"commit": _sha(run)})
        engineer.answer(f"Fixed: {module} no longer {symptom}.")


def _edit_and_test(engineer: Agent, module: str) -> None:
    rng = engineer.run.rng
    failing = rng.randrange(1, 5)
    for attempt in range(1, rng.randrange(2, 7)):
        body = (
            f"def {module}_step(rows):\n    return [r for r in rows if r.id > {rng.randrange(99)}]"
        )
        engineer.use(EDIT_FILE, {"path": f"src/{module}/core.py", "text": body}, {"ok": True})
        engineer.use(
            RUN_TESTS, {"path": f"tests/{module}"}, {"passed": 40 - failing, "failed": failing}
        )
        if attempt % 2 == 0:
            _poll_cancelled(engineer)
        if rng.random() < 0.5:
            failing = max(1, failing - 1)
    engineer.use(EDIT_FILE, {"path": f"src/{module}/core.py", "text": "# final\n"}, {"ok": True})
    engineer.use(RUN_TESTS, {"path": f"tests/{module}"}, {"passed": 40, "failed": 0})


def _review(engineer: Agent, module: str) -> None:
    run = engineer.run
    with engineer.delegate("reviewer", f"Review the change in {module}") as reviewer:
        reviewer.use(GIT_DIFF, {"base": "main"}, {"files": 1, "added": run.rng.randrange(3, 60)})
        for path in _some_files(run, module)[:2]:
            reviewer.use(READ_FILE, {"path": path}, _text(run, path))
        reviewer.answer("Looks right; one naming remark.")


def release(run: Run) -> None:
    """Starts a build and polls it; progress moves, or it stays queued for a while and then is done."""
    version = f"v{run.topic.randrange(1, 9)}.{run.topic.randrange(0, 40)}"
    with run.agent("engineer", f"Build and tag {version}.") as engineer:
        _poll_cancelled(engineer)
        engineer.use(GIT_DIFF, {"base": version}, {"files": run.rng.randrange(1, 30)})
        build = f"b{run.rng.randrange(10**6)}"
        engineer.use(START_BUILD, {"version": version}, {"build": build, "state": "queued"})
        for _ in range(run.rng.randrange(0, 5)):
            engineer.use(BUILD_STATUS, {"build": build}, {"build": build, "state": "queued"})
            run.pause(run.rng.uniform(1, 4))
        done = 0
        while done < 100:
            done = min(100, done + run.rng.randrange(15, 50))
            state = "succeeded" if done == 100 else "running"
            engineer.use(
                BUILD_STATUS, {"build": build}, {"build": build, "state": state, "done": done}
            )
            _poll_cancelled(engineer)
        engineer.use(GIT_COMMIT, {"message": f"release {version}"}, {"commit": _sha(run)})
        _poll_cancelled(engineer)
        engineer.answer(f"{version} is built and tagged.")


def explain(run: Run) -> None:
    """Searches under many names, finds nothing under most, and reads a batch of files one by one."""
    module = run.topic.choice(MODULES)
    with run.agent("engineer", f"Where does {module} decide what to keep?") as engineer:
        for word in run.topic.sample(
            ("keep", "retain", "policy", "evict", "ttl", "prune", "sweep"), 5
        ):
            engineer.use(SEARCH_CODE, {"pattern": f"{module}.*{word}"}, [])
            if run.rng.random() < 0.5:
                _poll_cancelled(engineer)
        engineer.use(LIST_FILES, {"path": f"src/{module}"}, _files(run, module))
        for path in _some_files(run, module):
            engineer.use(READ_FILE, {"path": path}, _text(run, path))
        _poll_cancelled(engineer)
        engineer.answer(f"In src/{module}/core.py, function {module}_step.")


def _poll_cancelled(engineer: Agent) -> None:
    engineer.use(CHECK_CANCELLED, {}, {"cancelled": False})


def _files(run: Run, module: str) -> Json:
    return [*_some_files(run, module), f"src/{module}/__init__.py"]


def _some_files(run: Run, module: str) -> list[str]:
    names = ("core", "model", "io", "views", "errors", "rules", "store")
    return [f"src/{module}/{name}.py" for name in names[: 3 + len(run.question) % 4]]


def _reading(run: Run, path: str) -> Use:
    return Use(READ_FILE, {"path": path}, _text(run, path))


def _text(run: Run, path: str) -> Json:
    lines = [f"# {path}"] + [
        f"value_{run.topic.randrange(999)} = compute({run.topic.randrange(9999)})" for _ in range(6)
    ]
    return "\n".join(lines)


def _sha(run: Run) -> str:
    return f"{run.rng.getrandbits(160):040x}"


SCENARIOS: Final = ((0.55, fix_bug), (0.2, release), (0.25, explain))
TARGETS: Final[dict[FaultKind, tuple[tuple[str, str], ...]]] = {
    FaultKind.ERROR_SIGNATURE: (("engineer", "search_code"), ("engineer", "list_files")),
    FaultKind.EXACT_LOOP: (("engineer", "search_code"), ("engineer", "list_files")),
    FaultKind.PERIODIC_LOOP: (("engineer", "search_code"), ("engineer", "read_file")),
    FaultKind.RETRY_STORM: (("engineer", "git_commit"), ("engineer", "list_files")),
    FaultKind.REDUNDANT_CALLS: (("engineer", "list_files"), ("engineer", "search_code")),
    FaultKind.SLOW_MODE: (("engineer", "fetch_issue"), ("engineer", "search_code")),
}
