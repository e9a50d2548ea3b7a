"""The README's commands for a laptop, as they stand there: run by a shell in a checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

from halo_otel.demo.process import free_ports
from tests.docs.pages import ROOT, Page

README = Page(path=ROOT / "README.md")
# In place of so many seconds: until all is stored.
PAUSE = 'sleep() { until halo-otel windows | grep -q " 2,110 "; do command sleep 0.1; done; }'


def test_the_commands_for_a_laptop_find_something(tmp_path: Path) -> None:
    (block,) = [block for block in README.blocks("") if "halo-otel serve &" in block]
    install, _, commands = block.partition("\n")
    assert install == "pip install ."
    grpc, http, web = free_ports(3)
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "200",
        "HALO_STORAGE_DIRECTORY": str(tmp_path),
        "HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC_ENDPOINT": f"localhost:{grpc}",
        "HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP_ENDPOINT": f"localhost:{http}",
        "HALO_WEB_ENDPOINT": f"localhost:{web}",
        "HALO_EXPORTERS_OTLP_ENABLED": "false",
        "HALO_ANALYSIS_TRACE_SETTLE": "0s",
        "HALO_WINDOW_LENGTH": "1d",  # all in one
    }
    script = f"{PAUSE}\ntrap 'kill %1' EXIT\n{commands}\nkill %1\nwait %1\ntrap - EXIT\n"
    ran = subprocess.run(
        ["timeout", "100", "bash", "-e", "-c", script],  # it ends the service, too
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "2,110 spans accepted" in ran.stderr + ran.stdout
    assert re.search(r"\b162 traces \(162 judged\)", ran.stdout)
    assert re.search(r"^warn +new +Runs of agent", ran.stdout, re.MULTILINE)
