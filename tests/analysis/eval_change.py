"""How often clean windows alarm, and how soon a change is noticed: `python tests/analysis/eval_change.py`.

Cells with different rates and sizes whose rates vary from window to window, half of that together (as a
provider's bad day moves all of them). Prints the share of clean windows with an alarm, and the share of
faults (one cell's rate times 2, 3, 5) noticed in the first window, within 3 and within 10.
"""

import math
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.analysis.change.monitor import RECENT_WINDOWS, WARM_UP, Count, Monitor
from halo_otel.model.cell import Trend

CELLS = 60


class Deployment:
    """Cells with their own rates (Beta(2, 30)) and 20 to 400 traces per window."""

    def __init__(self, seed: int, sigma: float, cells: int = CELLS) -> None:
        self.random = Random(seed)
        self.sigma = sigma
        self.logits = []
        self.sizes = [self.random.randint(20, 400) for _ in range(cells)]
        for _ in range(cells):
            rate = min(0.4, max(0.005, self.random.betavariate(2, 30)))
            self.logits.append(math.log(rate / (1 - rate)))

    def window(self, factor: float = 1.0) -> dict[str, Count]:
        """One window; the first cell's rate is `factor` times its own."""
        shared = self.random.gauss(0, 0.7 * self.sigma)
        counts = {}
        for place, (logit, size) in enumerate(zip(self.logits, self.sizes, strict=True)):
            own = logit + shared + self.random.gauss(0, 0.7 * self.sigma)
            rate = min(0.9, (factor if place == 0 else 1.0) / (1 + math.exp(-own)))
            n = max(1, round(self.random.gauss(size, math.sqrt(size))))
            affected = sum(self.random.random() < rate for _ in range(n))
            counts[f"{place}"] = Count(affected, n)
        return counts


def false_alarms(sigma: float, windows: int, seeds: int) -> tuple[int, int, int]:
    """Clean windows in which an alarm is raised, in which one stands, and all of them."""
    raised = standing = 0
    for seed in range(seeds):
        deployment, monitor = Deployment(seed, sigma), Monitor()
        for _ in range(WARM_UP + RECENT_WINDOWS):
            monitor.close(deployment.window())
        before: set[str] = set()
        for _ in range(windows):
            closed = monitor.close(deployment.window())
            up = {cell for cell, one in closed.items() if one.trend is Trend.UP}
            raised += bool(up - before)
            standing += bool(up)
            before = up
    return raised, standing, windows * seeds


def noticed(factor: float, sigma: float, seeds: int, within: int = 10) -> list[int]:
    """After how many windows each fault is noticed; `within` + 1 for those that are not."""
    delays = []
    for seed in range(seeds):
        deployment, monitor = Deployment(1000 + seed, sigma), Monitor()
        for _ in range(WARM_UP + RECENT_WINDOWS):
            monitor.close(deployment.window())
        delays.append(within + 1)
        for delay in range(1, within + 1):
            standing = monitor.close(deployment.window(factor)).get("0")
            if standing is not None and standing.trend is Trend.UP:
                delays[-1] = delay
                break
    return delays


def main() -> None:
    """Print both tables."""
    for sigma in (0.0, 0.15, 0.3):
        raised, standing, windows = false_alarms(sigma, 50, 12)
        print(
            f"sigma {sigma:4}: of {windows} clean windows {raised} raise an alarm"
            f" ({raised / windows:.1%}), in {standing} one stands"
        )
    for factor in (2, 3, 5):
        delays = noticed(factor, 0.15, 40)
        shares = [sum(d <= limit for d in delays) / len(delays) for limit in (1, 3, 10)]
        print(
            f"x{factor}: noticed in the first window, within 3, within 10:",
            *map("{:.0%}".format, shares),
        )


if __name__ == "__main__":
    main()
