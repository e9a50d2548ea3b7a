"""Reports read back from `halo.report/v1` JSON, to compare a later analysis with."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from halo_otel.clock import NS_PER_S
from halo_otel.errors import BadFile
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Status,
    Subject,
)
from halo_otel.model.report import Coverage, Report, WindowSummary
from halo_otel.reports.contract import SCHEMA

_HEAD_BYTES: Final = 200  # the schema stands first
REPORT_BYTES_MAX: Final = 256 * 1024 * 1024  # 100 findings with 20 000 traces each are 70 MB


def is_report(path: Path) -> bool:
    """Whether a file begins like a report."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return b'"schema"' in head and SCHEMA.encode() in head


def read(path: Path) -> Report:
    """The report in a file; evidence has no times and no resource. Raises BadFile."""
    try:
        if path.stat().st_size > REPORT_BYTES_MAX:
            raise BadFile(f"{path}: larger than any report: give the traces instead")
        return _report(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise BadFile(
            f"{path} is no report of halo-otel ({why}): write one with `analyze --format json`"
        ) from error


def _report(data: Any) -> Report:
    if data["schema"] != SCHEMA:
        raise ValueError(f"its schema is {data['schema']!r}, this version reads {SCHEMA}")
    window, coverage = data["window"], data["coverage"]
    count = len(data["findings"])
    return Report(
        window=WindowSummary(
            start_ns=_ns(window["start"]),
            end_ns=_ns(window["end"]),
            traces=int(window["traces"]),
            spans=int(window["spans"]),
            services=tuple(map(str, window["services"])),
            settled=int(window["settled"]),
            late=int(window["late"]),
        ),
        coverage=Coverage(
            payload_captured=_number(coverage["payload_captured"]),
            outcome_known=_number(coverage["outcome_known"]),
        ),
        findings=tuple(
            _finding(one, priority=(count - place) / count)
            for place, one in enumerate(data["findings"])
        ),
    )


def _finding(data: Any, *, priority: float) -> Finding:
    subject, impact, effect, cause = (
        data["subject"],
        data["impact"],
        data["effect"],
        data["root_cause"],
    )
    p_adjusted = effect["p_adjusted"]
    return Finding(
        fingerprint=str(data["fingerprint"]),
        detector=str(data["detector"]),
        category=str(data["category"]),
        title=str(data["title"]),
        summary=str(data["summary"]),
        subject=Subject(
            service=subject["service"],
            agent=subject["agent"],
            tool=subject["tool"],
            model=subject["model"],
            attributes={str(key): str(value) for key, value in subject["attributes"].items()},
        ),
        severity=Severity(data["severity"]),
        confidence=_number(data["confidence"]),
        impact=Impact(
            traces_affected=int(impact["traces_affected"]),
            traces_exposed=int(impact["traces_exposed"]),
            failed_traces_attributable=_number(impact["failed_traces_attributable"]),
            tokens_wasted=int(impact["tokens_wasted"]),
            cost_wasted=_number(impact["cost_wasted"]),
            seconds_wasted=_number(impact["seconds_wasted"]),
        ),
        effect=Effect(
            measure=str(effect["measure"]),
            value=_number(effect["value"]),
            ci=(_number(effect["ci"][0]), _number(effect["ci"][1])),
            p_adjusted=None if p_adjusted is None else float(p_adjusted),
        ),
        traces=tuple(data["traces"]),
        evidence=tuple(
            Evidence(
                trace_id=one["trace_id"],
                span_id=one["span_id"],
                role=Role(one["role"]),
                note=str(one["note"]),
                time_ns=0,
            )
            for one in data["evidence"]
        ),
        root_cause=cause
        and RootCause(trace_id=cause["trace_id"], span_id=cause["span_id"], why=str(cause["why"])),
        recommendation=str(data["recommendation"]),
        priority=priority,
        tier=str(data["tier"]),
        status=Status(data["status"]),
        first_seen_ns=_ns(data["first_seen"]),
        last_seen_ns=_ns(data["last_seen"]),
        windows_seen=int(data["windows_seen"]),
    )


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * NS_PER_S + moment.microsecond * 1000


def _number(value: Any) -> float:
    """A number; JSON cannot write an infinite one."""
    return float("inf") if value is None else float(value)
