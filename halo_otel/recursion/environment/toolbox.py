"""The environment's tools as the model calls them, and in which form its texts leave."""

import asyncio
import copy
from collections.abc import Collection, Sequence

from halo_otel.llm.conversation import Call, Payload, Text, Tool
from halo_otel.llm.privacy import Payloads, hashed
from halo_otel.recursion.environment import registry
from halo_otel.recursion.environment.arguments import schema
from halo_otel.recursion.environment.environment import Environment
from halo_otel.redact.mask import USUAL, Rules, mask
from halo_otel.window.sealed import Shown


def shown_as(payloads: Payloads, rules: Rules = USUAL) -> Shown | None:
    """How an environment shows texts of traces where `llm.payloads` is this, and `rules` say what is masked;
    None is as they are."""
    if payloads == "full":
        return None
    return (
        Shown(text=_hashed)
        if payloads == "none"
        else Shown(text=lambda text: mask(text, rules).text, suspect=rules.prefilter)
    )


def _hashed(text: str) -> str:
    return f"[{hashed(text)}]"


class EnvironmentTools:
    """A toolbox over `environment`, whose texts are shown as `payloads` says."""

    def __init__(self, environment: Environment, payloads: Payloads) -> None:
        self._environment = environment
        # Without payloads a reply holds names and hashes only, which must not be hidden once more.
        self._is_bare = payloads == "none"
        self.tools: Sequence[Tool] = tuple(
            Tool(name=one.name, description=one.description, parameters=schema(one.arguments))
            for one in registry.tools_of(environment)
        )

    def only(self, names: Collection[str]) -> "EnvironmentTools":
        """Those of these names: each request sends what all tools are."""
        some = copy.copy(self)
        some.tools = tuple(tool for tool in self.tools if tool.name in names)
        return some

    async def call(self, call: Call) -> Sequence[Text]:
        """The reply, as text that came from traces."""
        return await self.look(call.tool, dict(call.arguments))

    async def look(self, name: str, arguments: dict[str, object]) -> tuple[Text, ...]:
        """The reply to a call of ours."""
        reply = await asyncio.to_thread(registry.call, self._environment, name, arguments)
        return (self.wrapped(f"reply.{name}", reply.text),)

    def wrapped(self, field: str, text: str) -> Text:
        """A text of the environment, as it stands in a message."""
        return text if self._is_bare else Payload(field=field, text=text)
