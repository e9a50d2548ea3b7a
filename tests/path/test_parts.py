"""The parts of these tests tell the truth."""

import json
from pathlib import Path

from tests.path.conftest import Collector, Service


def test_what_came_back_is_split_at_line_feeds_alone(tmp_path: Path) -> None:
    """The Collector writes JSON with U+2028 as it is, and a crash leaves half a line."""
    collector = Collector(Path("none"), tmp_path, Service(tmp_path / "service"))
    requests = [{"text": "a\u2028b\x85c"}, {"text": "d"}]
    lines = [json.dumps(request, ensure_ascii=False) for request in requests]
    (tmp_path / "logs.jsonl").write_text("\n".join([*lines, '{"te']), encoding="utf-8")
    assert collector.came_back("logs") == requests
