"""Reads the report of `pip install --report`: everything came as a wheel and nothing was withdrawn.

    installed.py REPORT

Fails when a version was yanked from the index it came from, or was built from source on the way.
"""

import json
import sys
from pathlib import Path


def main(report: str) -> int:
    came = json.loads(Path(report).read_text(encoding="utf-8"))["install"]
    wrong = []
    for each in came:
        name = f"{each['metadata']['name']} {each['metadata']['version']}"
        if each["is_yanked"]:
            wrong.append(f"{name} was withdrawn by its authors: run `make lock`")
        if not each["download_info"]["url"].endswith(".whl"):
            wrong.append(f"{name} is no wheel")
    print("\n".join(wrong) or f"{len(came)} distributions, all of them wheels, none withdrawn")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
