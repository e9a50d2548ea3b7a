"""The package `openai` is an extra: what needs it says so, everything else does without."""

import subprocess
import sys

import pytest

from halo_otel.config.llm import Llm
from halo_otel.errors import ConfigError
from halo_otel.llm.transport import _client


def test_the_room_loads_without_it() -> None:
    code = (
        "import sys, halo_otel.llm.client, halo_otel.service.front\n"
        "print(sorted({'openai', 'httpx2'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_without_it_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigError, match=r"pip install 'halo-otel\[llm\]'"):
        _client(Llm(model="m"))
