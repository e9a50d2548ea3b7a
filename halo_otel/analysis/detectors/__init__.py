"""The deterministic detectors, in the order in which they take precedence.

A detector is a pure function `(frame, profile) -> list[Hit]` over the traces of one shard; it never
imports another. Where two claim the same spans of a trace, the one further up keeps them
(`halo_otel.analysis.judgement`): a retry storm is not also told as a loop or as a redundant call.
"""

from collections.abc import Callable
from typing import Final

from halo_otel.analysis.detectors.errors import error_signature
from halo_otel.analysis.detectors.instrumentation import instrumentation
from halo_otel.analysis.detectors.latency import latency
from halo_otel.analysis.detectors.loops import loop, retry_storm
from halo_otel.analysis.detectors.redundancy import redundant_call
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.hit import Hit
from halo_otel.analysis.profile import Profile

Detector = Callable[[Frame, Profile], list[Hit]]

DETECTORS: Final[tuple[Detector, ...]] = (
    retry_storm,
    loop,
    redundant_call,
    error_signature,
    latency,
    instrumentation,
)
NEEDS_PAYLOAD: Final = (
    "retry_storm",
    "loop",
    "redundant_call",
)  # abstain without arguments, results
