"""The tools: listed for a model, and called with whatever it wrote."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import cleandoc
from typing import Any, Final

from pydantic import ValidationError

from halo_otel.errors import BadQuery, BadRequest, NotFound
from halo_otel.recursion.environment.arguments import Arguments
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, failure
from halo_otel.recursion.environment.tools import (
    clusters,
    code,
    cohort,
    compare,
    findings,
    goal_tree,
    history,
    overview,
    path,
    query,
    search,
    span,
    trace,
)

ARGUMENTS_CHARS_MAX: Final = 40_000
_COMPLAINTS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool; the docstring of its arguments is what a model reads about it."""

    name: str
    arguments: type[Arguments]
    run: Callable[[Environment, Any], Reply]

    @property
    def description(self) -> str:
        """What it does and when to use it."""
        return cleandoc(self.arguments.__doc__ or "")


TOOLS: Final = (
    Tool(name="overview", arguments=overview.Overview, run=overview.run),
    Tool(name="clusters", arguments=clusters.Clusters, run=clusters.run),
    Tool(name="findings", arguments=findings.Findings, run=findings.run),
    Tool(name="query", arguments=query.Query, run=query.run),
    Tool(name="search", arguments=search.Search, run=search.run),
    Tool(name="goal_tree", arguments=goal_tree.Goals, run=goal_tree.run),
    Tool(name="trace", arguments=trace.Trace, run=trace.run),
    Tool(name="span", arguments=span.Span, run=span.run),
    Tool(name="compare", arguments=compare.Compare, run=compare.run),
    Tool(name="path", arguments=path.Path, run=path.run),
    Tool(name="cohort", arguments=cohort.Cohort, run=cohort.run),
)
CODE_TOOLS: Final = (
    Tool(name="code_tree", arguments=code.CodeTree, run=code.tree),
    Tool(name="code_read", arguments=code.CodeRead, run=code.read),
    Tool(name="code_grep", arguments=code.CodeGrep, run=code.grep),
)
HISTORY_TOOLS: Final = (
    Tool(name="git_log", arguments=history.GitLog, run=history.log),
    Tool(name="git_blame", arguments=history.GitBlame, run=history.blame),
    Tool(name="git_show", arguments=history.GitShow, run=history.show),
)

CODE_NAMES: Final = frozenset(tool.name for tool in (*CODE_TOOLS, *HISTORY_TOOLS))


def tools_of(environment: Environment) -> tuple[Tool, ...]:
    """The tools that this environment has: those about code only if there is any."""
    if environment.code is None:
        return TOOLS
    return (*TOOLS, *CODE_TOOLS, *(HISTORY_TOOLS if environment.code.git else ()))


def call(environment: Environment, name: str, arguments: str | Mapping[str, object]) -> Reply:
    """What tool `name` answers; a call that is wrong is answered with what would be right."""
    by_name = {one.name: one for one in tools_of(environment)}
    tool = by_name.get(name)
    if tool is None:
        near = get_close_matches(name[:60], by_name, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return failure(f"there is no tool {name[:60]!r}: {hint}tools are {', '.join(by_name)}")
    try:
        given = _read(arguments)
        asked = tool.arguments.model_validate(given)
    except ValidationError as error:
        return failure(f"arguments of {name}: {complaints(error)}")
    except (ValueError, RecursionError) as error:
        return failure(f"arguments of {name} are no JSON object: {str(error)[:200]}")
    try:
        return tool.run(environment, asked)
    except (BadQuery, BadRequest, NotFound) as error:
        return failure(str(error), environment.fence)


def _read(arguments: str | Mapping[str, object]) -> object:
    if not isinstance(arguments, str):
        return dict(arguments)
    if len(arguments) > ARGUMENTS_CHARS_MAX:
        raise ValueError(f"longer than {ARGUMENTS_CHARS_MAX} characters")
    return json.loads(arguments or "{}", parse_constant=_refuse)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def complaints(error: ValidationError) -> str:
    """What is wrong, member by member, without repeating what was given."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [
        f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}"[:200]
        for one in found[:_COMPLAINTS_SHOWN]
    ]
    left = len(found) - len(told)
    return "; ".join(told) + (f"; and {left} more" if left > 0 else "")
