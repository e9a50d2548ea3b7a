"""A rendered pod's files and variables, laid out below a directory of this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Authority
from tests.deploy.conftest import Document, container, environment, of_kind, pods

# The release of `Helm.template` in the namespace of `Helm.documents`.
SERVICE = "halo-halo-otel.agents.svc"
TOKEN = "a-token-of-senders"
METRICS_TOKEN = "a-token-of-scrapers"
REGISTRY_URL = "postgresql://halo:secret@postgres.databases/halo"
_TEXTS = {
    "tokens": TOKEN,
    "metrics-token": METRICS_TOKEN,
    "registry-url": REGISTRY_URL,
    "llm-api-key": "a-key-of-the-model",
    "llm-headers.yaml": "x-team: agents",
    "exporter-headers.yaml": "authorization: Bearer a-token-of-the-collector",
    "redaction-key": "0123456789abcdef0123456789abcdef",
}


@dataclass(frozen=True)
class Mounted:
    """`environ` is what the process has; paths of the pod are below `root` in it and in halo.yaml."""

    root: Path
    environ: dict[str, str]

    @property
    def config(self) -> Path:
        return Path(self.environ["HALO_CONFIG"])


def mount(documents: list[Document], root: Path, address: str) -> Mounted:
    """Make the pod's mounts below `root`, with Secrets that hold what they should."""
    [pod] = [pod["spec"] for pod in pods(documents)]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(documents, "ConfigMap")}
    mounts = {one["name"]: one["mountPath"] for one in container(documents)["volumeMounts"]}
    secrets = _certificates(root) | _TEXTS

    def moved(text: str) -> str:
        return _below(root, text, mounts.values())

    for name, path in mounts.items():
        directory = root / path[1:]
        directory.mkdir(parents=True)
        volume = volumes.get(name, {})
        if "configMap" in volume:
            for key, text in maps[volume["configMap"]["name"]].items():
                (directory / key).write_text(moved(text), encoding="utf-8")
        for source in volume.get("projected", {}).get("sources", []):
            for item in source["secret"]["items"]:
                file = directory / item["path"]
                file.write_text(secrets[item["path"]], encoding="ascii")
                file.chmod(volume["projected"]["defaultMode"])
    environ = environment(documents, address)
    return Mounted(root, {name: moved(text) for name, text in environ.items()})


def _below(root: Path, text: str, paths: Iterable[str]) -> str:
    for path in paths:
        text = text.replace(path, f"{root}{path}")
    return text


def _certificates(root: Path) -> dict[str, str]:
    """One certificate for everybody, by a CA of its own."""
    directory = root / "pki"
    directory.mkdir(parents=True)
    authority = Authority(directory)
    names = f"DNS:{SERVICE},DNS:halo-halo-otel.default.svc"
    issued = authority.issue("halo-otel", names)
    cert, key, ca = (
        path.read_text(encoding="ascii") for path in (issued.cert, issued.key, authority.cert)
    )
    return {
        "tls.crt": cert,
        "tls.key": key,
        "client-ca.crt": ca,
        "exporter.crt": cert,
        "exporter.key": key,
        "exporter-ca.crt": ca,
    }
