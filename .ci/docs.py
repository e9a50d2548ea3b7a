"""Writes the generated documents; `make docs` runs it, tests/{config,analysis,supply,deploy} check them."""

from pathlib import Path

import chart
from supply import page

from halo_otel.analysis.claims import described
from halo_otel.config.describe import markdown_table

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- configuration: begin -->\n", "<!-- configuration: end -->"

before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
_, _, after = rest.partition(END)
README.write_text(f"{before}{BEGIN}{markdown_table()}{END}{after}", encoding="utf-8")
(ROOT / "docs").mkdir(exist_ok=True)
(ROOT / "docs" / "detectors.md").write_text(described.markdown(), encoding="utf-8")
(ROOT / "docs" / "dependencies.md").write_text(page.markdown(), encoding="utf-8")
chart.write()
