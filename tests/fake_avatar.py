"""A person and a voice without networks, with the surfaces of `AvatarModel` and `MotionGenerator`, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.avatar.bundle import Bundle
from aednerf.core.records import ARKIT_NAMES, Camera, Motion
from aednerf.core.units import SAMPLES_PER_FRAME, frames_for_samples
from aednerf.emotion.space import EmotionTrack
from aednerf.motion.channels import BLINK_COLUMNS, JAW_OPEN

N_RESIDUAL = 4
HEAD_RADIUS_M = 0.1
MEAN_POSITION = np.array([0.0, 0.02, -1.1], np.float32)


class FakePerson(nn.Module):
    """A flat disc for a head, whose green is `jawOpen` and whose blue is the first residual number; a red torso."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(n_residual=N_RESIDUAL, n_posture=0)
        self.device = torch.device("cpu")

    def code(self, read: np.ndarray) -> np.ndarray:
        return read

    def render(
        self, rotation: np.ndarray, translation: np.ndarray, expression: np.ndarray, residual: np.ndarray,
        camera: Camera, *, view: np.ndarray | None = None, shot: int | None = None, posture: np.ndarray | None = None,
    ) -> Tensor:  # fmt: skip
        position = np.asarray(translation, np.float64)
        if view is not None:
            position = view[:, :3] @ position + view[:, 3]
        u, v = camera.project(position)
        radius = camera.focal_px * HEAD_RADIUS_M / -position[2]
        x, y = np.arange(camera.width) + 0.5, np.arange(camera.height)[:, None] + 0.5
        picture = np.zeros((camera.height, camera.width, 4), np.float32)
        left, top, width, height = camera.recorded or (0.0, 0.0, camera.width, camera.height)
        picture[(y > top + 0.85 * height - 1) & (x > 0)] = (1, 0, 0, 1)
        picture[(x - u) ** 2 + (y - v) ** 2 < radius**2] = (0.5, expression[JAW_OPEN], 0.5 + 0.5 * residual[0], 1)
        picture[~((x > left) & (x < left + width) & (y > top) & (y < top + height))] = 0
        return torch.from_numpy(picture)

    def surface(
        self, rotation: np.ndarray, translation: np.ndarray, expression: np.ndarray, residual: np.ndarray,
        camera: Camera, *, view: np.ndarray | None = None,
    ) -> Tensor:  # fmt: skip
        picture = self.render(rotation, translation, expression, residual, camera, view=view)
        position = translation if view is None else view[:, :3] @ translation + view[:, 3]
        x, y = np.arange(camera.width) + 0.5, np.arange(camera.height)[:, None] + 0.5
        place = np.empty((camera.height, camera.width, 3), np.float32)
        place[..., 0] = (camera.cx - x) * position[2] / camera.focal_px
        place[..., 1] = (y - camera.cy) * position[2] / camera.focal_px
        place[..., 2] = position[2]
        return torch.cat([torch.from_numpy(place), (picture[..., :1] == 0.5).float()], dim=-1)


class FakeVoice:
    """Opens the jaw as loud as the sound is, frame by frame; the head stays at `MEAN_POSITION`."""

    def __init__(self, n_residual: int = N_RESIDUAL) -> None:
        self.n_residual = n_residual

    def generate(
        self, chunks: Iterable[np.ndarray], emotion: EmotionTrack, *, blink: bool = True, seed: int = 0,
        mouth_gain: float = 1.0, audio_offset_s: float = 0.0,
    ) -> Iterator[Motion]:  # fmt: skip
        held, n_samples, n_frames = np.zeros(0, np.float32), 0, 0
        for chunk in chunks:
            held, n_samples = np.concatenate([held, chunk]), n_samples + len(chunk)
            n = len(held) // SAMPLES_PER_FRAME
            yield self._motion(held[: n * SAMPLES_PER_FRAME].reshape(n, -1), blink)
            held, n_frames = held[n * SAMPLES_PER_FRAME :], n_frames + n
        left = frames_for_samples(n_samples) - n_frames
        if left > 0:
            yield self._motion(np.resize(held, (left, max(1, len(held)))), blink)

    def _motion(self, frames: np.ndarray, blink: bool) -> Motion:
        n = len(frames)
        expression = np.zeros((n, len(ARKIT_NAMES)), np.float32)
        expression[:, JAW_OPEN] = np.clip(np.abs(frames).mean(1) * 2, 0, 1)
        expression[:, BLINK_COLUMNS] = 0.3 if blink else 0.0
        rotation = np.tile(np.eye(3, dtype=np.float32), (n, 1, 1))
        return Motion(expression, np.zeros((n, self.n_residual), np.float32), rotation, np.tile(MEAN_POSITION, (n, 1)))


def fake_bundle(size: int = 32) -> Bundle:
    """Return a bundle with a few tensors, a blue plate, and the camera of a small recording."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "field.table": torch.randn(5000, 2, generator=generator), "field.bits": torch.ones(4, 4, dtype=torch.bool),
        "motion.weight": torch.randn(8, 8, generator=generator), "stats.mean": torch.arange(4.0),
    }  # fmt: skip
    plate = np.zeros((size, size, 3), np.uint8)
    plate[..., 2] = 200
    return Bundle(
        preset="smoke", field_config={"width": 16}, motion_config={"kind": "network"}, tensors=tensors,
        camera=Camera(3.0 * size, size / 2, size / 2, size, size), rotation=np.eye(3, dtype=np.float32),
        translation=MEAN_POSITION, background=plate, preview=plate, training={"minutes": 1.5},
        licences=("CC0-1.0",), consent="computer-generated",
    )  # fmt: skip
