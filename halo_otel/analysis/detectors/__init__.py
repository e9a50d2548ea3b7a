"""The deterministic detectors, in the order in which they take precedence.

A detector's file holds its query, its hits, its sentences and its policy (`analysis.detector`); it never
imports another detector. Where two that claim calls are about the same spans of a trace, the one
further up keeps them: a retry storm is not also told as a loop or as a redundant call.
"""

from collections.abc import Mapping
from typing import Final

from halo_otel.analysis.detector import Detector
from halo_otel.analysis.detectors.errors import ERROR_SIGNATURE
from halo_otel.analysis.detectors.instrumentation import INSTRUMENTATION
from halo_otel.analysis.detectors.latency import LATENCY
from halo_otel.analysis.detectors.loops import LOOP, RETRY_STORM
from halo_otel.analysis.detectors.redundancy import REDUNDANT_CALL

DETECTORS: Final[tuple[Detector, ...]] = (
    RETRY_STORM,
    LOOP,
    REDUNDANT_CALL,
    ERROR_SIGNATURE,
    LATENCY,
    INSTRUMENTATION,
)
BY_NAME: Final[Mapping[str, Detector]] = {detector.name: detector for detector in DETECTORS}
