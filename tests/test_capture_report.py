"""The health report measures what it says, and tells what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture.capture import Capture
from aednerf.capture.findings import SEVERITIES, judge
from aednerf.capture.manifest import ClipRecord, Crop, Manifest, Measured, Source
from aednerf.capture.measures import ClipFigures
from aednerf.capture.report import write_report
from aednerf.capture.sync import MouthSound, mouth_and_sound
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.media.image import read_image
from tiny_capture import make_tiny_capture


def speech(n_frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a mouth [T] that opens at random, and noise that is as loud as it is open."""
    rng = np.random.default_rng(seed)
    mouth = np.clip(np.convolve(rng.normal(size=n_frames + 8), np.hanning(9), "same")[4:-4], 0, None)
    time = np.arange(n_frames * SAMPLES_PER_FRAME) / SAMPLE_RATE_HZ
    loudness = np.interp(time * FPS - 0.5, np.arange(n_frames), mouth)
    return mouth, (0.1 * loudness * rng.normal(size=len(time))).astype(np.float32)


@pytest.mark.parametrize("shift", [-7, -2, 0, 3, 6])
def test_the_delay_of_the_mouth_is_found(shift: int) -> None:
    mouth, sound = speech(250)
    gap = np.roll(mouth, shift)
    gap[100:110] = np.nan
    found = mouth_and_sound(gap, sound)
    assert found.lag_frames == pytest.approx(shift, abs=0.4) and found.correlation > 0.6
    assert len(found.curve) == 21


def test_no_delay_is_told_where_nothing_moves() -> None:
    _, sound = speech(100)
    assert mouth_and_sound(np.zeros(100), sound).lag_frames == 0
    assert mouth_and_sound(np.full(100, np.nan), sound).correlation == 0
    assert mouth_and_sound(np.ones(5), sound).correlation == 0


GOOD = ClipFigures(
    name="a", n_frames=1700, n_valid=1700, eyes_px=100, source_eyes_px=100, yaw_deg=(-10, 0, 10), pitch_deg=(-5, 0, 5),
    error_px=(0.6, 0.9), sharpness=400, jaw_open=0.4, lip_gap=(0.0, 0.2), peak=0.5, loudness_db=-20, clipped=0.0,
    sync=MouthSound(0.3, 0.4, (0.0,) * 21),
)  # fmt: skip
RECORD = ClipRecord(
    "a", 0, 1700, "neutral", 1.0, None, Crop(0, 0, 512), 1500.0, 256.0, 256.0, Source("a.mp4", "0" * 64, fps=25.0)
)


def codes(figures: ClipFigures = GOOD, record: ClipRecord = RECORD, consent: str = "yes") -> dict[str, str]:
    findings = judge(Manifest(512, (record,), consent=consent), [figures])
    ranks = [SEVERITIES.index(finding.severity) for finding in findings]
    assert ranks == sorted(ranks) and all(finding.advice and finding.meaning for finding in findings)
    return {finding.code: finding.severity for finding in findings}


def test_a_good_capture_has_no_findings() -> None:
    assert codes() == {}


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        ({"source_eyes_px": 50}, "small-face", "warning"),
        ({"source_eyes_px": 20}, "small-face", "serious"),
        ({"yaw_deg": (10, 20, 30)}, "side-view", "warning"),
        ({"yaw_deg": (-1, 0, 1)}, "little-turning", "note"),
        ({"sharpness": 5}, "blur", "serious"),
        ({"error_px": (2.5, 4.0)}, "tracking-error", "warning"),
        ({"n_valid": 1000}, "missing-face", "serious"),
        ({"n_frames": 300, "n_valid": 300}, "short", "warning"),
        ({"lip_gap": (0.0, 0.05)}, "jaw-never-opens", "warning"),
        ({"lip_gap": (0.1, 0.3)}, "lips-never-close", "warning"),
        ({"clipped": 0.01}, "clipped-sound", "warning"),
        ({"loudness_db": -55}, "quiet-sound", "warning"),
        ({"sync": MouthSound(-5.0, 0.4, (0.0,) * 21)}, "sound-offset", "warning"),
        ({"peak": None, "loudness_db": None, "clipped": None, "sync": None}, "no-sound", "warning"),
    ],
)
def test_each_trouble_has_its_code(change: dict, code: str, severity: str) -> None:
    assert codes(replace(GOOD, **change)).get(code) == severity


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cuts": (100,)}, "cuts"),
        ({"n_others": 1}, "second-face"),
        ({"crop": Crop(0, 0, 256)}, "enlarged"),
        ({"measured": Measured(backdrop_motion=25.0)}, "moving-background"),
        ({"measured": Measured(flags=("no-flow",))}, "rough-pose"),
        ({"source": Source("a", "", is_variable_rate=True)}, "variable-frame-rate"),
        ({"source": Source("a", "", is_hdr=True, bit_depth=10)}, "hdr"),
        ({"source": Source("a", "", bit_depth=10)}, "high-bit-depth"),
        ({"source": Source("a", "", fps=15.0)}, "low-frame-rate"),
    ],
)
def test_troubles_of_the_source_have_their_codes(change: dict, code: str) -> None:
    assert set(codes(record=replace(RECORD, **change))) == {code}


def test_a_weak_correlation_tells_no_delay() -> None:
    assert "sound-offset" not in codes(replace(GOOD, sync=MouthSound(8.0, 0.1, (0.0,) * 21)))


def test_the_report_stands_beside_the_capture(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "tiny & co", n_frames=80, clips=2, invalid=(5,))
    report = write_report(capture)
    assert "small-face" in report.text and "160 frames" in report.text
    again = Capture.open(capture.path)
    assert [finding["code"] for finding in again.manifest.health["findings"]] == [f.code for f in report.findings]
    assert report.clips[0].sync is not None and abs(report.clips[0].sync.lag_frames) < 1
    assert report.clips[0].n_valid == 79
    page = (capture.path / "report.html").read_text(encoding="utf-8")
    assert "tiny &amp; co" in page and page.count("data:image") == 6 and "http" not in page
    assert read_image(capture.path / "report.png").shape[1] == 1920
