"""The real helm, and what it makes of our charts."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.built import built

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "halo-otel"
EXAMPLES = sorted(path.parent.name for path in CHART.glob("examples/*/values.yaml"))
# What every mode needs.
GIVEN = {
    "image.repository": "registry.example.com/halo-otel",
    "config.exporters.otlp.endpoint": "otel-collector.observability:4317",
}
ON = {
    f"{name}.enabled": "true"
    for name in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards")
}
# What is rendered by name: the examples, and each mode with its own defaults.
CASES: dict[str, tuple[str, dict[str, str]]] = {
    **{name: (name, {}) for name in EXAMPLES},
    "mode gateway": ("", GIVEN | ON),
    "mode deployment": ("", GIVEN | ON | {"mode": "deployment"}),
    "mode sidecar": (
        "",
        GIVEN
        | ON
        | {"mode": "sidecar", "serviceMonitor.enabled": "false", "podMonitor.matchLabels.app": "a"},
    ),
    "gateway without claims": ("", GIVEN | {"persistence.enabled": "false"}),
    "ipv6": ("", GIVEN | {"ipv6": "true"}),
}
Document = dict[str, Any]


@dataclass
class Helm:
    binary: Path
    _known: dict[str, list[Document]] = field(default_factory=dict)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.binary, *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    def template(
        self, chart: Path, values: Mapping[str, str], *arguments: str | Path
    ) -> subprocess.CompletedProcess[str]:
        """The words of `helm template` for the oldest Kubernetes that the chart takes."""
        sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        return self.run("template", "halo", chart, "--kube-version=1.29.0", *sets, *arguments)

    def documents(self, case: str) -> list[Document]:
        """What one of `CASES` renders."""
        if case not in self._known:
            example, values = CASES[case]
            given = ("--namespace=agents", *example_values(example))
            self._known[case] = parsed(self.template(CHART, values, *given))
        return self._known[case]

    def refusal(self, values: Mapping[str, str]) -> str:
        """Why the chart is not rendered."""
        judged = self.template(CHART, {**GIVEN, **values})
        assert judged.returncode != 0, judged.stdout
        return judged.stderr


def program(name: str) -> Path:
    """Where a program lies that `.ci/deploy/build` makes; skips the test if it does not."""
    path = built("deploy", name)
    if not path.exists():
        pytest.skip(f"{name} is not built: run .ci/deploy/build {name} (it needs Go)")
    return path


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The helm that `.ci/deploy/build helm` makes; skips where nobody did."""
    return Helm(program("helm"))


@pytest.fixture(scope="session")
def agent_chart(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of a chart with our sidecar, with its dependency."""
    charts = tmp_path_factory.mktemp("charts")
    shutil.copytree(CHART.parent, charts, dirs_exist_ok=True)
    chart = charts / "agent-with-sidecar"
    built = helm.run("dependency", "build", chart)
    assert built.returncode == 0, built.stderr
    return chart


@pytest.fixture(scope="session")
def agent(helm: Helm, agent_chart: Path) -> list[Document]:
    """What it renders."""
    return parsed(helm.template(agent_chart, {}))


def example_values(name: str) -> list[str]:
    """What names the values of an example; of none without a name."""
    return [f"--values={CHART / 'examples' / name / 'values.yaml'}"] if name else []


def parsed(rendered: subprocess.CompletedProcess[str]) -> list[Document]:
    assert rendered.returncode == 0, rendered.stderr
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def pods(documents: Iterable[Document]) -> list[Document]:
    """The pod templates."""
    return [one["spec"]["template"] for one in documents if "template" in one.get("spec", {})]


def container(documents: Iterable[Document]) -> Document:
    """Our container."""
    [pod] = [pod["spec"] for pod in pods(documents)]
    both = [*pod.get("initContainers", []), *pod["containers"]]
    [ours] = [one for one in both if one["name"] == "halo-otel"]
    return dict(ours)


def image_environment() -> dict[str, str]:
    """The variables that our image sets."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    given = dict(part.split("=", 1) for part in shlex.split(line))
    return {name: value for name, value in given.items() if name != "PATH"}


def environment(documents: Iterable[Document], address: str) -> dict[str, str]:
    """The variables our container has: the image's, and over them the pod's with its address."""
    given = image_environment()
    for entry in container(documents)["env"]:
        given[entry["name"]] = entry.get("value", address).replace("$(POD_IP)", address)
    return given


@pytest.fixture(scope="session")
def kustomize() -> Callable[[Path], list[Document]]:
    """What the kustomize that `.ci/deploy/build kustomize` makes has to say of a folder; skips where nobody did."""
    binary = program("kustomize")

    def build(folder: Path) -> list[Document]:
        made = subprocess.run(
            [binary, "build", folder], capture_output=True, text=True, timeout=60, check=False
        )
        assert "deprecated" not in made.stderr
        return parsed(made)

    return build
