"""The deterministic detectors, in the order in which they take precedence.

A detector's file holds its query, its hits, its sentences and its policy (`analysis.detector`); it never
imports another detector. Where two that claim calls are about the same spans of a trace, the one
further up keeps them: a retry storm is not also told as a loop or as a redundant call.
"""

from collections.abc import Mapping
from typing import Final

from halo_otel.analysis.claims.detector import Detector
from halo_otel.analysis.detectors.cacheable import CACHEABLE_CALL
from halo_otel.analysis.detectors.cascade import CASCADE
from halo_otel.analysis.detectors.context_growth import CONTEXT_GROWTH
from halo_otel.analysis.detectors.context_loss import CONTEXT_LOSS
from halo_otel.analysis.detectors.cost import COSTLY_RUNS
from halo_otel.analysis.detectors.delegation import ORPHAN_DELEGATION
from halo_otel.analysis.detectors.duplicate_work import DUPLICATE_WORK
from halo_otel.analysis.detectors.errors import ERROR_SIGNATURE
from halo_otel.analysis.detectors.exposure_of_data import (
    CREDENTIAL_EXPOSURE,
    PERSONAL_DATA_EXPOSURE,
)
from halo_otel.analysis.detectors.handoffs import HANDOFF_LOOP
from halo_otel.analysis.detectors.huge_result import HUGE_RESULT
from halo_otel.analysis.detectors.ignored_error import IGNORED_TOOL_ERROR
from halo_otel.analysis.detectors.instrumentation import INSTRUMENTATION
from halo_otel.analysis.detectors.invalid_arguments import INVALID_ARGUMENTS, TOLERATED_ARGUMENTS
from halo_otel.analysis.detectors.latency import LATENCY, SLOW_INPUT
from halo_otel.analysis.detectors.loops import LOOP, RETRY_STORM
from halo_otel.analysis.detectors.malformed import MALFORMED_OUTPUT
from halo_otel.analysis.detectors.near_loop import LOOP_NEAR
from halo_otel.analysis.detectors.no_progress import NO_PROGRESS
from halo_otel.analysis.detectors.premature_end import PREMATURE_END
from halo_otel.analysis.detectors.redundancy import REDUNDANT_CALL
from halo_otel.analysis.detectors.refusal import REFUSAL
from halo_otel.analysis.detectors.serial_calls import SERIAL_CALLS
from halo_otel.analysis.detectors.skipped_step import SKIPPED_STEP
from halo_otel.analysis.detectors.stale_data import STALE_DATA
from halo_otel.analysis.detectors.step_limit import STEP_LIMIT
from halo_otel.analysis.detectors.swallowed import SWALLOWED_ERROR
from halo_otel.analysis.detectors.truncation import TRUNCATION
from halo_otel.analysis.detectors.ungrounded import UNGROUNDED_ARGUMENT
from halo_otel.analysis.detectors.unknown_tool import UNKNOWN_TOOL
from halo_otel.analysis.detectors.waiting import WAITING
from halo_otel.analysis.detectors.writes import CONFLICTING_WRITE, LOST_UPDATE

DETECTORS: Final[tuple[Detector, ...]] = (
    RETRY_STORM,
    LOOP,
    LOOP_NEAR,
    LOST_UPDATE,
    CONFLICTING_WRITE,
    STALE_DATA,
    DUPLICATE_WORK,
    NO_PROGRESS,
    REDUNDANT_CALL,
    UNKNOWN_TOOL,
    INVALID_ARGUMENTS,
    TOLERATED_ARGUMENTS,
    UNGROUNDED_ARGUMENT,
    MALFORMED_OUTPUT,
    CASCADE,
    SWALLOWED_ERROR,
    HANDOFF_LOOP,
    ORPHAN_DELEGATION,
    WAITING,
    IGNORED_TOOL_ERROR,
    PREMATURE_END,
    REFUSAL,
    TRUNCATION,
    STEP_LIMIT,
    HUGE_RESULT,
    CONTEXT_GROWTH,
    CONTEXT_LOSS,
    ERROR_SIGNATURE,
    SKIPPED_STEP,
    LATENCY,
    SLOW_INPUT,
    COSTLY_RUNS,
    SERIAL_CALLS,
    CACHEABLE_CALL,
    CREDENTIAL_EXPOSURE,
    PERSONAL_DATA_EXPOSURE,
    INSTRUMENTATION,
)
BY_NAME: Final[Mapping[str, Detector]] = {detector.name: detector for detector in DETECTORS}
