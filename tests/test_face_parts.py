"""Parts of drawn people whose head, neck and torso are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face.parts import BACKGROUND, HEAD, NECK, TORSO, PartGuides, guide_parts, split_parts
from aednerf.face.pose import Poses

SIZE = 256
SKIN, SHADE, HAIR, CLOTHES, WALL = (225, 170, 140), (150, 105, 85), (60, 40, 25), (40, 60, 120), (90, 140, 90)


def _person(
    long_hair: bool = False, earring: bool = False, hood: bool = False, collar: int = 205
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a face with its chin at row 170, a neck down to the collar and clothes below."""
    rgb = np.full((SIZE, SIZE, 3), WALL, np.uint8)
    alpha = np.zeros((SIZE, SIZE), np.uint8)

    def paint(colour: tuple[int, int, int], draw) -> None:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        draw(mask)
        rgb[mask > 0] = colour
        alpha[mask > 0] = 255

    paint(CLOTHES, lambda m: cv2.rectangle(m, (30, collar), (226, SIZE), 255, -1))
    if hood:
        paint(CLOTHES, lambda m: cv2.ellipse(m, (128, 175), (100, 80), 0, 180, 360, 255, -1))
    paint(HAIR, lambda m: cv2.ellipse(m, (128, 95), (62, 72), 0, 0, 360, 255, -1))
    if long_hair:
        paint(HAIR, lambda m: cv2.rectangle(m, (60, 95), (86, 225), 255, -1))
    paint(SHADE, lambda m: cv2.rectangle(m, (102, 140), (154, collar), 255, -1))
    paint(SKIN, lambda m: cv2.ellipse(m, (128, 110), (48, 60), 0, 0, 360, 255, -1))
    if earring:
        paint((240, 240, 240), lambda m: cv2.rectangle(m, (177, 110), (183, 158), 255, -1))
        paint((240, 240, 240), lambda m: cv2.rectangle(m, (172, 110), (183, 114), 255, -1))
    noise = np.random.default_rng(0).normal(0, 3, rgb.shape)
    return (rgb + noise).clip(0, 255).astype(np.uint8), alpha


def _guides(n_frames: int = 1) -> PartGuides:
    angle = np.linspace(0.15 * np.pi, 0.85 * np.pi, 11)
    jaw = np.stack([128 + 48 * np.cos(angle), 110 + 60 * np.sin(angle) + 3], -1)
    round_angle = np.linspace(0, 2 * np.pi, 30)
    face = np.stack([128 + 48 * np.cos(round_angle), 110 + 60 * np.sin(round_angle)], -1)
    neck = np.array([[100, 140], [156, 140], [160, 235], [96, 235]])
    sideways = np.array([[1, 0], [-1, 0]])
    jaw, sideways, neck, face = (np.repeat(part[None], n_frames, 0) for part in (jaw, sideways, neck, face))
    return PartGuides(jaw, sideways, neck, face, np.full(n_frames, 120.0))


def _labels(**person) -> tuple[np.ndarray, np.ndarray]:
    rgb, alpha = _person(**person)
    return next(split_parts([rgb], [alpha], _guides())), alpha


def test_head_neck_torso_of_a_plain_portrait() -> None:
    labels, alpha = _labels()
    np.testing.assert_array_equal(labels == BACKGROUND, alpha == 0)
    assert (labels[30:165, 110:146] == HEAD).all()
    assert (labels[180:200, 108:148] == NECK).all()
    assert (labels[212:, 35:220] == TORSO).mean() > 0.98
    assert set(np.unique(labels)) == {BACKGROUND, HEAD, NECK, TORSO}


def test_collar_ends_the_neck() -> None:
    low, _ = _labels(collar=225)
    high, _ = _labels(collar=190)
    rows_low, rows_high = (np.flatnonzero(labels[:, 128] == NECK) for labels in (low, high))
    assert abs(rows_low.max() - 224) <= 3
    assert abs(rows_high.max() - 189) <= 3
    assert rows_low.min() == rows_high.min(), "the head's end does not depend on the clothes"


def test_long_hair_belongs_to_the_head() -> None:
    labels, _ = _labels(long_hair=True)
    assert (labels[150:200, 64:82] == HEAD).mean() > 0.97
    assert (labels[230:, 40:220] == TORSO).mean() > 0.98


def test_earring_belongs_to_the_head() -> None:
    labels, _ = _labels(earring=True)
    assert (labels[140:157, 178:182] == HEAD).all()


def test_a_hood_beside_the_face_belongs_to_the_torso() -> None:
    labels, alpha = _labels(hood=True)
    above_the_jaw_line = np.s_[124:138, 46:58]
    assert (alpha[above_the_jaw_line] > 0).mean() > 0.6 and (labels[above_the_jaw_line] != HEAD).all()
    long, _ = _labels(hood=True, long_hair=True)
    assert (long[150:200, 64:82] == HEAD).mean() > 0.9, "hair that hangs before the hood is no clothes"


def test_bare_shoulders_keep_the_neck_narrow() -> None:
    rgb, alpha = _person()
    shoulders = np.all(np.abs(rgb.astype(int) - CLOTHES) < 20, -1)
    rgb[shoulders] = SKIN
    labels = next(split_parts([rgb], [alpha], _guides()))
    assert (labels[180:200, 108:148] == NECK).all()
    assert (labels[215:, 190:220] == TORSO).all() and (labels[215:, 35:65] == TORSO).all()


def test_labels_are_stable_under_noise() -> None:
    random = np.random.default_rng(1)
    rgb, alpha = _person(long_hair=True)
    frames = [(rgb + random.normal(0, 4, rgb.shape)).clip(0, 255).astype(np.uint8) for _ in range(8)]
    labels = np.stack(list(split_parts(frames, [alpha] * 8, _guides(8))))
    assert (labels[1:] != labels[:-1]).mean() < 1e-3
    above = labels == HEAD
    assert (above[:, 150:185, 100:156] == above[0, 150:185, 100:156]).all(), "the jaw line stands still"


def test_more_frames_than_tracked_is_an_error() -> None:
    rgb, alpha = _person()
    with pytest.raises(InputError, match="more frames"):
        list(split_parts([rgb, rgb], [alpha, alpha], _guides(1)))


@pytest.fixture(scope="module")
def neutral(assets: Path) -> tuple[np.ndarray, np.ndarray]:
    from aednerf.face.correspondence import landmark_points
    from aednerf.face.model import FaceModel

    face = FaceModel.load(assets / "ict_facekit_light.npz")
    return face.person(None).neutral, landmark_points(face).person(None).neutral


def _tracking(points: np.ndarray, n_frames: int) -> tuple[Poses, Camera, np.ndarray]:
    camera = Camera(750.0, 128.0, 128.0, SIZE, SIZE)
    poses = Poses(np.repeat(np.eye(3)[None], n_frames, 0), np.repeat([[0.0, 0.0, -1.2]], n_frames, 0))
    return poses, camera, np.repeat(camera.project(points + [0.0, 0.0, -1.2])[None], n_frames, 0)


def test_guides_follow_the_jaw_but_not_its_jitter(neutral: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, points = neutral
    poses, camera, landmarks = _tracking(points, 30)
    still = guide_parts(landmarks, vertices, poses, camera)
    chin = still.jaw_px[:, still.jaw_px.shape[1] // 2]
    assert 0 < chin[0, 1] - landmarks[0, 152, 1] < 0.05 * still.height_px[0]
    assert still.sideways[0, 0, 0] > 0.9 and still.sideways[0, 1, 0] < -0.9
    assert still.neck_px[0, :, 1].max() > chin[0, 1] + 0.3 * still.height_px[0]
    jitter = np.random.default_rng(0).normal(0, 1, (30, 1, 2))
    shaken = guide_parts(landmarks + jitter, vertices, poses, camera)
    assert np.abs(np.diff(shaken.jaw_px, 2, axis=0)).mean() < 0.25 * np.abs(np.diff(jitter, 2, axis=0)).mean()
    opened = landmarks.copy()
    opened[15:, :, 1] += 6
    lower = guide_parts(opened, vertices, poses, camera).jaw_px[25] - still.jaw_px[25]
    np.testing.assert_allclose(lower, np.broadcast_to([0.0, 6.0], lower.shape), atol=0.1)


def test_invalid_frames_take_the_nearest_guides(neutral: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, points = neutral
    poses, camera, landmarks = _tracking(points, 6)
    poses = replace(poses, translation=poses.translation + np.linspace(0, 0.05, 6)[:, None] * [1.0, 0, 0])
    landmarks[:, :, 0] += np.linspace(0, 31.25, 6)[:, None]
    landmarks[2] = np.nan
    poses.rotation[5] = np.nan
    guides = guide_parts(landmarks, vertices, poses, camera)
    assert all(np.isfinite(part).all() for part in (guides.jaw_px, guides.neck_px, guides.face_px))
    np.testing.assert_allclose(guides.face_px[5], guides.face_px[4])
    with pytest.raises(InputError, match="at least one frame"):
        guide_parts(np.full_like(landmarks, np.nan), vertices, poses, camera)
