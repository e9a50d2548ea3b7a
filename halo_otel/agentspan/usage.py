"""Whether cached tokens are counted inside a model call's input tokens or beside them."""

from halo_otel.agentspan.source import Reading


def cache_accounting(reading: Reading) -> str | None:
    """`beside` if the provider is Anthropic, or Bedrock with Claude, and more was cached than put in;
    else `inside` (conventions §7.6). Without cached tokens there is nothing to account for.
    """
    facts = reading.facts
    cached = facts.get("cache_read_tokens", 0) + facts.get("cache_write_tokens", 0)
    given = facts.get("input_tokens")
    if not cached or given is None:
        return None
    return "beside" if _may_exclude(reading) and cached > given else "inside"


def _may_exclude(reading: Reading) -> bool:
    provider = reading.facts.get("provider")
    model = reading.facts.get("model_requested", "")
    return provider == "anthropic" or (provider == "aws.bedrock" and "claude" in model.lower())
