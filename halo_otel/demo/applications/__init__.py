"""Three agent applications as people run them: a travel assistant, a coding agent, a support desk.

Each scenario is a plain function that plays one run. Together they always hold what naive rules take
for faults: polling with progress, identical polls that finally resolve, pagination, batches, edit-test
cycles, different searches that all find nothing, and a heartbeat in most runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from halo_otel.demo.applications import coding, support, travel
from halo_otel.demo.faults import FaultKind
from halo_otel.demo.recording import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One service: its scenarios with weights, and where faults can be planted sensibly.

    `targets` maps a kind of fault to the (agent, tool) pairs it can strike.
    """

    service: str
    versions: tuple[str, ...]
    model: str
    provider: str
    scenarios: tuple[tuple[float, Callable[[Run], None]], ...]
    targets: Mapping[FaultKind, tuple[tuple[str, str], ...]]


APPLICATIONS: Final[tuple[Application, ...]] = (
    Application(
        service="travel-assistant",
        versions=("2.3.0", "2.3.1"),
        model="gpt-4o",
        provider="openai",
        scenarios=travel.SCENARIOS,
        targets=travel.TARGETS,
    ),
    Application(
        service="code-agent",
        versions=("0.9.4", "0.10.0"),
        model="claude-sonnet-4-5",
        provider="anthropic",
        scenarios=coding.SCENARIOS,
        targets=coding.TARGETS,
    ),
    Application(
        service="support-desk",
        versions=("5.1.2",),
        model="llama-3.3-70b-instruct",
        provider="openai",
        scenarios=support.SCENARIOS,
        targets=support.TARGETS,
    ),
)
