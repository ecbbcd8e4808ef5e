"""Optical-flow tracks and the whole chain on a textured head rendered with known poses."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face.flow import HEAD_CENTRE_M, HEAD_RADII_M, choose_key_frames, find_corners, key_frame, track_corners
from aednerf.face.head_track import track_head
from aednerf.face.pose import Poses, project, rotation_angle, rotation_from_angles
from aednerf.face.topology import LEFT_EYE, RIGHT_EYE

SIZE = 256
CAMERA = Camera(750.0, 128.0, 128.0, SIZE, SIZE)
PIXELS = np.stack(np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5), axis=-1).reshape(-1, 2)


def _texture() -> np.ndarray:
    rng = np.random.default_rng(7)
    coarse = cv2.resize(rng.uniform(0, 255, (64, 128)).astype(np.float32), (1024, 512), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse, 0, 255)


def _on_ellipsoid(direction: np.ndarray) -> np.ndarray:
    return HEAD_CENTRE_M + HEAD_RADII_M * direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def _behind(pixels: np.ndarray, pose: Poses) -> np.ndarray:
    """Return the points of the ellipsoid that pixels [P, 2] show, head frame."""
    ray = np.concatenate([(pixels - 128) / 750 * [1, -1], -np.ones((len(pixels), 1))], axis=1)
    ray = ray @ pose.rotation[0] / HEAD_RADII_M
    start = (-pose.rotation[0].T @ pose.translation[0] - HEAD_CENTRE_M) / HEAD_RADII_M
    along, length = ray @ start, (ray**2).sum(1)
    depth = (-along - np.sqrt(along**2 - length * (start @ start - 1))) / length
    return HEAD_CENTRE_M + HEAD_RADII_M * (start + ray * depth[:, None])


def _render(texture: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Draw the textured head ellipsoid over a plain background, uint8 RGB."""
    ray = np.concatenate([(PIXELS - 128) / 750 * [1, -1], -np.ones((len(PIXELS), 1))], axis=1) @ rotation / HEAD_RADII_M
    start = (-rotation.T @ translation - HEAD_CENTRE_M) / HEAD_RADII_M
    along, length = ray @ start, (ray**2).sum(1)
    inside = along**2 - length * (start @ start - 1)
    depth = (-along - np.sqrt(np.maximum(inside, 0))) / length
    x, y, z = (start + ray * depth[:, None]).T
    across = (np.arctan2(x, z) / np.pi * 512 + 512).astype(np.float32)
    down = (np.arccos(np.clip(y, -1, 1)) / np.pi * 511).astype(np.float32)
    colour = cv2.remap(texture, across.reshape(SIZE, SIZE), down.reshape(SIZE, SIZE), cv2.INTER_LINEAR)
    gray = np.where((inside > 0).reshape(SIZE, SIZE), colour, 90.0)
    return np.repeat(np.round(gray).astype(np.uint8)[..., None], 3, axis=2)


class _Clip:
    """A head that turns, with landmarks on its front and what a detector would say of them."""

    def __init__(self, n: int, noise_px: float) -> None:
        rng = np.random.default_rng(3)
        time = np.arange(n)
        angles = np.radians(np.stack([8 * np.sin(time / 9), 5 * np.sin(time / 7), 3 * np.sin(time / 11)], axis=-1))
        place = np.stack([0.01 * np.sin(time / 8), 0.01 * np.cos(time / 13), -1.0 + 0.02 * np.sin(time / 10)], axis=-1)
        self.true = Poses(rotation_from_angles(angles), place)
        direction = np.stack([rng.uniform(-0.7, 0.7, 478), rng.uniform(-0.8, 0.5, 478), np.ones(478)], axis=-1)
        direction[2] = [0, -0.9, 1]  # the base of the nose: tracks live above it
        for centre, ring in ((-0.3, RIGHT_EYE), (0.3, LEFT_EYE)):
            turn = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
            direction[list(ring)] = np.stack(
                [centre + 0.1 * np.cos(turn), 0.1 + 0.05 * np.sin(turn), np.ones(len(ring))], axis=-1
            )
        self.model = _on_ellipsoid(direction)
        self.landmarks = project(self.model, self.true, CAMERA) + rng.normal(0, noise_px, (n, 478, 2))
        self.texture = _texture()

    def frames(self) -> Iterator[np.ndarray]:
        for rotation, translation in zip(self.true.rotation, self.true.translation, strict=True):
            yield _render(self.texture, rotation, translation)


def test_corners_are_found_to_a_fraction_of_a_pixel() -> None:
    clip = _Clip(30, 0.0)
    frames = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in clip.frames()]
    key = key_frame(frames[0], 0, clip.true[:1], clip.landmarks[0], clip.model, CAMERA)
    assert key is not None and len(key.points) > 60
    true_points = _behind(key.corners_px, clip.true[:1])
    # Towards the silhouette of so small a ball the surface bends within the window: judge the middle strictly.
    middle = np.linalg.norm(key.corners_px - key.corners_px.mean(0), axis=1) < 30
    for number in (0, 8, 25):
        found = find_corners(frames[number], key, clip.true[number : number + 1], CAMERA)
        seen = np.isfinite(found[:, 0])
        assert seen.mean() > 0.7
        error = np.linalg.norm(found - project(true_points, clip.true[number : number + 1], CAMERA)[0], axis=1)
        assert np.nanmedian(error[middle]) < 0.2 and np.nanmedian(error) < 0.35


def test_a_picture_of_something_else_gives_no_tracks() -> None:
    clip = _Clip(3, 0.0)
    gray = cv2.cvtColor(next(clip.frames()), cv2.COLOR_RGB2GRAY)
    key = key_frame(gray, 0, clip.true[:1], clip.landmarks[0], clip.model, CAMERA)
    assert key is not None
    other = np.random.default_rng(0).integers(0, 255, gray.shape).astype(np.uint8)
    assert np.isfinite(find_corners(other, key, clip.true[1:2], CAMERA)).mean() < 0.05
    assert key_frame(np.full_like(gray, 90), 0, clip.true[:1], clip.landmarks[0], clip.model, CAMERA) is None


def test_key_frames_cover_the_poses() -> None:
    clip = _Clip(200, 0.3)
    chosen = choose_key_frames(clip.true, clip.landmarks)
    assert 14 <= len(chosen) <= 24 and (np.diff(chosen) > 0).all()
    missing = Poses(np.full((5, 3, 3), np.nan), np.full((5, 3), np.nan))
    assert len(choose_key_frames(missing, np.full((5, 478, 2), np.nan))) == 0


def test_frames_without_a_pose_are_passed_over() -> None:
    clip = _Clip(12, 0.0)
    clip.true.translation[5] = np.nan
    first = cv2.cvtColor(next(clip.frames()), cv2.COLOR_RGB2GRAY)
    key = key_frame(first, 0, clip.true[:1], clip.landmarks[0], clip.model, CAMERA)
    assert key is not None
    frames = list(_Clip(12, 0.0).frames())
    (tracks,) = track_corners(lambda: iter(frames), [key], clip.true, CAMERA)
    assert tracks.frames.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_the_chain_recovers_poses_better_than_the_landmarks() -> None:
    clip = _Clip(48, 0.7)
    valid = np.ones(48, bool)
    valid[30:32] = False
    shares: list[float] = []
    track = track_head(clip.frames, clip.landmarks, valid, clip.model, (SIZE, SIZE), progress=shares.append)
    assert track.valid.tolist() == valid.tolist() and "no-flow" not in track.flags
    turn = rotation_angle(np.swapaxes(track.rotation[valid], -1, -2) @ clip.true.rotation[valid])
    assert np.degrees(np.sqrt(np.mean(turn**2))) < 0.6
    assert track.track_error_px < 0.3
    assert track.jitter_deg < 0.4 * track.landmark_jitter_deg
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_without_texture_the_landmarks_carry_the_pose() -> None:
    clip = _Clip(20, 0.3)
    plain = np.full((SIZE, SIZE, 3), 128, np.uint8)
    track = track_head(lambda: (plain for _ in range(20)), clip.landmarks, np.ones(20, bool), clip.model, (SIZE, SIZE))
    assert "no-flow" in track.flags and np.isnan(track.track_error_px)
    turn = rotation_angle(np.swapaxes(track.rotation, -1, -2) @ clip.true.rotation)
    assert np.degrees(turn).max() < 3.0


@pytest.mark.parametrize("n", [1, 3])
def test_the_shortest_clips_come_through(n: int) -> None:
    clip = _Clip(n, 0.3)
    assert track_head(clip.frames, clip.landmarks, np.ones(n, bool), clip.model, (SIZE, SIZE)).valid.all()


def test_a_clip_without_a_face_is_an_input_error() -> None:
    clip = _Clip(4, 0.0)
    with pytest.raises(InputError, match="No frame"):
        track_head(clip.frames, clip.landmarks, np.zeros(4, bool), clip.model, (SIZE, SIZE))


def test_the_head_frame_is_the_models() -> None:
    clip = _Clip(48, 0.5)
    track = track_head(clip.frames, clip.landmarks, np.ones(48, bool), clip.model, (SIZE, SIZE))
    wanted = clip.model[list(track.landmark_indices)]
    found, wanted = track.landmark_points - track.landmark_points.mean(0), wanted - wanted.mean(0)
    moment = found.T @ wanted
    # Aligned by rotation and scale: the moment is symmetric and its trace that of the points themselves.
    np.testing.assert_allclose(moment, moment.T, atol=1e-6)
    np.testing.assert_allclose(np.trace(moment), (found**2).sum(), rtol=0.01)
