"""What a program or a person names for one run, over the configuration."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from halo_otel.config import checks
from halo_otel.config.llm import Llm
from halo_otel.config.load import variable
from halo_otel.config.sections import Config
from halo_otel.errors import ConfigError

_OPENAI: Final = Llm().base_url


def with_llm(config: Config, given: Mapping[str, object], cure: str) -> Config:
    """`config` with the members of `given` that are not None in its section `llm`, and what OpenAI's own
    variables say where neither names it. Without any member it stays as it is.

    Raises ConfigError, which ends in `cure`.
    """
    told = {name: value for name, value in given.items() if value is not None}
    if not told:
        return config
    told = {**_stand_ins(config.llm, told), **told}
    # A file that is read again would take back what was given instead.
    told |= {f"{name}_file": None for name in ("api_key", "headers") if name in told}
    try:
        llm = Llm.model_validate({**config.llm.model_dump(), **told})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"llm.{where}: {first['msg']}: {cure}") from error
    config = config.model_copy(update={"llm": llm})
    for problem in checks.problems(config):
        raise ConfigError(problem)
    return config


def _stand_ins(llm: Llm, told: Mapping[str, object]) -> dict[str, str]:
    """`base_url` and `api_key` from `OPENAI_BASE_URL` and `OPENAI_API_KEY`, as OpenAI's clients and HALO read
    them.

    The key goes to OpenAI, to the address of the other variable, or to one that the same person names at the
    same time; never to an address of the configuration, which may be somebody else's.
    """
    found = {}
    is_theirs = "base_url" in told
    if not is_theirs and llm.base_url == _OPENAI:
        is_theirs = True
        if address := variable("OPENAI_BASE_URL"):
            found["base_url"] = address
    if is_theirs and llm.api_key is None and (key := variable("OPENAI_API_KEY")):
        found["api_key"] = key
    return found
