"""Credentials, by the forms their issuers give them.

The forms are the documented prefixes that secret scanners look for (gitleaks' default rules, GitHub
secret scanning's supported patterns). A form alone is not enough: documentation is full of them, so
placeholders, words and runs are left out, and the value must look drawn at random.
"""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from halo_otel.redact import Sensitive, compiled, squeezed

_BITS_MIN: Final = (
    3.0  # Shannon entropy per character; hex digits drawn at random have 3.4 and more
)
_SHOWN_OF_MIN: Final = 16  # of anything shorter four characters are too many

# The group `v` is the secret part. RE2 and Python read these alike.
_TOKENS: Final = (
    ("AWS access key", r"\b(?P<v>A(?:KIA|SIA)[0-9A-Z]{16})\b"),
    (
        "AWS secret key",
        r"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s*[:=]\s*[\"']?(?P<v>[A-Za-z0-9/+]{40})\b",
    ),
    ("GitHub token", r"\b(?P<v>gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b"),
    ("GitLab token", r"\b(?P<v>glpat-[A-Za-z0-9_-]{20,64})"),
    ("Slack token", r"\b(?P<v>xox[abeoprs]-[0-9]{6,}-[A-Za-z0-9-]{10,})"),
    ("Stripe live key", r"\b(?P<v>[sr]k_live_[A-Za-z0-9]{16,128})\b"),
    (
        "model provider's key",
        r"\b(?P<v>sk-(?:[a-z0-9]{2,10}-){0,3}[A-Za-z0-9_]{20,200}[A-Za-z0-9_-]{0,200})",
    ),
    ("Google API key", r"\b(?P<v>AIza[A-Za-z0-9_-]{35})"),
    ("SendGrid key", r"\b(?P<v>SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    ("npm token", r"\b(?P<v>npm_[A-Za-z0-9]{36})\b"),
    ("Hugging Face token", r"\b(?P<v>hf_[A-Za-z0-9]{34})\b"),
    ("Azure storage key", r"(?i:AccountKey)=(?P<v>[A-Za-z0-9+/]{86}==)"),
    (
        "private key",
        r"-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|\\r)*(?P<v>[A-Za-z0-9+/=]{40,})",
    ),
    (
        "web token",
        r"\b(?P<v>eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{20,2000})",
    ),
)
_URL: Final = (
    r"\b(?:postgres|postgresql|mysql|mariadb|mongodb|mongodb\+srv|rediss?|amqps?|mssql|sqlserver|ftp)"
    r"(?:\+[a-z0-9]+)?://(?P<user>[^\s:@/\"'<>]{1,64}):(?P<v>[^\s:@/\"'<>]{4,128})@(?P<host>[A-Za-z0-9.-]+)"
)
# One line of a `.env` file or of exported variables.
_SETTING: Final = (
    r"(?m)(?:^|\\n)\s*(?:export\s+)?(?P<name>(?:[A-Z][A-Z0-9_]{0,60}?)?(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|"
    r"PRIVATE_KEY|ACCESS_KEY)[A-Z0-9_]{0,30})\s*=\s*[\"']?(?P<v>[^\s\"'\\]{8,200})"
)
# Every form's fixed part; RE2 looks for all of them at once.
PREFILTER: Final = (
    r"A(?:KIA|SIA)[0-9A-Z]{16}|(?i:secret_?(?:access_?)?key)|gh[pousr]_[A-Za-z0-9]{36}|github_pat_|glpat-|"
    r"xox[abeoprs]-[0-9]|[sr]k_live_|(?:\b|\\[nrt])sk-|AIza|(?:\b|\\[nrt])SG\.|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{34}|(?i:AccountKey)=|"
    r"PRIVATE KEY|eyJ[A-Za-z0-9_-]+\.eyJ|://[^\s:@/]+:[^\s:@/]+@|"
    r"(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_KEY|ACCESS_KEY)[A-Z0-9_]*\s*="
)

_COMPILED: Final = tuple((kind, compiled(pattern)) for kind, pattern in _TOKENS)
_COMPILED_URL: Final = compiled(_URL)
_COMPILED_SETTING: Final = re.compile(_SETTING)

_PLACEHOLDER: Final = re.compile(
    r"(?i)example|placeholder|changeme|change_me|dummy|redacted|your[-_]?|my[-_]?(?:secret|token|key|pass)|"
    r"\btodo|x{4,}|\*{3,}|\.{3}|0{6,}|1234567|abcdefg|deadbeef|\bfake|\btest|sample|insert"
)
_NO_PASSWORD: Final = re.compile(
    r"(?i)(?:pass(?:word|wd)?|secret|pwd|user(?:name)?|postgres|root|admin|guest|mysql|token|x+|\*+|"
    r".*[<>{}$\[\]%()].*|\.+)"
)
# A signed link names the key it was signed by, which opens nothing (AWS Signature Version 4, query strings);
# a map's address names the key that its page shows everybody.
_PUBLIC: Final = re.compile(r"(?i)(?:X-Amz-Credential|AWSAccessKeyId|[?&]key)=$")
_LOCAL: Final = re.compile(
    r"(?i)(?:localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|host|hostname|server|db|database|postgres|mysql|redis|"
    r"mongo|(?:.*\.)?example(?:\.\w+)?|.*\.(?:test|invalid|localhost))"
)


def find(text: str) -> list[Sensitive]:
    """The credentials in `text`, in the order in which they stand there, one for each place."""
    found: list[Sensitive] = []
    for credential in sorted((*_tokens(text), *_urls(text), *_settings(text))):
        if not found or credential.start >= found[-1].end:
            found.append(credential)
    return found


def _tokens(text: str) -> Iterator[Sensitive]:
    for kind, pattern in _COMPILED:
        for match in pattern.finditer(text):
            value = match["v"]
            if kind == "web token" and not _is_web_token(value):
                continue
            if _is_drawn(value) and not _PUBLIC.search(text[: match.start()][-40:]):
                yield _sensitive(match, kind)


def _urls(text: str) -> Iterator[Sensitive]:
    for match in _COMPILED_URL.finditer(text):
        password, host = match["v"], match["host"]
        if (
            not _NO_PASSWORD.fullmatch(password)
            and not _PLACEHOLDER.search(password)
            and password != match["user"]
            and not _LOCAL.fullmatch(host)
        ):
            yield _sensitive(match, "connection string with a password")


def _settings(text: str) -> Iterator[Sensitive]:
    for match in _COMPILED_SETTING.finditer(text):
        value = match["v"]
        if not _NO_PASSWORD.fullmatch(value) and "." not in value[1:-1] and _is_drawn(value):
            yield _sensitive(match, "secret setting")


def _is_drawn(value: str) -> bool:
    """Whether `value` looks drawn at random: no placeholder, letters and digits mixed, no word."""
    if _PLACEHOLDER.search(value):
        return False
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return (
        bits >= _BITS_MIN
        and any(char.isdigit() for char in value)
        and any(char.isalpha() for char in value)
    )


def _is_web_token(value: str) -> bool:
    """Whether its header is one (RFC 7519 §5: a JSON object that names an algorithm)."""
    header = value.split(".", 1)[0]
    try:
        told = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(told, dict) and "alg" in told


def _sensitive(match: re.Match[str], kind: str) -> Sensitive:
    value = match["v"]
    hidden = kind == "private key" or len(value) < _SHOWN_OF_MIN
    shown = "****" if hidden else f"{value[:4]}****"
    return Sensitive(match.start(), match.end(), kind, squeezed(value), shown)
