"""Files that look like secrets, by their names and by what they hold."""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final

# Names that issuers and tools give to what opens something (as in GitHub's and gitleaks' lists of files).
_NAMES: Final = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd"),
    *(".git-credentials", ".dockercfg", ".my.cnf", "kubeconfig", "*.kubeconfig", "*.tfstate*", "*.tfvars"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.p8", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.asc"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "service-account*.json", "service_account*.json"),
)  # fmt: skip
_FOLDERS: Final = frozenset({".git", ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker"})
_WORDS: Final = ("*credential*", "*secret*")
# Code about secrets is code: `credentials.py` is shown, `credentials.json` is not.
_SOURCE: Final = frozenset(
    ".py .pyi .js .jsx .mjs .ts .tsx .go .rs .java .kt .rb .php .cs .c .h .cc .cpp .swift .scala .md".split()
)
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY")


def is_secret(path: str) -> bool:
    """Whether the name of this file, or a folder above it, says that it holds secrets."""
    parts = PurePosixPath(path.casefold())
    name = parts.name
    return (
        not _FOLDERS.isdisjoint(parts.parts)
        or any(fnmatchcase(name, pattern) for pattern in _NAMES)
        or (parts.suffix not in _SOURCE and any(fnmatchcase(name, pattern) for pattern in _WORDS))
    )


def holds_key(text: str) -> bool:
    """Whether a private key stands in the text: its lines alone do not show it."""
    return _PRIVATE_KEY.search(text) is not None
