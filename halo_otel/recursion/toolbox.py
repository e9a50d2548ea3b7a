"""The environment's tools as the model calls them, and in which form its texts leave."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Literal

from halo_otel.llm.conversation import Call, Payload, Text, Tool
from halo_otel.recursion.environment import registry
from halo_otel.recursion.environment.environment import Environment
from halo_otel.redact.mask import PREFILTER, mask
from halo_otel.window.sealed import Shown

Payloads = Literal["none", "redacted", "full"]
_HASH_CHARS = 12


def shown_as(payloads: Payloads) -> Shown | None:
    """How an environment shows texts of traces where `llm.payloads` is this; None is as they are."""
    if payloads == "full":
        return None
    return Shown(text=_hashed) if payloads == "none" else Shown(text=_masked, suspect=PREFILTER)


def _masked(text: str) -> str:
    return mask(text).text


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARS]
    return f"[{len(text)} characters, sha256 {digest}]"


class EnvironmentTools:
    """A toolbox over `environment`, whose texts are shown as `payloads` says."""

    def __init__(self, environment: Environment, payloads: Payloads) -> None:
        self._environment = environment
        # Without payloads a reply holds names and hashes only, which must not be hidden once more.
        self._is_bare = payloads == "none"
        self.tools: Sequence[Tool] = tuple(
            Tool(
                name=one["function"]["name"],
                description=one["function"]["description"],
                parameters=one["function"]["parameters"],
            )
            for one in registry.definitions(strict=False)
        )

    async def call(self, call: Call) -> Sequence[Text]:
        """The reply, as text that came from traces."""
        return await self.look(call.tool, dict(call.arguments))

    async def look(self, name: str, arguments: dict[str, object]) -> tuple[Text, ...]:
        """The reply to a call of ours."""
        reply = await asyncio.to_thread(registry.call, self._environment, name, arguments)
        return (reply.text if self._is_bare else Payload(field=f"reply.{name}", text=reply.text),)
