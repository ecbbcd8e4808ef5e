"""The skin's texture on pictures that are moved by known amounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.face.correspondence import landmark_points
from aednerf.face.fit import fit_expression
from aednerf.face.fit_pictures import LEAST_FRAMES, fit_pictures
from aednerf.face.landmarks import FaceDetector
from aednerf.face.model import FaceModel, FacePoints
from aednerf.face.pose import Poses
from aednerf.face.skin_texture import FOLLOWED, SkinTexture, Unfolding
from aednerf.synthetic import shipped

SIZE, N_FRAMES = 320, 30


@pytest.fixture(scope="module")
def points(assets: Path) -> FacePoints:
    return landmark_points(FaceModel.load(assets / "ict_facekit_light.npz"))


def moved_pictures(neutral: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """A face of noise that shifts, turns and grows: the pictures, and where its landmarks are [T, 478, 2]."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)), (0, 0), 1.5)
    picture = np.clip(128 + 300 * noise, 0, 255).astype(np.uint8)
    places = Unfolding.of(neutral).places * 0.8 + 45
    pictures, landmarks = [], []
    for t in range(N_FRAMES):
        turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 4 * np.sin(0.7 * t), 1 + 0.03 * np.cos(0.4 * t))
        turn[:, 2] += 6 * np.sin(0.3 * t), 5 * np.cos(0.5 * t)
        gray = cv2.warpAffine(picture, turn, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
        pictures.append(np.dstack([gray] * 3))
        landmarks.append((places - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5)
    return pictures, np.stack(landmarks)


def test_drifting_landmarks_are_put_back_on_their_skin(points: FacePoints) -> None:
    neutral = points.person().neutral
    pictures, true_px = moved_pictures(neutral)

    def frames() -> Iterator[np.ndarray]:
        return iter(pictures)

    # The lower half drifts up and down with time, as a detector's chin does with the jaw.
    below = np.clip((true_px[..., 1:] - SIZE / 2) / (SIZE / 4), 0, 1)
    drift = np.array([0.6, 2.0]) * np.sin(0.9 * np.arange(N_FRAMES))[:, None, None] * below
    fitted_px, turn = true_px + drift, np.zeros(N_FRAMES)
    for window_px in (33, 17):
        texture = SkinTexture.learn(frames, fitted_px, neutral, turn)
        found_px = texture.follow(frames, fitted_px, window_px)
        is_found = np.isfinite(found_px).all(-1)
        fitted_px = np.where(is_found[..., None], found_px, true_px + drift)
    assert is_found[:, FOLLOWED].mean() > 0.85
    assert not is_found[:, np.setdiff1d(np.arange(478), FOLLOWED)].any()
    moving = is_found & (below[..., 0] > 0.5)
    before, after = (np.linalg.norm((px - true_px)[moving], axis=-1) for px in (true_px + drift, found_px))
    assert np.median(before) > 0.8
    assert np.median(after) < 0.15
    assert np.percentile(after, 95) < 0.5


def test_a_picture_without_texture_is_left_to_the_detector(points: FacePoints) -> None:
    neutral = points.person().neutral
    _, true_px = moved_pictures(neutral)
    blank = [np.full((SIZE, SIZE, 3), 120, np.uint8)] * N_FRAMES
    texture = SkinTexture.learn(lambda: iter(blank), true_px, neutral, np.zeros(N_FRAMES))
    assert np.isnan(texture.follow(lambda: iter(blank), true_px, 17)).all()


def test_frames_without_a_face_are_passed_over(points: FacePoints) -> None:
    neutral = points.person().neutral
    pictures, true_px = moved_pictures(neutral)
    fitted_px, turn = true_px.copy(), np.zeros(N_FRAMES)
    fitted_px[4], turn[4] = np.nan, np.nan
    texture = SkinTexture.learn(lambda: iter(pictures), fitted_px, neutral, turn)
    found_px = texture.follow(lambda: iter(pictures), fitted_px, 17)
    assert np.isnan(found_px[4]).all()
    assert np.isfinite(found_px[5][FOLLOWED]).mean() > 0.8


def test_few_frames_keep_the_fit_to_the_detector(points: FacePoints) -> None:
    n_frames = LEAST_FRAMES - 1
    poses = Poses(np.tile(np.eye(3), (n_frames, 1, 1)), np.tile([0.0, 0.0, -1.0], (n_frames, 1)))
    camera = Camera(1500, 256, 256, 512, 512)
    landmarks_px = np.tile(camera.project(points.person().neutral + [0, 0, -1.0]), (n_frames, 1, 1))

    def frames() -> Iterator[np.ndarray]:
        raise AssertionError("no picture should be looked at")

    given = landmarks_px, poses, [camera], np.zeros(n_frames, int), points
    found = fit_pictures(frames, *given)
    np.testing.assert_array_equal(found.expression, fit_expression(*given).expression)


def test_coefficients_of_a_known_face_come_closer_to_the_truth(assets: Path, points: FacePoints) -> None:
    capture = Capture.open(shipped.shipped(shipped.CAPTURE_NAME))
    rows = np.arange(0, capture.n_frames, 4)
    images = [image for number, image in enumerate(capture.images(0, int(rows[-1]) + 1)) if number % 4 == 0]
    with FaceDetector(assets / "face_landmarker.task") as detector:
        found = [detector.detect(image)[0] for image in images]
    truth, camera = capture.tracking, capture.camera(0)
    poses = Poses(truth.rotation[rows].astype(float), truth.translation[rows].astype(float))
    given = np.stack([face.points_px for face in found]), poses, [camera], np.zeros(len(rows), int), points
    scores = np.stack([face.scores for face in found])

    def correlation(expression: np.ndarray, name: str) -> float:
        column = ARKIT_NAMES.index(name)
        return float(np.corrcoef(expression[:, column], truth.expression[rows, column])[0, 1])

    before = fit_expression(*given, scores).expression
    after = fit_pictures(lambda: iter(images), *given, scores).expression
    names = ("jawOpen", "browDownLeft", "browInnerUp", "cheekSquintLeft", "noseSneerLeft", "mouthSmileLeft")
    pairs = {name: (correlation(before, name), correlation(after, name)) for name in names}
    assert pairs["jawOpen"][1] > max(0.93, pairs["jawOpen"][0]), pairs
    mean_before, mean_after = np.mean(list(pairs.values()), axis=0)
    assert mean_after > mean_before + 0.1, pairs
