"""The commands for Helm and Kustomize that the pages give, run as far as that goes without a cluster."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.conftest import Document, Helm, of_kind, parsed
from tests.docs.pages import ROOT, Page

PAGES = [Page(path=ROOT / name) for name in ("README.md", "deploy/README.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_helm_installs_a_gateway(page: Page, helm: Helm) -> None:
    (words,) = [words for words in page.commands() if words[:2] == ["helm", "install"]]
    _, _, release, chart, *rest = words
    documents = parsed(helm.run("template", release, ROOT / chart, "--kube-version=1.29.0", *rest))
    (gateway,) = of_kind(documents, "StatefulSet")
    assert gateway["metadata"]["name"] == "halo-otel"  # its pod is halo-otel-0
    spec = str(gateway["spec"])
    assert "registry.example.com/halo-otel" in spec
    assert "halo-otel-tokens" in spec


def test_kustomize_builds_what_is_applied(kustomize: Callable[[Path], list[Document]]) -> None:
    folders = re.findall(r"apply -k (\S+)", "\n".join(PAGES[1].code()))
    assert len(folders) == 2
    for folder in folders:
        assert "name': 'halo-otel'" in str(kustomize(ROOT / folder)), folder
