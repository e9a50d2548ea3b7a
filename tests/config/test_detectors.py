"""`analysis.detectors`: what an operator may say of one detector, and how mistakes are told."""

from pathlib import Path

import pytest

from halo_otel.config.load import load
from halo_otel.config.sections import DetectorRule
from halo_otel.errors import ConfigError

OFF = DetectorRule(enabled=False)


@pytest.mark.parametrize("written", ["off", "false", "{enabled: false}", '"off"', "no"])
def test_a_detector_is_switched_off_in_a_word(tmp_path: Path, written: str) -> None:
    path = tmp_path / "halo.yaml"
    path.write_text(f"analysis: {{detectors: {{loop: {written}, latency: on}}}}", encoding="utf-8")
    assert load(path, {}).analysis.detectors == {"loop": OFF, "latency": DetectorRule()}


def test_a_variable_switches_several_off() -> None:
    environ = {"HALO_ANALYSIS_DETECTORS": "loop=off,latency=off,cohort=on"}
    assert load(None, environ).analysis.detectors == {
        "loop": OFF,
        "latency": OFF,
        "cohort": DetectorRule(),
    }


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("lop=off", "analysis.detectors: there is no detector 'lop'; did you mean loop?"),
        ("zzz=off", "analysis.detectors: there is no detector 'zzz': docs/detectors.md lists them"),
        ('{"loop":{"enabld":true}}', "no such key; did you mean analysis.detectors.loop.enabled?"),
        ('{"loop":{"x":1}}', "here belong enabled, max_severity, min_traces, min_rate, min_waste"),
        ('{"loop":{"min_rate":7}}', "analysis.detectors.loop.min_rate"),
        ('{"loop":{"max_severity":"bad"}}', "analysis.detectors.loop.max_severity"),
        ("loop=maybe", "analysis.detectors.loop"),
    ],
)
def test_mistakes_are_told_with_their_cure(written: str, told: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(None, {"HALO_ANALYSIS_DETECTORS": written})
    assert told in str(refusal.value)
