"""Whether a span failed, who says so, and in what words.

A fault is stated by the span's status, by an exception event, by a protocol (`error.type`, a tool
status, a JSON-RPC code), or only by the words of a tool's result while the status is unset: many
agent frameworks hand errors to the model as results (conventions §7.9).
"""

import re
from typing import Any, Final

from halo_otel.agentspan.source import Reading
from halo_otel.agentspan.values import decoded, label, text
from halo_otel.model.span import STATUS_ERROR, STATUS_OK

ERROR_MESSAGE_CHARS_MAX: Final = 4096

_OTHER_TYPE: Final = "_OTHER"  # semantic conventions' "no type known"
# A result that is an error begins with the word (`Error executing query`), with a Python traceback,
# with the exception's type and a colon, or with the fixed words of the OpenAI Agents SDK.
_ERROR_TEXT: Final = re.compile(
    r"\s*\"?(?:Error\b(?!\s*(?:rate|count)s?\b)|Traceback \(most recent call last\)"
    r"|[\w.]{0,80}(?:Error|Exception):|An error occurred while running the tool)"
)
_ERROR_TYPE: Final = re.compile(
    r"\s*(?:<tool_use_error>)?([A-Za-z_][\w.]{0,80}(?:Error|Exception)):"
)
_TRACEBACK_TYPE: Final = re.compile(
    r"^([A-Za-z_][\w.]{0,80}(?:Error|Exception))(?::|$)", re.MULTILINE
)
# Members that state an error in a JSON object, looked for as text first: parsing costs far more.
_ERROR_MEMBERS: Final = ("error", "isError", "status")
_NO_ERROR: Final = frozenset({"", "0", "none", "null", "false", "no", "ok"})


def status(reading: Reading) -> str | None:
    """`status` if the span's status is ERROR."""
    return "status" if reading.span.status_code == STATUS_ERROR else None


def exception(reading: Reading) -> str | None:
    """`exception` if one was recorded; with a status of OK it was handled."""
    if reading.span.status_code == STATUS_OK or reading.event("exception") is None:
        return None
    return "exception"


def stated_type(value: Any) -> str | None:
    """`protocol` if an error type is stated."""
    return "protocol" if label(value) else None


def tool_result(reading: Reading) -> str | None:
    """`tool_result` if a tool's result is an error in words or in structure, also one that was cut."""
    result = reading.facts.get("tool_result") or reading.facts.get("output_text")
    if result is None:
        return None
    return "tool_result" if _ERROR_TEXT.match(result) or _json_error(result) is not None else None


def type_of_exception(reading: Reading) -> str | None:
    """The type of the exception recorded on a failed span."""
    return _of_exception(reading, "exception.type")


def message_of_exception(reading: Reading) -> str | None:
    """The message of the exception recorded on a failed span."""
    return cut(_of_exception(reading, "exception.message"))


def _of_exception(reading: Reading, key: str) -> str | None:
    attributes = reading.event("exception") if "error_source" in reading.facts else None
    return None if attributes is None else label(attributes.get(key))


def type_of(value: Any) -> str | None:
    """A stated error type, unless it says that no type is known."""
    known = label(value)
    return None if known == _OTHER_TYPE else known


def type_in_words(reading: Reading) -> str | None:
    """The type at the beginning of a failed span's message, or at the end of a traceback in it."""
    message = reading.facts.get("error_message")
    if message is None:
        return None
    leading = _ERROR_TYPE.match(message)
    if leading:
        return leading[1]
    if "Traceback (most recent call last)" in message:
        types = _TRACEBACK_TYPE.findall(message)
        return str(types[-1]) if types else None
    return None


def message_of_status(reading: Reading) -> str | None:
    """The message of an ERROR status."""
    failed = reading.span.status_code == STATUS_ERROR
    return cut(text(reading.span.status_message)) if failed else None


def message_of_result(reading: Reading) -> str | None:
    """The error in the result of a tool that failed."""
    result = reading.facts.get("tool_result") or reading.facts.get("output_text")
    if result is None or "error_source" not in reading.facts:
        return None
    return cut(_json_error(result) or result)


def cut(message: Any) -> str | None:
    """`message` as text of bounded length."""
    known = text(message)
    return None if known is None else known[:ERROR_MESSAGE_CHARS_MAX]


def _json_error(result: str) -> str | None:
    """What a JSON object that states an error says; `""` if it says no more than that."""
    if result[:1] not in {"{", '"'} or not any(member in result for member in _ERROR_MEMBERS):
        return None
    members = decoded(result)
    if not isinstance(members, dict):
        return None
    error = members.get("error")
    if isinstance(error, dict) and error:
        message = error.get("message")
        return message if isinstance(message, str) else ""
    if isinstance(error, str) and error.strip().lower() not in _NO_ERROR:
        return error
    if error is True or (isinstance(error, list) and error):
        return ""
    flags = (members.get("isError"), members.get("is_error"))
    codes = (members.get("status"), members.get("status_code"))
    if any(flag is True for flag in flags) or any(_is_failure(code) for code in codes):
        return ""
    return None


def _is_failure(code: Any) -> bool:
    """Whether `code` is an HTTP status of a failed request."""
    return type(code) is int and 400 <= code <= 599
