"""What a soak came to, line by line, with the limits."""

from dataclasses import dataclass
from typing import Final

from tests.soak.course import Outcome
from tests.soak.rig import JOURNAL_BYTES, SEGMENT_BYTES
from tests.soak.watch import BLOCK, Life, slope

RATE_SHARE_MIN: Final = 0.95
# Two standard errors above it a slope is growth; a leak of 32 MiB/h would end a container in a day.
SLOPE_MIB_H_MAX: Final = 32.0
FILES_MORE_MAX: Final = 16
READINGS_MIN: Final = 3 * BLOCK
ACK_P99_S_MAX: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table."""

    what: str
    value: str
    limit: str = ""
    kept: bool = True


def exactness(outcome: Outcome) -> list[Line]:
    """The part of the table that does not depend on how fast the machine is."""
    stored, said, journal = outcome.stored, outcome.told, outcome.watch
    waiting_mb, files_mb = journal.journal_bytes / 1e6, journal.journal_disk_bytes / 1e6
    most_mb = JOURNAL_BYTES / 1e6
    # A segment goes when all in it is ingested, and the next has begun by then.
    disk_mb = most_mb + 3 * SEGMENT_BYTES / 1e6
    return [
        Line(
            what="spans accepted",
            value=f"{stored.accepted:,}",
            limit="> 0",
            kept=stored.accepted > 0,
        ),
        zero("accepted and not stored", stored.lost),
        zero("stored twice", stored.doubled),
        zero("stored and never sent", stored.strange),
        Line(what="delivered more than once", value=f"{stored.again:,}"),
        zero("requests in quarantine", outcome.quarantined),
        Line(
            what="journal waiting, most",
            value=f"{waiting_mb:.0f} MB",
            limit=f"<= {most_mb:.0f} MB",
            kept=waiting_mb <= most_mb,
        ),
        Line(
            what="journal on disk, most",
            value=f"{files_mb:.0f} MB",
            limit=f"<= {disk_mb:.0f} MB",
            kept=files_mb <= disk_mb,
        ),
        Line(
            what="transitions of findings",
            value=str(said.transitions),
            limit="> 0",
            kept=said.transitions > 0,
        ),
        zero("transitions the backend did not see", said.missing),
        zero("seen, and no transition", said.invented),
        Line(what="transitions told more than once", value=str(said.again)),
        Line(what="occurrences told", value=str(said.occurrences)),
        zero("occurrences the backend did not see", said.occurrences_missing),
        Line(what="left in the outbox", value=str(said.waiting)),
        zero("engines that ended by themselves", len(outcome.deaths)),
    ]


def zero(what: str, value: int) -> Line:
    return Line(what=what, value=f"{value:,}", limit="0", kept=value == 0)


def speed(outcome: Outcome, rate: float) -> list[Line]:
    """Rate and acknowledgements."""
    reached = sum(spans for _, spans in outcome.sent["accepted"]) / outcome.sent["elapsed_s"]
    lines = [
        Line(
            what="spans/s the Collector accepted",
            value=f"{reached:,.0f}",
            limit=f">= {RATE_SHARE_MIN * rate:,.0f}",
            kept=reached >= RATE_SHARE_MIN * rate,
        )
    ]
    for who, told_ in (("Collector's", outcome.sent), ("our", outcome.probed)):
        acks_s = sorted(told_["acks_s"])
        p50, p99 = (acks_s[int(share * (len(acks_s) - 1))] for share in (0.5, 0.99))
        ours = who == "our"
        lines.append(
            Line(
                what=f"{who} ack, p50 / p99 / max",
                value=f"{1e3 * p50:.0f} / {1e3 * p99:.0f} / {1e3 * acks_s[-1]:.0f} ms",
                limit=f"p99 <= {1e3 * ACK_P99_S_MAX:.0f} ms" if ours else "",
                kept=not ours or p99 <= ACK_P99_S_MAX,
            )
        )
    for who, told_ in (("the Collector", outcome.sent), ("us", outcome.probed)):
        lines.append(Line(what=f"tries again, not accepted by {who}", value=str(told_["refused"])))
    return lines


def growth(outcome: Outcome) -> list[Line]:
    """Memory and open files of the front and the engine that lived through the steady time."""
    lines = []
    for role in ("front", "engine"):
        life = outcome.watch.last(role, *outcome.steady)
        if len(life.at_s) < READINGS_MIN:
            lines.append(
                Line(what=f"RSS of the {role}", value="too short to tell", limit="30 s", kept=False)
            )
            continue
        rise, error = slope(life)
        lines.append(
            Line(
                what=f"RSS of the {role}",
                value=f"{min(life.rss_mib):.0f}-{max(life.rss_mib):.0f} MiB",
            )
        )
        lines.append(
            Line(
                what="  its slope",
                value=f"{rise:+.0f} ± {error:.0f} MiB/h",
                limit=f"<= {SLOPE_MIB_H_MAX:.0f} + 2 errors",
                kept=rise <= SLOPE_MIB_H_MAX + 2 * error,
            )
        )
        before, after = files_early_and_late(life)
        lines.append(
            Line(
                what=f"open files of the {role}, early / late",
                value=f"{before} / {after}",
                limit=f"<= {FILES_MORE_MAX} more",
                kept=after - before <= FILES_MORE_MAX,
            )
        )
    return lines


def files_early_and_late(life: Life) -> tuple[int, int]:
    """The median number of open files in the first and in the last third."""
    third = len(life.files) // 3
    early, late = sorted(life.files[:third]), sorted(life.files[-third:])
    return early[third // 2], late[third // 2]


def cpu(outcome: Outcome) -> list[Line]:
    total_s = outcome.watch.elapsed_s
    return [
        Line(what=f"CPU of {role}", value=f"{100 * seconds / total_s:.0f} % of a core")
        for role, seconds in sorted(outcome.watch.cpu_s().items(), key=lambda one: -one[1])
    ]


def show(outcome: Outcome, lines: list[Line]) -> None:
    """Print what was done and the table."""
    done = [f"{outcome.faults.count(name)} {name}" for name in sorted(set(outcome.faults))]
    print("faults: " + ", ".join(done))
    for line in lines:
        verdict = "" if not line.limit else "ok" if line.kept else "FAILED"
        print(f"{line.what:38} {line.value:>24}  {line.limit:22} {verdict}")
    for death in outcome.deaths:
        print(death)
