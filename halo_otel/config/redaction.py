"""The section that says what is taken out of texts, and where."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from halo_otel.config.section import Section

SensitiveKind: TypeAlias = Literal[
    "credentials", "email", "phone", "card", "iban", "national_id", "ip", "custom"
]


def _listed(value: object) -> object:
    """`a, b` as a list, as a variable has it; nothing, `none` and `off` as an empty one."""
    if value in (None, False, "none", "off"):
        return ()
    if isinstance(value, str):
        return tuple(filter(None, (part.strip() for part in value.split(","))))
    return value


Kinds = Annotated[tuple[SensitiveKind, ...], BeforeValidator(_listed)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class RedactedAttributes(Section):
    deny: Names = Field(
        (), description="attributes stored as hashes; `name.*` for all whose names begin so"
    )
    allow: Names = Field(
        (), description="if any: the only attributes stored as they are, all others as hashes"
    )


class Redaction(Section):
    """What is taken out where; what models see is ruled by `llm.payloads`."""

    store: Kinds = Field(
        (),
        description="what is taken out before spans and log records are stored: credentials, email,"
        " phone, card, iban, national_id, ip, custom",
    )
    emit: Kinds = Field(
        ("credentials", "email", "phone", "card", "iban", "national_id", "custom"),
        description="what is taken out of findings before they are kept, shown or sent to the"
        " Collector, and of the reports of `analyze`: the same kinds",
    )
    attributes: RedactedAttributes = RedactedAttributes()
    custom: dict[str, str] = Field(
        {}, max_length=32, description="patterns of your own by name, in RE2's syntax"
    )
    key_file: Path | None = Field(
        None,
        description="16 to 64 secret bytes; what is taken out becomes a hash that only who has them"
        " can make. Default: <storage.directory>/redaction.key, made at the first start",
    )
