"""The person to render: head, torso, pose layer and occupancy as one model, and the picture of one moment of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.records import Camera
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.field.head import HeadField, HeadState
from aednerf.field.occupancy import Occupancy
from aednerf.field.pose import PoseLayer
from aednerf.field.torso import TorsoField
from aednerf.ops.compilation import can_compile
from aednerf.ops.composite import over
from aednerf.render.rays import cast, intrinsics_of, pixel_grid
from aednerf.render.volume import Space, render_frame

_PIECE_POINTS = 1 << 18
"""A compiled field takes this many points at once: one shape, compiled once."""

Shade = Callable[[Tensor, HeadState], tuple[Tensor, Tensor]]


class AvatarModel(nn.Module):
    """Everything learned about how a person looks."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.pose = PoseLayer()
        self.head = HeadField(config)
        self.torso = TorsoField(config)
        self.occupancy = Occupancy(config.occupancy_resolution)

        self._shade: Shade = self.head.forward

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.head.grid.table.device

    @property
    def space(self) -> Space:
        """Where the head's samples may lie."""
        return Space(self.occupancy.bits, *self.occupancy.box)

    @torch.no_grad()
    def render(
        self, rotation: np.ndarray | Tensor, translation: np.ndarray | Tensor, expression: np.ndarray | Tensor,
        residual: np.ndarray | Tensor, camera: Camera, *, view: np.ndarray | Tensor | None = None,
        shot: int | None = None,
    ) -> Tensor:  # fmt: skip
        """Render head over torso, without a background.

        Args:
            rotation: [3, 3] tracked head-to-camera rotation.
            translation: [3] tracked head-to-camera translation, metres.
            expression: [52] ARKit coefficients.
            residual: [K] the person's residual code.
            camera: the picture's camera.
            view: [3, 4] a rigid motion applied to the posed head in the camera's space (a user's camera); the torso
                stays as the recording's camera sees it.
            shot: the shot of the recording whose posture the torso takes; None is the avatar's own choice.

        Returns:
            [H, W, 4] premultiplied RGBA in [0, 1].
        """
        tracked = self._tensor(rotation)[None], self._tensor(translation)[None]
        turned, moved = self.pose(*tracked)
        if view is not None:
            motion = self._tensor(view)
            turned, moved = motion[:, :3] @ turned, moved @ motion[:, :3].T + motion[:, 3]
        pixels = pixel_grid(camera, self.device)[None]
        head = self._render_head(pixels, camera, turned, moved, expression, residual)
        size = torch.tensor([camera.width, camera.height], device=self.device)
        posture = torch.tensor([self.config.shown_shot if shot is None else shot], device=self.device)
        torso, _ = self.torso(pixels / size * 2 - 1, self.pose.standardise(*tracked), posture)
        return over(head, torso[0]).view(camera.height, camera.width, 4).clamp(0.0, 1.0)

    def _render_head(
        self, pixels: Tensor, camera: Camera, rotation: Tensor, translation: Tensor,
        expression: np.ndarray | Tensor, residual: np.ndarray | Tensor,
    ) -> Tensor:  # fmt: skip
        state = self.head.prepare(self._tensor(expression)[None], self._tensor(residual)[None])
        rays = cast(pixels, intrinsics_of(camera, self.device), rotation, translation)
        step = self.config.step_m / HEAD_BOX_HALF_M
        return render_frame(lambda points: self._shade(points, state), rays, self.space, step)

    def accelerate(self) -> bool:
        """Compile the head's field for pictures; takes some seconds, once a process.

        Returns:
            Whether this machine can: a GPU with Triton and a C compiler. Elsewhere nothing changes.
        """
        if not can_compile(self.device):
            return False
        compiled = torch.compile(self.head.forward, dynamic=False)
        self._shade = lambda points, state: _in_pieces(compiled, points, state)
        return True

    def _tensor(self, value: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float32, device=self.device)


def _in_pieces(shade: Shade, points: Tensor, state: HeadState) -> tuple[Tensor, Tensor]:
    """Evaluate points [1, M, 3] of one frame in pieces of one size, the last one padded."""
    n_points = points.shape[1]
    padded = torch.nn.functional.pad(points, (0, 0, 0, -n_points % _PIECE_POINTS))
    pieces = [shade(piece, state) for piece in padded.split(_PIECE_POINTS, dim=1)]
    density = torch.cat([density for density, _ in pieces], dim=1)
    return density[:, :n_points], torch.cat([colour for _, colour in pieces], dim=1)[:, :n_points]
