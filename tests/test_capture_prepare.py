"""Real recordings become captures; what is no such recording is told in one line and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.capture.clip import Clip
from aednerf.capture.steps import prepare
from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.media.video import VideoWriter


def noise_video(path: Path, n_frames: int) -> None:
    rng = np.random.default_rng(0)
    with VideoWriter(path, 128, 128, crf=30) as writer:
        for _ in range(n_frames):
            writer.write(rng.integers(0, 255, (128, 128, 3), np.uint8))


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "cut", "noise", "short"])
def test_bad_recordings_are_told_in_one_line_and_leave_nothing(
    assets: Path, data: Path, tmp_path: Path, kind: str
) -> None:
    video = tmp_path / "in" / "me.mp4"
    video.parent.mkdir()
    told = {
        "missing": "does not exist", "folder": "is a folder", "empty": "is empty", "text": "not a", "cut": "cut off",
        "noise": "shows no face", "short": "1.2 s long",
    }[kind]  # fmt: skip
    if kind == "folder":
        video.mkdir()
    elif kind == "empty":
        video.write_bytes(b"")
    elif kind == "text":
        video.write_text("This is no video.\n" * 100)
    elif kind == "cut":
        whole = (data / "mead" / "M030_front_neutral_level1_001.mp4").read_bytes()
        video.write_bytes(whole[: len(whole) // 3])
    elif kind == "noise":
        noise_video(video, 60)
    elif kind == "short":
        noise_video(video, 30)
    with pytest.raises(InputError) as error:
        prepare([Clip(video)], tmp_path / "out" / "capture")
    assert told in str(error.value) and "me.mp4" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


class Stop(Exception):
    """Stands for a process that is killed."""


@pytest.fixture(scope="module")
def clip_and_capture(assets: Path, data: Path, tmp_path_factory: pytest.TempPathFactory):
    """A real clip prepared small, stopped in the middle of its mattes and started again."""
    clip = Clip(data / "talking" / "statement_13s.mp4", "sad", 0.5)
    out = tmp_path_factory.mktemp("real") / "capture"
    first_run, second_run = [], []

    def stop_in_mattes(step: str, done: int, total: int, note: str = "") -> None:
        first_run.append(step)
        if step == "mattes" and done > 10:
            raise Stop

    def watch(step: str, done: int, total: int, note: str = "") -> None:
        assert 0 <= done <= total
        second_run.append(step)

    options = {"size": 192, "max_seconds": 2.4, "consent": "test"}
    with pytest.raises(Stop):
        prepare([clip], out, progress=stop_in_mattes, **options)
    assert not out.exists()
    capture = prepare([clip], out, progress=watch, **options)
    return capture, first_run, second_run


def test_a_stopped_preparation_goes_on(clip_and_capture) -> None:
    capture, first_run, second_run = clip_and_capture
    assert {"survey", "frames", "landmarks", "head pose", "steady pose", "expression", "residual"} <= set(first_run)
    assert set(second_run) == {"backdrop", "mattes", "posture", "sound", "report"}
    assert [path.name for path in capture.path.parent.iterdir()] == ["capture"]


def test_a_real_clip_becomes_a_capture(clip_and_capture) -> None:
    capture, _, _ = clip_and_capture
    n = capture.n_frames
    assert n == 60 and capture.size == 192 and len(capture.train_frames) == 54 and len(capture.test_frames) == 6
    assert capture.emotion(0).label == "sad" and capture.manifest.consent == "test"
    sound = capture.audio(0)
    assert sound is not None and len(sound) == n * SAMPLES_PER_FRAME and np.abs(sound).max() > 0.01
    tracking = capture.tracking
    assert tracking.valid.all() and np.median(tracking.error_px) < 1.0 * 192 / 512
    assert tracking.residual.shape == (n, 128) and np.ptp(tracking.expression[:, 24]) > 0.05
    # The stored surface, posed, lies where the landmarks are.
    camera = capture.camera(0)
    points = capture.face.points[capture.face.part == 0] @ tracking.rotation[0].T + tracking.translation[0]
    pixels, seen = camera.project(points), tracking.landmarks_px[0]
    nearest = np.linalg.norm(seen[:468, None] - pixels[None], axis=-1).min(1)
    assert np.median(nearest) < 2.0
    for image, matte, part in zip(capture.images(), capture.mattes(), capture.parts(), strict=True):
        assert image.shape == (192, 192, 3)
        u, v = seen[4].astype(int)  # the tip of the nose
        assert matte[v, u] > 250 and part[v, u] == 1 and ((part > 0) <= (matte > 0)).all()
    codes = {finding["code"] for finding in capture.manifest.health["findings"]}
    assert "short" in codes and "second-face" not in codes and "no-sound" not in codes
