"""The chart's copies and its README are what they are made from, and its notes can be pasted."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import CHART, EXAMPLES, ROOT, Helm, example_values, of_kind, parsed

MAKE = ROOT / ".ci" / "chart.py"
README = (CHART / "README.md").read_text(encoding="utf-8")
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
CONFIG_MAP_BYTES_MAX = 1 << 20  # kubernetes.io, "ConfigMaps"


def test_everything_is_what_make_docs_writes() -> None:
    made = subprocess.run(
        [sys.executable, "-B", MAKE, "--check"], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}".lstrip("."))
    else:
        yield path


def test_every_value_is_explained() -> None:
    rows = {line.split("`")[1] for line in README.splitlines() if line.startswith("| `")}
    for leaf in leaves(VALUES):
        above = leaf.split(".")
        names = {".".join(above[:count]) for count in range(1, len(above) + 1)}
        assert names & rows, leaf


def test_schema_and_values_have_the_same_keys() -> None:
    """Those that Helm puts there itself aside."""

    def compare(schema: dict[str, Any], values: dict[str, Any], path: str) -> None:
        known = schema["properties"]
        assert schema["additionalProperties"] is False, path
        for name, value in values.items():
            inner = known[name]
            if isinstance(value, dict) and "properties" in inner and name != "config":
                compare(inner, value, f"{path}.{name}")

    compare(SCHEMA, VALUES, "")
    assert SCHEMA["properties"].keys() - VALUES.keys() == {"global", "enabled"}


def test_the_examples_are_named() -> None:
    assert {"gateway", "replicas", "deployment", "secured", "sidecar"} <= set(EXAMPLES)
    for name in ("gateway", "replicas"):
        assert f"examples/{name}" in README


def commands() -> list[list[str]]:
    """What follows `helm install` in the README's quick starts."""
    text = README.replace("\\\n", " ")
    found = re.findall(r"^helm install (.*)$", text, re.MULTILINE)
    return [shlex.split(command) for command in found]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command[-1])
def test_the_quick_starts_are_rendered(helm: Helm, command: list[str]) -> None:
    made = subprocess.run(
        [helm.binary, "template", *command, "--kube-version=1.29.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    [policy] = of_kind(parsed(made), "NetworkPolicy")
    observability = {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}
    assert policy["spec"]["ingress"][0]["from"] == [{"namespaceSelector": observability}]


def test_there_are_quick_starts() -> None:
    assert len(commands()) == 2, "and the sidecar, which is the chart agent-with-sidecar"


def test_the_dashboards_fit_into_a_config_map(helm: Helm) -> None:
    for one in of_kind(helm.documents("mode gateway"), "ConfigMap"):
        assert len(json.dumps(one["data"])) < CONFIG_MAP_BYTES_MAX


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes as a document: helm itself shows them only to who has a cluster."""
    chart = tmp_path_factory.mktemp("notes") / "halo-otel"
    shutil.copytree(CHART, chart)
    notes = '{"kind": "Notes", "told": {{ include "halo-otel/templates/NOTES.txt" . | toJson }}}'
    (chart / "templates" / "told.yaml").write_text(notes, encoding="utf-8")
    return chart


def notes(helm: Helm, chart: Path, example: str) -> str:
    given = ("--namespace=agents", *example_values(example))
    [made] = of_kind(parsed(helm.template(chart, {}, *given)), "Notes")
    return str(made["told"])


def pasted(told: str) -> dict[str, Any]:
    """The exporters that the notes tell to paste."""
    lines = told.splitlines()
    begin = lines.index("  exporters:")
    end = next(number for number in range(begin, len(lines)) if not lines[number])
    exporters: dict[str, Any] = yaml.safe_load("\n".join(lines[begin:end]))["exporters"]
    return exporters


def test_the_notes_name_the_service(helm: Helm, talking: Path) -> None:
    told = notes(helm, talking, "gateway")
    [exporter] = pasted(told).values()
    assert exporter["endpoint"] == "halo-halo-otel.agents.svc:14317"
    assert exporter["headers"] == {"authorization": "Bearer ${env:HALO_TOKEN}"}
    assert "the Secret halo-otel-tokens" in told
    assert "exec halo-halo-otel-0 -- halo-otel status" in told


def test_the_notes_name_every_replica(helm: Helm, talking: Path) -> None:
    told = notes(helm, talking, "replicas")
    [exporter] = pasted(told).values()
    assert exporter["routing_key"] == "traceID"
    assert exporter["resolver"]["static"]["hostnames"] == [
        f"halo-halo-otel-{number}.halo-halo-otel-headless.agents.svc:14317" for number in range(3)
    ]
    assert "Nobody is asked for a token" in told


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_notes_have_no_gaps(helm: Helm, talking: Path, example: str) -> None:
    told = notes(helm, talking, example)
    assert "<no value>" not in told
    assert "\n\n\n" not in told
    assert all(line == line.rstrip() for line in told.splitlines())


@pytest.mark.collector
@pytest.mark.parametrize("example", ["gateway", "deployment"])
def test_the_collector_takes_what_is_pasted(
    helm: Helm, talking: Path, example: str, tmp_path: Path, collector_binary: Path
) -> None:
    exporters = pasted(notes(helm, talking, example))
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "localhost:4317"}}}},
        "extensions": {"file_storage/halo": {"directory": str(tmp_path)}},
        "exporters": exporters,
        "service": {
            "extensions": ["file_storage/halo"],
            "pipelines": {"traces/halo": {"receivers": ["otlp"], "exporters": [*exporters]}},
        },
    }
    file = tmp_path / "collector.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    judged = subprocess.run(
        [collector_binary, "validate", f"--config={file}"],
        env={"HALO_TOKEN": "a-token"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr
