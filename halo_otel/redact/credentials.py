"""Credentials, by the forms their issuers give them.

The forms are the documented prefixes that secret scanners look for (gitleaks' default rules, GitHub
secret scanning's supported patterns). A form alone is not enough: documentation is full of them, so
placeholders, words and runs are left out, and the value must look drawn at random.

They are our own and no library's: gitleaks and trufflehog are programs in Go; detect-secrets reads files line by
line, finds no value that spans an escaped line end in JSON, and its generic detectors (entropy of any quoted
text) call every hash, id and embedding a secret. Traces are made of these.
"""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from halo_otel.redact import Sensitive, beginning, compiled, runs, squeezed

_BITS_MIN: Final = (
    3.0  # Shannon entropy per character; hex digits drawn at random have 3.4 and more
)
_FORM_CHARS_MIN: Final = 20  # the shortest form: AWS' access keys
_JUDGED_CHARS: Final = 300  # what is longer may have any word in it by chance
_SHOWN_OF_MIN: Final = 16  # of anything shorter four characters are too many

# Prefixes that issuers give to keys and to nothing else.
_SERVICES: Final = (
    "whsec_ sq0csp- xai- pplx- r8_ lsv2_pt_ lsv2_sk_ tvly- nvapi- rubygems_ dckr_pat_ glsa_ NRAK- sntrys_ sntryu_ ntn_"
    " figd_ PMAK- ATATT3 pul- tskey-auth- tskey-api- AGE-SECRET-KEY-1 HRKU- LTAI EAAA sbp_"
).split()

# Kind, what every value begins with, and its form. The group `v` is the secret part. RE2 and Python read
# these alike.
_TOKENS: Final = (
    ("AWS access key", ("AKIA", "ASIA"), r"\b(?P<v>A(?:KIA|SIA)[0-9A-Z]{16})\b"),
    (
        "GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"\b(?P<v>gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    ),
    (
        "GitLab token",
        ("gl",),
        r"\b(?P<v>gl(?:pat|rt|cbt|dt|ptt|ft|soat|oas|imt|agent)-[A-Za-z0-9_-]{20,64})",
    ),
    ("Slack token", ("xox",), r"\b(?P<v>xox[abeoprs]-[0-9]{6,}-[A-Za-z0-9-]{10,})"),
    (
        "Slack token",
        ("xapp-",),
        r"\b(?P<v>xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[a-f0-9]{40,80})\b",
    ),
    ("Stripe live key", ("sk_live_", "rk_live_"), r"\b(?P<v>[sr]k_live_[A-Za-z0-9]{16,128})\b"),
    (
        "model provider's key",
        ("sk-",),
        r"\b(?P<v>sk-(?:[a-z0-9]{2,10}-){0,3}[A-Za-z0-9_]{20,200}[A-Za-z0-9_-]{0,200})",
    ),
    ("Google API key", ("AIza",), r"\b(?P<v>AIza[A-Za-z0-9_-]{35})"),
    ("SendGrid key", ("SG.",), r"\b(?P<v>SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    ("npm token", ("npm_",), r"\b(?P<v>npm_[A-Za-z0-9]{36})\b"),
    ("Hugging Face token", ("hf_",), r"\b(?P<v>hf_[A-Za-z0-9]{34})\b"),
    ("DigitalOcean token", ("dop_v1_", "doo_v1_"), r"\b(?P<v>do[op]_v1_[a-f0-9]{64})\b"),
    ("PyPI token", ("pypi-AgE",), r"\b(?P<v>pypi-AgE[A-Za-z0-9_-]{50,250})"),
    ("Shopify token", ("shp",), r"\b(?P<v>shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b"),
    (
        "Google OAuth token",
        ("ya29.", "GOCSPX-"),
        r"\b(?P<v>ya29\.[A-Za-z0-9_-]{30,300}|GOCSPX-[A-Za-z0-9_-]{28})",
    ),
    ("Vault token", ("hvs.",), r"\b(?P<v>hvs\.[A-Za-z0-9_-]{90,130})"),
    ("Databricks token", ("dapi",), r"\b(?P<v>dapi[a-f0-9]{32})\b"),
    ("Groq key", ("gsk_",), r"\b(?P<v>gsk_[A-Za-z0-9]{52})\b"),
    ("Linear key", ("lin_api_",), r"\b(?P<v>lin_api_[A-Za-z0-9]{40})\b"),
    (
        "service's key",
        tuple(f"{start}" for start in _SERVICES),
        rf"\b(?P<v>(?:{'|'.join(_SERVICES)})[A-Za-z0-9_=-]{{20,300}})",
    ),
    ("bot's token", (":AA",), r":(?P<v>AA[A-Za-z0-9_-]{33})\b"),
    ("Discord web hook", ("webhooks/",), r"webhooks/[0-9]{17,20}/(?P<v>[A-Za-z0-9_-]{60,70})"),
    (
        "Slack web hook",
        ("hooks.slack.com/services/",),
        r"\bhooks\.slack\.com/services/(?P<v>T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,30})",
    ),
    (
        "private key",
        ("-----BEGIN ",),
        r"-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|\\r)*"
        # headers of old (RFC 1421), then all lines, of which the last may be short
        r"(?:[A-Z][A-Za-z-]{2,20}: [^\n\\]{1,80}(?:\s|\\n|\\r)+){0,4}(?P<v>[A-Za-z0-9+/=]{40,}"
        r"(?:(?:\s|\\n|\\r){1,6}[A-Za-z0-9+/=]{16,}){0,400}(?:(?:\s|\\n|\\r){1,6}[A-Za-z0-9+/=]{1,15}(?=(?:\s|\\n|\\r){0,6}-----END))?)",
    ),
    (
        "web token",
        ("eyJ",),
        r"\b(?P<v>eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{20,2000})",
    ),
)
# The same with a word that must stand in the text, whatever its case.
_CALLED: Final = (
    (
        "AWS secret key",
        "aws",
        r"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s*[:=]\s*[\"']?(?P<v>[A-Za-z0-9/+]{40})\b",
    ),
    ("Azure storage key", "accountkey", r"(?i:AccountKey)=(?P<v>[A-Za-z0-9+/]{86}==)"),
)
# Whatever the scheme (RFC 3986 §3.2.1).
_URL: Final = (
    r"://(?P<user>[^\s:@/\"'<>]{0,64}):(?P<v>[^\s:@/\"'<>]{4,128})@(?P<host>[A-Za-z0-9.-]+)"
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
    r"do[op]_v1_|pypi-AgE|shp(?:at|ca|pa|ss)_|ya29\.|GOCSPX-|hvs\.|dapi[a-f0-9]{32}|gsk_|lin_api_|hooks\.slack\.com/|"
    r"PRIVATE KEY|eyJ[A-Za-z0-9_-]+\.eyJ|://[^\s:@/]*:[^\s:@/]+@|(?:whsec_|sq0csp-|xai-|pplx-|r8_|lsv2_|tvly-|nvapi-|rubygems_|dckr_pat_|glsa_|NRAK-|sntry[su]_|ntn_|figd_|"
    r"PMAK-|ATATT3|pul-|tskey-|AGE-SECRET-KEY-1|HRKU-|LTAI|EAAA|sbp_)[A-Za-z0-9_=-]{4}|gl(?:rt|cbt|dt|ptt|ft|soat|oas|imt|agent)-|xapp-|:AA[A-Za-z0-9_-]{9}|webhooks/[0-9]{9}|"
    r"(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_KEY|ACCESS_KEY)[A-Z0-9_]*\s*="
)

_WITH_GAPS: Final = ("-----BEGIN ", ":AA")  # what begins before the run of characters
_FORMS: Final = tuple((kind, hints, compiled(pattern)) for kind, hints, pattern in _TOKENS)
_CALLED_FORMS: Final = tuple((kind, word, compiled(pattern)) for kind, word, pattern in _CALLED)
_COMPILED_URL: Final = compiled(_URL)
_MAYBE_URL: Final = re.compile(r"://[^\s:@/]{0,64}:[^\s:@/]{4,128}@")
_SETTING_WORDS: Final = (
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
)
_COMPILED_SETTING: Final = re.compile(_SETTING)

_PLACEHOLDER: Final = re.compile(
    r"(?i)example|placeholder|changeme|change_me|dummy|redacted|your[-_]?|my[-_]?(?:secret|token|key|pass)|"
    r"\btodo|x{4,}|\*{3,}|\.{3}|0{6,}|1234567|abcdefg|deadbeef|\bfake|\btest|sample|insert"
)
_NO_PASSWORD: Final = re.compile(
    r"(?i)(?:pass(?:word|wd)?|secret|pwd|user(?:name)?|postgres|root|admin|guest|mysql|token|x+|\*+|"
    r".*(?:[<>{}$\[\]()]|%(?![0-9A-Fa-f]{2})).*|\.+)"
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
    for kind, match in _formed(text):
        value = match["v"]
        if kind == "web token" and not _is_web_token(value):
            continue
        before = text[max(0, match.start() - 40) : match.start()]
        if _is_drawn(
            value[:_JUDGED_CHARS], of_letters=kind == "Hugging Face token"
        ) and not _PUBLIC.search(before):
            yield _sensitive(match, kind)


def _formed(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    if not (long := runs(text, _FORM_CHARS_MIN)):
        return
    for kind, hints, pattern in _FORMS:
        for hint in hints:
            if hint in (text if hint in _WITH_GAPS else long):
                yield from ((kind, match) for match in beginning(pattern, hints, text))
                break
    lower = text.lower()
    for kind, word, pattern in _CALLED_FORMS:
        if word in lower:
            yield from ((kind, match) for match in pattern.finditer(text))


def _urls(text: str) -> Iterator[Sensitive]:
    if "://" not in text or not _MAYBE_URL.search(text):
        return
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
    if "=" not in text or not any(word in text for word in _SETTING_WORDS):
        return
    for match in _COMPILED_SETTING.finditer(text):
        value = match["v"]
        if not _NO_PASSWORD.fullmatch(value) and "." not in value[1:-1] and _is_drawn(value):
            yield _sensitive(match, "secret setting")


def _is_drawn(value: str, *, of_letters: bool = False) -> bool:
    """Whether `value` looks drawn at random: no placeholder, no word, letters mixed with digits, or, where its
    issuer draws it `of_letters`, capitals with small ones."""
    if _PLACEHOLDER.search(value):
        return False
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return (
        bits >= _BITS_MIN
        and any(char.isalpha() for char in value)
        and (any(char.isdigit() for char in value) or (of_letters and not value[3:].islower()))
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
