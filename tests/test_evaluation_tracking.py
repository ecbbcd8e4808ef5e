"""Prepared captures against the truth: the truth itself has no error, and known errors are measured as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.evaluation import tracking
from aednerf.evaluation.alignment import Similarity
from aednerf.evaluation.tracking import Tracked, correlation, measure_tracking, rotation_errors_deg
from aednerf.face.model import FaceModel
from aednerf.face.pose import rotation_from_angles
from aednerf.synthetic import recording
from aednerf.synthetic.script import Line, Script
from aednerf.synthetic.voice import Voice
from espeak import needs_espeak
from stand_in_stage import StandInStage

SCRIPT = Script("short", "theo", (Line("Bob saw a map.", "happy", 0.8),), Voice("en-us"), seed=3, size=64, views=False)


@pytest.fixture(scope="module")
def model(assets: Path) -> FaceModel:
    return FaceModel.load(assets / "ict_facekit_light.npz")


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Capture:
    return recording.synthesize(SCRIPT, tmp_path_factory.mktemp("tracking") / "theo", build=StandInStage)


@needs_espeak
def test_the_truth_has_no_error(exact: Capture, model: FaceModel) -> None:
    figures = measure_tracking(exact, exact, model)
    assert figures["tracked_frames"] == figures["frames"] == exact.n_frames
    for errors in (*figures["rotation_deg"].values(), *figures["translation_mm"].values()):
        assert errors["p95"] < 0.01
    assert figures["vertices68_px_at_512"]["identity mesh"]["all"]["p95"] < 0.01
    assert figures["vertices68_px_at_512"]["capture's surface"]["all"]["p95"] < 0.05  # its table is float16
    assert figures["matte_iou"]["least"] == 1.0
    assert figures["correlation"]["jawOpen"] == figures["correlation"]["blink"] == 1.0
    assert figures["correlation"]["tongueOut"] is None
    assert figures["gaze"]["error_deg"]["p95"] < 1e-3
    assert figures["alignment"]["scale"] == pytest.approx(1, abs=1e-4)
    assert figures["focal_px"] == {"true": 150.0, "found": [150.0]}
    assert figures["clips"][0]["jawOpen"] == 1.0 and figures["clips"][0]["emotion"] == "happy"


@needs_espeak
def test_known_errors_are_measured(exact: Capture, model: FaceModel) -> None:
    t = exact.tracking
    jaw = ARKIT_NAMES.index("jawOpen")
    turned = rotation_from_angles(np.deg2rad(np.tile([2.0, 0, 0], (exact.n_frames, 1)))).astype(np.float32)
    expression = t.expression.copy()
    expression[:, jaw] = 0.5 - 0.2 * t.expression[:, jaw]
    moved = t.translation + np.float32([0.001, 0, 0])
    other = Capture(exact.path, exact.manifest, replace(
        t, rotation=t.rotation @ turned, translation=moved, expression=expression,
    ))  # fmt: skip
    figures = measure_tracking(other, exact, model)
    assert figures["rotation_deg"]["raw"]["median"] == pytest.approx(2.0, abs=1e-3)
    assert figures["rotation_deg"]["aligned"]["p95"] < 1e-3
    assert figures["correlation"]["jawOpen"] == pytest.approx(-1)
    tracked = Tracked.of(other, exact)
    shift = tracking.translation_errors_mm(tracked, Similarity(1.0, turned[0].T.astype(float), np.zeros(3)))
    assert shift["sideways and up"]["median"] == pytest.approx(1.0, abs=0.01) and shift["depth"]["p95"] < 0.01
    face = tracking.identity_face(model, exact)
    shifted = replace(tracked, found=replace(tracked.true, intrinsics=tracked.true.intrinsics + [0, 0.5, 0]))
    straight = Capture(exact.path, exact.manifest, t)
    errors = tracking.vertex_errors_px(replace(shifted, prepared=straight), face)
    assert errors.mean() == pytest.approx(0.5 * 512 / 64, abs=0.01)


def test_a_constant_turn_is_no_error() -> None:
    generator = np.random.default_rng(1)
    true = rotation_from_angles(generator.normal(0, 0.2, (50, 3)))
    noise = rotation_from_angles(np.deg2rad(generator.normal(0, 0.3, (50, 3))))
    found = noise @ true @ rotation_from_angles(np.array([0.05, 0.02, -0.03]))
    errors = rotation_errors_deg(found, true)
    assert np.median(errors["raw"]) > 3 and 0.2 < np.median(errors["aligned"]) < 0.8


def test_a_curve_at_rest_has_no_correlation() -> None:
    curve = np.sin(np.arange(20.0))
    assert correlation(curve, np.zeros(20)) is None
    assert correlation(np.zeros(20), curve) == 0.0


@needs_espeak
def test_captures_without_truth_are_refused(exact: Capture, model: FaceModel, tmp_path: Path) -> None:
    bare = Capture(tmp_path, exact.manifest, exact.tracking)
    with pytest.raises(InputError, match="no truth"):
        measure_tracking(exact, bare, model)
