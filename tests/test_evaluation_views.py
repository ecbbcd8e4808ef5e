"""The protocol `view` on a head that is known exactly: from every side, and through another head frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.camera import View
from aednerf.capture.capture import Capture
from aednerf.capture.held_out import VIEWS_FOLDER, HeldOutView, HeldOutViews
from aednerf.capture.manifest import Manifest
from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.evaluation.alignment import Cameras, Similarity, align, find_similarity
from aednerf.evaluation.evaluate import evaluate
from aednerf.evaluation.view_report import OWN_CAMERA, ViewReport
from aednerf.face.pose import rotation_from_angles
from aednerf.media.image import read_image
from aednerf.render.model import AvatarModel
from aednerf.synthetic.camera import orbit
from aednerf.synthetic.moment import Moment, Shot
from aednerf.synthetic.person import PEOPLE
from aednerf.synthetic.views import CAMERAS, save_views, write_view
from fake_avatar import FakeVoice, fake_bundle
from stand_in_stage import StandInStage
from test_training_field import TINY
from tiny_capture import RESIDUAL_SIZE, _draw, _motion, make_tiny_capture

N_FRAMES, MOMENTS = 44, (5, 20, 42)  # the last one is of the test part
CENTRE = np.array([0.0, 0.02, -1.15], np.float32)
OTHER = Similarity(1.07, rotation_from_angles(np.deg2rad([2.0, -3.0, 1.0])).astype(float), np.array([2, -5, 9]) / 1000)
"""How the head frame of the prepared capture lies to the true one."""


class TurningPerson:
    """Draws the tiny capture's person as the capture does, also from elsewhere and in another head frame."""

    def __init__(self, frame: Similarity | None = None, flip: bool = False) -> None:
        self.config = SimpleNamespace(n_residual=RESIDUAL_SIZE, n_posture=0)
        self.frame, self.flip = frame or Similarity.identity(), flip
        self.device = torch.device("cpu")

    def code(self, read: np.ndarray) -> np.ndarray:
        return read

    def render(
        self, rotation: np.ndarray, translation: np.ndarray, expression: np.ndarray, residual: np.ndarray,
        camera: Camera, *, view: np.ndarray | None = None, shot: int | None = None, posture: np.ndarray | None = None,
    ) -> torch.Tensor:  # fmt: skip
        assert view is not None and view.dtype == np.float32
        turn = view[:, :3].T if self.flip else view[:, :3]
        turned, moved = turn @ rotation, turn @ translation + view[:, 3]
        moved = (moved + turned @ self.frame.shift) / self.frame.scale
        black = np.zeros((camera.height, camera.width, 3), np.uint8)
        colour, matte, _ = _draw(expression, turned @ self.frame.rotation, moved, camera, black)
        return torch.from_numpy(np.dstack([colour, matte]) / 255.0).float()


def avatar(person: Any = None) -> Avatar:
    return Avatar(fake_bundle(64), person or TurningPerson(), FakeVoice(RESIDUAL_SIZE))


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    capture = make_tiny_capture(tmp_path_factory.mktemp("views") / "exact", n_frames=N_FRAMES)
    cameras = tuple(HeldOutView(name, yaw, pitch, orbit(CENTRE, yaw, pitch)) for name, yaw, pitch in CAMERAS)
    views = HeldOutViews(capture.path / VIEWS_FOLDER, np.array(MOMENTS), cameras)
    motion, black = capture.motion(slice(None)), np.zeros((64, 64, 3), np.uint8)
    for view in cameras:
        for frame in MOMENTS:
            turned = view.motion[:, :3] @ motion.rotation[frame]
            moved = view.motion @ np.append(motion.translation[frame], 1)
            colour, alpha, parts = _draw(motion.expression[frame], turned, moved, capture.camera(0), black)
            straight = np.clip(colour / np.maximum(alpha[..., None] / 255, 1e-3), 0, 255).astype(np.uint8)
            write_view(views, view, frame, Shot(colour, straight, alpha, parts))
    save_views(views)
    return capture


@pytest.fixture(scope="module")
def prepared(exact: Capture, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return other_capture(exact, tmp_path_factory.mktemp("prepared") / "capture", lambda clip: clip)


def other_capture(exact: Capture, folder: Path, change: Callable[[Any], Any], invalid: tuple[int, ...] = ()) -> Capture:
    """The exact capture again, as in the head frame `OTHER`, with changed clips."""
    made = make_tiny_capture(folder, n_frames=N_FRAMES, invalid=invalid)
    rotation, translation = OTHER.poses(exact.tracking.rotation, exact.tracking.translation)
    clips = tuple(change(clip) for clip in made.clips)
    focal = np.float32(clips[0].focal_px / made.clips[0].focal_px)
    translation = translation * np.array([1, 1, focal])
    rows = [np.where(made.tracking.valid.reshape(-1, *[1] * (a.ndim - 1)), a, np.nan).astype(np.float32)
            for a in (rotation, translation)]  # fmt: skip
    replace(made.tracking, rotation=rows[0], translation=rows[1]).save(folder)
    Manifest(64, clips, files=made.manifest.files).save(folder)
    return Capture.open(folder)


def views_of(avatar: Avatar, *args: Any, **options: Any) -> ViewReport:
    report = evaluate(avatar, *args, protocol="view", **options)
    assert isinstance(report, ViewReport)
    return report


def test_an_exact_person_is_exact_from_every_side(exact: Capture, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = views_of(avatar(), exact, tmp_path / "report",
                      progress=lambda step, done, total, note="": told.append((done, total)))  # fmt: skip
    assert [row.name for row in report.rows] == [OWN_CAMERA, *(name for name, _, _ in CAMERAS)]
    own = report.rows[0]
    assert own.n_frames == own.n_test == len(exact.test_frames) and own.psnr > 24  # stored as H.264, at 64 pixels
    for row in report.rows[1:]:
        assert (row.n_frames, row.n_test) == (3, 1) and row.psnr > 40 and row.ssim > 0.99, row
        assert row.halo < 2, row
        assert row.worst_frame in MOMENTS and row.worst_psnr <= row.psnr
    assert told[-1] == (len(exact.test_frames) + 18,) * 2
    wrong = views_of(avatar(TurningPerson(flip=True)), exact, tmp_path / "wrong")
    assert max(row.psnr for row in wrong.rows[1:]) < 25
    assert np.isnan(own.halo) and min(row.halo for row in wrong.rows[1:] if row.yaw_deg) > 4  # no foreground.mp4 here


def test_a_real_field_is_measured(exact: Capture, tmp_path: Path) -> None:
    model = AvatarModel(replace(TINY.field, n_residual=RESIDUAL_SIZE))
    report = views_of(avatar(model), exact, tmp_path / "report", max_frames=1)
    assert all(row.n_frames == 1 and 0 < row.psnr < 30 for row in report.rows)


def test_the_report_is_written_whole(exact: Capture, prepared: Capture, tmp_path: Path) -> None:
    views_of(avatar(TurningPerson(OTHER)), prepared, tmp_path / "report", truth=exact, max_frames=2)
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "comparison.png", "report.json", "report.md",
    ]  # fmt: skip
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["settings"] == {"protocol": "view", "every": 1, "max_frames": 2} and record["region"] == "head"
    assert record["rows"][1]["name"] == "yaw+15" and record["rows"][1]["yaw_deg"] == 15
    assert record["alignment"]["scale"] == pytest.approx(1.07, abs=1e-4) and record["truth"] != record["capture"]
    assert "| yaw-30 | 2 |" in (tmp_path / "report" / "report.md").read_text()
    assert read_image(tmp_path / "report" / "comparison.png").shape == (7 * (24 + 192), 6 * 192, 3)


def test_a_person_in_another_head_frame_is_aligned(exact: Capture, prepared: Capture, tmp_path: Path) -> None:
    report = views_of(avatar(TurningPerson(OTHER)), prepared, tmp_path / "report", truth=exact)
    assert all(row.psnr > 40 for row in report.rows[1:]) and report.rows[0].psnr > 24
    mistaken = views_of(avatar(), prepared, tmp_path / "mistaken", truth=exact)
    assert all(row.psnr < 30 for row in mistaken.rows[1:])


def test_the_similarity_is_recovered(exact: Capture, prepared: Capture) -> None:
    found = align(prepared, exact)
    assert found.scale == pytest.approx(OTHER.scale, abs=1e-4) and found.rms_px < 1e-3
    assert np.abs(found.rotation - OTHER.rotation).max() < 1e-4
    assert np.abs(found.shift - OTHER.shift).max() < 1e-4


def test_noise_and_outliers_move_the_similarity_little(exact: Capture) -> None:
    n, generator = 150, np.random.default_rng(0)
    _, rotation, translation = _motion(n, n, generator)
    true = Cameras(rotation.astype(float), translation.astype(float), np.tile([1200.0, 256, 256], (n, 1)))
    rotation, translation = OTHER.poses(true.rotation, true.translation)
    noise = rotation_from_angles(np.deg2rad(generator.normal(0, 0.5, (n, 3))))
    translation = translation + generator.normal(0, 0.001, translation.shape) * [1, 1, 5]
    translation[:5] += 0.1
    points = exact.face.points[::30].astype(float)
    found = find_similarity(points, true, Cameras(noise @ rotation, translation, true.intrinsics), 1.0)
    assert found.scale == pytest.approx(OTHER.scale, abs=3e-3)
    assert np.linalg.norm(found.apply(points) - OTHER.apply(points), axis=1).max() < 0.002


def test_a_wrong_focal_length_stays_out_of_the_scale(exact: Capture, tmp_path: Path) -> None:
    nearer = other_capture(exact, tmp_path / "capture", lambda clip: replace(clip, focal_px=1.2 * clip.focal_px))
    found = align(nearer, exact)
    assert found.scale == pytest.approx(OTHER.scale, rel=0.01)
    report = views_of(avatar(TurningPerson(OTHER)), nearer, tmp_path / "report", truth=exact)
    assert all(row.psnr > 27 for row in report.rows[1:])


def test_frames_without_a_face_are_left_out(exact: Capture, tmp_path: Path) -> None:
    capture = other_capture(exact, tmp_path / "capture", lambda clip: clip, invalid=(20, 43))
    report = views_of(avatar(TurningPerson(OTHER)), capture, tmp_path / "report", truth=exact)
    assert report.rows[0].n_frames == len(exact.test_frames) - 1
    assert {row.n_frames for row in report.rows[1:]} == {2}


def test_captures_that_do_not_belong_together_are_refused(exact: Capture, tmp_path: Path) -> None:
    stranger = other_capture(
        exact, tmp_path / "capture", lambda clip: replace(clip, source=replace(clip.source, sha256="1" * 64))
    )
    with pytest.raises(InputError, match="no recording of"):
        views_of(avatar(), stranger, tmp_path / "report", truth=exact)
    assert not (tmp_path / "report").exists()
    with pytest.raises(InputError, match="no views of unseen cameras"):
        views_of(avatar(), exact, tmp_path / "report", truth=stranger)


@pytest.mark.parametrize(("yaw", "pitch"), [(15, 0), (-30, 0), (0, 15), (0, -15)])
def test_every_camera_means_the_same_side(assets: Path, yaw: float, pitch: float) -> None:
    """The user's camera, the studio's, the stand-in's and the model's `view` agree on signs."""
    centre = np.array([0.01, 0.006, -1.06], np.float32)
    stage = StandInStage(PEOPLE["mara"], 128, np.eye(3, dtype=np.float32), centre)
    motion = stage.view(yaw, pitch)
    assert np.allclose(motion, orbit(centre, yaw, pitch), atol=1e-6)
    assert np.allclose(motion, View(yaw_deg=yaw, pitch_deg=pitch).transform(centre), atol=1e-6)
    rest = Moment(np.zeros(52, np.float32), np.eye(3, dtype=np.float32), centre, 0.0)
    # As `AvatarModel.compose` applies a view to a posed head: the tip of the nose, seen from the person's left (the
    # picture's right), stands to the left of where it was; seen from above, it stands lower.
    nose = stage._landmarks.at(rest.expression)[1]
    turned, moved = motion[:, :3] @ rest.rotation, motion[:, :3] @ rest.translation + motion[:, 3]
    before, after = stage.camera.project(nose + centre), stage.camera.project(turned @ nose + moved)
    assert np.sign(np.round(after - before, 1)).tolist() == [-np.sign(yaw), np.sign(pitch)]
    shot = stage.shoot(rest, motion)
    lips = stage.camera.project(turned @ stage._landmarks.at(rest.expression)[0] + moved).astype(int)
    red, green, _ = shot.foreground[lips[1] - 1 : lips[1] + 2, lips[0] - 1 : lips[0] + 2].mean((0, 1))
    assert red > 1.3 * green
