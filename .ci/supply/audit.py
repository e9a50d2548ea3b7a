"""Asks the OSV database for known vulnerabilities of everything a lock file pins.

    audit.py LOCK [OPTION…]    options go to pip-audit

Fails when there is one, and when pip-audit cannot read the lock file. Where the database does not answer
it says `not audited` and does not fail: a build must not depend on somebody else's server, but nobody
should take silence for a clean bill.
"""

import json
import subprocess
import sys
from typing import Any

# pip-audit alone would ask an index for every name first, and install nothing is what hashes are for.
ASK = ("--require-hashes", "--disable-pip", "--vulnerability-service", "osv", "--format", "json")
QUIET = ("--progress-spinner", "off", "--desc", "off", "--aliases", "on", "--timeout", "10")


def asked(lock: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, *ASK, *QUIET, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["pip-audit said nothing"])[-1][:300]


def tell(dependencies: list[dict[str, Any]], lock: str) -> int:
    """Print what was found; the exit code."""
    skipped = [each for each in dependencies if "skip_reason" in each]
    for each in skipped:
        print(f"not audited: {each['name']}: {each['skip_reason']}")
    bad = [(each, one) for each in dependencies for one in each.get("vulns", ())]
    for each, one in bad:
        names = ", ".join([one["id"], *one["aliases"]])
        cure = " or ".join(one["fix_versions"]) or "no version yet"
        print(f"VULNERABLE: {each['name']} {each['version']}: {names}; mended in {cure}")
    print(
        f"audited: {len(dependencies) - len(skipped)} of {len(dependencies)} in {lock}, {len(bad)} known"
    )
    return 1 if bad else 0


def main(lock: str, *options: str) -> int:
    read = asked(lock, "--dry-run")  # asks nobody
    if read.returncode:
        print(f"cannot read {lock}: {last_line(read.stderr)}")
        return 1
    result = asked(lock, *options)
    try:
        report = json.loads(result.stdout)
    except json.JSONDecodeError:
        print(f"NOT AUDITED: no advisory database reachable; {lock} may hold known vulnerabilities")
        print(f"  {last_line(result.stderr)}")
        return 0
    return tell(report["dependencies"], lock)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
