"""What a retriever found, as a JSON list of `{id, score, content, …}` as far as the source tells.

Sources: conventions §3, "retrieval query/docs". Embedding vectors are left out.
"""

from collections.abc import Callable
from typing import Any, Final

from halo_otel.agentspan.source import Read, Reading
from halo_otel.agentspan.values import decoded, payload

DOCUMENTS_MAX: Final = 1000
_MEMBERS: Final = ("id", "score", "content", "metadata")
_LISTS: Final = ("documents", "output", "results", "result", "matches", "result_documents")
_VECTOR: Final = "vector"


def listed(value: Any) -> str | None:
    """A list of documents, alone or as the one list in an answer."""
    found = decoded(value)
    if isinstance(found, dict):
        found = next((found[key] for key in _LISTS if isinstance(found.get(key), list)), None)
    return payload(found[:DOCUMENTS_MAX]) if isinstance(found, list) and found else None


def flattened(prefix: str) -> Read:
    """A reader of documents in attributes of their own: `{prefix}.0.document.content`."""

    def read(reading: Reading) -> str | None:
        attributes = reading.span.attributes
        found: list[dict[str, Any]] = []
        while len(found) < DOCUMENTS_MAX:
            place = f"{prefix}.{len(found)}.document"
            document = {
                member: decoded(attributes[key]) if member == "metadata" else attributes[key]
                for member in _MEMBERS
                if (key := f"{place}.{member}") in attributes
            }
            if not document:
                break
            found.append(document)
        return payload(found) if found else None

    return read


def in_events(name: str) -> Callable[[Reading], str | None]:
    """A reader of documents in span events, one each: `{name}.id`, `{name}.document`."""
    prefix = f"{name}."

    def read(reading: Reading) -> str | None:
        found = [
            {
                key.removeprefix(prefix): value
                for key, value in event.attributes.items()
                if key.startswith(prefix) and not key.endswith(_VECTOR)
            }
            for event in reading.span.events[:DOCUMENTS_MAX]
            if event.name == name
        ]
        found = [document for document in found if document]
        return payload(found) if found else None

    return read
