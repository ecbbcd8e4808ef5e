"""The face fit on computer-generated landmarks with known answers, and on a short recording."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.face import topology
from aednerf.face.correspondence import landmark_points
from aednerf.face.fit import FaceFit, fit_expression
from aednerf.face.fit_frames import _minimise_in_box
from aednerf.face.model import FaceModel, FacePoints
from aednerf.face.pose import Poses, first_poses, rotation_from_vector

SHOWN = ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp")


@pytest.fixture(scope="module")
def points(assets: Path) -> FacePoints:
    return landmark_points(FaceModel.load(assets / "ict_facekit_light.npz"))


@dataclass(frozen=True)
class Scene:
    landmarks: np.ndarray
    poses: Poses
    cameras: list[Camera]
    clip_of: np.ndarray
    expression: np.ndarray
    identity: np.ndarray


def make_scene(points: FacePoints, noise_px: float = 0.0) -> Scene:
    """Two clips of different size, focal length and gauge; coefficients rise and fall one after another."""
    rng = np.random.default_rng(1)
    n = 48
    cameras = [Camera(1500, 256, 256, 512, 512), Camera(600, 120, 132, 256, 256)]
    clip_of = np.repeat([0, 1], n // 2)
    expression = np.zeros((n, 52))
    for i, name in enumerate(SHOWN):
        phase = np.clip(np.sin(np.arange(n) * 0.5 + i), 0, 1)
        expression[:, ARKIT_NAMES.index(name)] = phase
    identity = np.concatenate([[0], rng.normal(size=12) * 0.7, np.zeros(87)])
    turn = np.cumsum(rng.normal(size=(n, 3)) * 0.01, axis=0)
    distance = np.where(clip_of == 0, 1.0, 0.8)
    translation = np.stack([rng.normal(size=n) * 0.003, rng.normal(size=n) * 0.003, -distance], axis=-1)
    poses = Poses(rotation_from_vector(turn), translation)
    head = points.person(identity.astype(np.float32)).at(expression)
    seen = head @ np.swapaxes(poses.rotation, -1, -2) + translation[:, None]
    pixels = np.stack([cameras[c].project(x) for c, x in zip(clip_of, seen, strict=True)])
    pixels += rng.normal(size=pixels.shape) * noise_px
    # Each clip's poses were measured in a head frame of its own.
    gauge = rotation_from_vector(np.array([[0.05, -0.03, 0.02], [-0.04, 0.02, 0.0]]))[clip_of]
    shift = np.array([[0.004, -0.003, 0.002], [-0.002, 0.005, 0.0]])[clip_of]
    prior = Poses(poses.rotation @ gauge, translation + (poses.rotation @ shift[..., None])[..., 0] + [0, 0, 0.01])
    return Scene(pixels, prior, cameras, clip_of, expression, identity)


def fit_of(scene: Scene, points: FacePoints) -> FaceFit:
    return fit_expression(scene.landmarks, scene.poses, scene.cameras, scene.clip_of, points)


def test_clips_of_one_set_up_share_their_gauge(points: FacePoints) -> None:
    scene = make_scene(points)
    # The second clip as the first one's camera would have it, in the same head frame.
    half = len(scene.clip_of) // 2
    rows = np.r_[:half, :half]
    poses, clip_of = scene.poses[rows], np.repeat([0, 1], half)
    fit = fit_expression(scene.landmarks[rows], poses, scene.cameras[:1] * 2, clip_of, points, setup_of=[0, 0])
    moved = np.swapaxes(poses.rotation, 1, 2) @ fit.poses.rotation
    np.testing.assert_allclose(moved, moved[:1].repeat(len(moved), 0), atol=1e-5)


@pytest.fixture(scope="module")
def scene(points: FacePoints) -> Scene:
    return make_scene(points, noise_px=0.3)


@pytest.fixture(scope="module")
def fit(points: FacePoints, scene: Scene) -> FaceFit:
    return fit_of(scene, points)


def test_landmarks_and_expressions_are_recovered(scene: Scene, fit: FaceFit) -> None:
    assert fit.error_px.max() < 1.5 and fit.error_px.mean() < 0.9
    for name in SHOWN:
        k = ARKIT_NAMES.index(name)
        assert np.corrcoef(fit.expression[:, k], scene.expression[:, k])[0, 1] > 0.9, name
    assert fit.expression.min() >= 0 and fit.expression.max() <= 1
    others = [k for k, name in enumerate(ARKIT_NAMES) if name not in SHOWN]
    assert fit.expression[:, others].mean() < 0.06


def test_blinks_span_the_range(scene: Scene, fit: FaceFit) -> None:
    for name in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen"):
        k = ARKIT_NAMES.index(name)
        closed, opened = scene.expression[:, k] > 0.95, scene.expression[:, k] == 0
        assert fit.expression[closed, k].min() > 0.55, name  # one eye alone: the other side holds it back a little
        assert fit.expression[opened, k].mean() < 0.15, name


def test_gauge_is_constant_in_a_clip(scene: Scene, fit: FaceFit) -> None:
    change = np.swapaxes(scene.poses.rotation, -1, -2) @ fit.poses.rotation
    for clip in (0, 1):
        own = change[scene.clip_of == clip]
        np.testing.assert_allclose(own, np.broadcast_to(own[0], own.shape), atol=1e-6)
    assert np.abs(change[0] - change[-1]).max() > 0.01


def test_stored_poses_explain_the_landmarks_nearly_as_well(scene: Scene, fit: FaceFit) -> None:
    head = fit.person.at(fit.expression) @ np.swapaxes(fit.poses.rotation, -1, -2) + fit.poses.translation[:, None]
    seen = np.stack([scene.cameras[c].project(x) for c, x in zip(scene.clip_of, head, strict=True)])
    inner = np.setdiff1d(np.arange(topology.N_LANDMARKS), topology.SLIDING)
    assert np.sqrt(((seen - scene.landmarks)[:, inner] ** 2).sum(-1).mean()) < 1.5


def test_frames_without_a_face_stay_in_place(points: FacePoints, scene: Scene) -> None:
    landmarks = scene.landmarks.copy()
    landmarks[[3, 30]] = np.nan
    rotation = scene.poses.rotation.copy()
    rotation[10] = np.nan
    gappy = fit_of(replace(scene, landmarks=landmarks, poses=Poses(rotation, scene.poses.translation)), points)
    missing = np.isin(np.arange(len(landmarks)), (3, 10, 30))
    for rows in (gappy.expression, gappy.error_px[:, None], gappy.poses.translation, gappy.landmarks_px[:, 0]):
        assert (np.isnan(rows).all(1) == missing).all()


def test_half_the_picture_size_gives_the_same_fit(points: FacePoints, scene: Scene, fit: FaceFit) -> None:
    cameras = [camera.resized(camera.width // 2, camera.height // 2) for camera in scene.cameras]
    small = fit_of(replace(scene, landmarks=scene.landmarks / 2, cameras=cameras), points)
    np.testing.assert_allclose(small.expression, fit.expression, atol=0.02)
    np.testing.assert_allclose(small.error_px, fit.error_px, atol=0.01)


def test_mouth_close_stays_below_jaw_open(fit: FaceFit) -> None:
    close, jaw = ARKIT_NAMES.index("mouthClose"), ARKIT_NAMES.index("jawOpen")
    assert (fit.expression[:, close] - fit.expression[:, jaw]).max() <= 0


def test_bounded_minimum_satisfies_its_conditions() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(50, 12, 20))
    hessian, gradient = root @ np.swapaxes(root, -1, -2), 10 * rng.normal(size=(50, 12))
    low, high = np.full((50, 12), -0.3), np.full((50, 12), 0.4)
    x = _minimise_in_box(hessian, gradient, low, high, passes=30)
    slope = gradient + (hessian @ x[..., None])[..., 0]
    inside = (x > low + 1e-9) & (x < high - 1e-9)
    assert 0.1 < inside.mean() < 0.95
    assert np.abs(slope[inside]).max() < 1e-6
    assert slope[x <= low + 1e-9].min() > -1e-6 and slope[x >= high - 1e-9].max() < 1e-6


def test_bad_input_is_named(points: FacePoints, scene: Scene) -> None:
    with pytest.raises(InputError, match="478"):
        fit_of(replace(scene, landmarks=scene.landmarks[:, :68]), points)
    with pytest.raises(InputError, match="No frame"):
        fit_of(replace(scene, landmarks=np.full_like(scene.landmarks, np.nan)), points)


def test_one_frame_is_enough(points: FacePoints, scene: Scene) -> None:
    one = fit_expression(scene.landmarks[:1], scene.poses[:1], scene.cameras, scene.clip_of[:1], points)
    assert np.isfinite(one.expression).all() and one.error_px[0] < 1.0


def test_recording_is_reprojected_within_a_pixel(points: FacePoints, assets: Path, data: Path) -> None:
    av = pytest.importorskip("av")
    from aednerf.face.landmarks import FaceDetector

    with (
        av.open(str(data / "talking" / "newsreader.mp4")) as container,
        FaceDetector(assets / "face_landmarker.task") as detector,
    ):
        frames = itertools.islice(container.decode(video=0), 70, 100)
        found = [detector.detect(frame.to_ndarray(format="rgb24"))[0] for frame in frames]
    landmarks, scores = (np.stack([getattr(face, name) for face in found]) for name in ("points_px", "scores"))
    camera = Camera(1500, 256, 256, 512, 512)
    rigid = list(topology.RIGID)
    poses = first_poses(landmarks[:, rigid].astype(float), points.neutral[rigid].astype(float), camera)
    fit = fit_expression(landmarks, poses, [camera], np.zeros(len(found), int), points, scores)
    assert fit.error_px.mean() < 1.0
    blink = fit.expression[:, ARKIT_NAMES.index("eyeBlinkLeft")]
    assert blink.max() > 0.6 and np.median(blink) < 0.25
