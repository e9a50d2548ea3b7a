"""A table of model prices: what a file of them holds, checked like the configuration itself."""

import tomllib
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from halo_otel.config.llm import Price
from halo_otel.config.section import Section
from halo_otel.errors import ConfigError


class PriceList(Section):
    """What some providers, named as OpenTelemetry names them, ask; without `providers` anybody."""

    providers: tuple[str, ...] = ()
    models: dict[str, Price]


class PriceTable(Section):
    """A file of prices. Without `only`, models that it does not name keep their built-in prices."""

    date: date
    source: str = ""
    only: bool = False
    lists: tuple[PriceList, ...]


def read_prices(file: Path) -> PriceTable:
    """The table in the TOML file `file`; raises `ConfigError` with the place and the cure."""
    try:
        return PriceTable.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(
            f"window.prices_file: cannot read {file} ({error.strerror}): name a readable TOML file"
        ) from error
    except ValueError as error:  # also what tomllib, UTF-8 and pydantic raise
        raise ConfigError(
            f"window.prices_file: {file}: {_told(error)}: write it like agentspan/prices.toml"
        ) from error


def _told(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
