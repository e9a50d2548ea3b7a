"""What is taken out at each place, by the section `redaction` of the configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from halo_otel.config.sections import Config
from halo_otel.model.report import Report
from halo_otel.redact.key import load_key
from halo_otel.redact.mask import Rules
from halo_otel.redact.redactor import Lists, Redactor
from halo_otel.redact.reports import masked
from halo_otel.selfobs import Counters


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What texts pass through; `None` where they stay as they are."""

    store: Redactor | None
    emit: Redactor | None


def redaction(config: Config, counters: Counters) -> Redaction:
    """Reads or makes the key if one is needed. Raises `ConfigError` and `Unwritable` as `load_key` does."""
    section = config.redaction
    lists = Lists(allowed=section.attributes.allow, denied=section.attributes.deny)
    stores = bool(section.store or lists.allowed or lists.denied)
    if not (stores or section.emit):
        return Redaction(store=None, emit=None)
    key = load_key(config.redaction_key_file)

    def rules(kinds: tuple[str, ...]) -> Rules:
        return Rules(kinds, section.custom if "custom" in kinds else None)

    return Redaction(
        store=Redactor(key, rules(section.store), _counting(counters, "store"), lists)
        if stores
        else None,
        emit=Redactor(key, rules(section.emit), _counting(counters, "emit"))
        if section.emit
        else None,
    )


def safe(report: Report, config: Config) -> Report:
    """A report made without a service, without what `redaction.emit` takes out; no key is needed."""
    section = config.redaction
    if not section.emit:
        return report
    return masked(report, Rules(section.emit, section.custom if "custom" in section.emit else None))


def _counting(counters: Counters, place: Literal["store", "emit"]) -> Callable[[str, int], None]:
    def count(kind: str, number: int) -> None:
        counters.add("halo.redaction.masked_values", number, kind=kind, place=place)

    return count
