"""An agent that migrates a code base: one long loop, with sub-agents that it calls like tools."""

from typing import Final

from tests.eval.beta.cast import Agent, Cast, Tool
from tests.eval.beta.run import Run

_PATH: Final = {"type": "string", "description": "path in the repository"}
_TOOLS: Final = (
    Tool(
        name="open_module",
        says="Source of a module",
        takes={"module": _PATH, "around": {"type": "integer"}},
        needs=("module",),
        median_s=0.06,
    ),
    Tool(
        name="grep_code",
        says="Search the repository",
        takes={
            "query": {"type": "string"},
            "page": {"type": "integer"},
            "limit": {"type": ["integer", "string"]},
        },
        needs=("query",),
        median_s=0.3,
    ),
    Tool(
        name="rewrite_module",
        says="Rewrite a module by a recipe",
        takes={
            "module": _PATH,
            "recipe": {"type": "string", "enum": ["typed", "async", "dataclass", "pathlib"]},
            "passes": {"type": "integer", "minimum": 1},
            "comment": {"type": "string"},
            "revision": {"type": "integer"},
        },
        needs=("module", "recipe", "passes"),
        median_s=0.2,
    ),
    Tool(
        name="run_typecheck",
        says="Type-check a module",
        takes={"module": _PATH},
        needs=("module",),
        median_s=4.0,
    ),
    Tool(
        name="start_build",
        says="Build in CI",
        takes={"module": _PATH},
        needs=("module",),
        median_s=0.8,
    ),
    Tool(
        name="build_state",
        says="State of a build",
        takes={"quote": {"type": "string"}},
        needs=("quote",),
        median_s=0.2,
    ),
    Tool(
        name="post_review_note",
        says="Leave a note for the owners",
        takes={"module": _PATH, "text": {"type": "string"}},
        needs=("module", "text"),
    ),
    Tool(
        name="upload_snippet",
        says="Share a text on the public snippet service",
        takes={"partner": {"type": "string"}, "payload": {"type": "string"}},
        needs=("partner", "payload"),
        median_s=0.7,
    ),
    Tool(
        name="trace_imports",
        says="Follow all imports of a module",
        takes={"module": _PATH},
        needs=("module",),
        median_s=5.0,
    ),
    Tool(
        name="blame_owner",
        says="Who owns a directory",
        takes={"house": {"type": "string"}},
        needs=("house",),
    ),
)
_ALL: Final = tuple(tool.name for tool in _TOOLS)


def play(run: Run) -> None:
    """Look, ask the scout, check, rewrite, check again, let the verifier look."""
    cast, thing = run.cast, run.thing
    with run.acting("migrator", run.task):
        run.do(cast.lookup, {cast.key: thing}, run.record(thing), says="Let me read it first.")
        if run.dice.random() < 0.6:
            turn = run.think("", [("ask_scout", {"task": f"callers of {thing} ({run.word})"})])
            with run.staged("tool", "ask_scout") as outer:
                outer.call, outer.turn = turn.calls[0], turn
                with run.acting("scout", f"Find callers of {thing} ({run.word})."):
                    run.do(cast.search, {"query": f"import {thing}"}, run.hits(3))
                    told = run.report(f"{thing} has three callers, none of them public.")
                outer.result = told
            run.hear(told, turn.calls[0])
        run.cue("worker")
        run.cue("team")
        if not run.over:
            run.verify(thing)
            run.do(cast.change, run.change_of(thing), f"1 file changed: {thing}")
            run.cue("late")
        run.report(cast.done.format(thing=thing))


CAST: Final = Cast(
    application="code migration",
    service="migrate-bot",
    play=play,
    agents=(
        Agent(
            name="migrator",
            told="You migrate Python modules by recipes. Read before you rewrite; type-check first.",
            service="migrate-bot",
            tools=(*_ALL, "ask_scout"),
        ),
        Agent(
            name="scout",
            told="You find callers and definitions and nothing else.",
            service="migrate-bot",
            tools=_ALL,
        ),
        Agent(
            name="verifier",
            told="You verify rewritten modules.",
            service="migrate-bot",
            tools=_ALL,
        ),
    ),
    tools=(
        *_TOOLS,
        Tool(
            name="ask_scout",
            says="Let the scout look around",
            takes={"task": {"type": "string"}},
            needs=("task",),
        ),
    ),
    lead="migrator",
    worker="migrator",
    peer="verifier",
    thing="src/billing/mod_{}.py",
    key="module",
    record={
        "header": ("import os", "from typing import *", "import asyncio", "import six"),
        "lines": (48, 112, 230, 377, 512),
        "style": ("py2", "py3", "mixed"),
        "owner": ("core", "payments", "ledger"),
    },
    lookup="open_module",
    search="grep_code",
    change="rewrite_module",
    choice="recipe",
    amount="passes",
    check="run_typecheck",
    start="start_build",
    poll="build_state",
    tell="post_review_note",
    outside="upload_snippet",
    rare="blame_owner",
    thorough="trace_imports",
    invented="apply_patch_v4a",
    words=("six removal", "async IO", "typed dicts", "path handling", "dataclasses"),
    asks=(
        "Migrate {thing}: {word}.",
        "Please bring {thing} up to date ({word}), keep its behaviour.",
        "{word}: {thing} is next on the list.",
    ),
    done="{thing} is migrated and type-checks.",
    versions=("0.18.2", "0.19.0"),
    models=("claude-opus-4-5", "gpt-5.1-codex"),
)
