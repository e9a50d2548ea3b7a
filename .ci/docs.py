"""Writes the generated parts of the README; `make docs` runs it, tests/config checks the result."""

from pathlib import Path

from halo_otel.config.describe import markdown_table

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- configuration: begin -->\n", "<!-- configuration: end -->"

before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
_, _, after = rest.partition(END)
README.write_text(f"{before}{BEGIN}{markdown_table()}{END}{after}", encoding="utf-8")
