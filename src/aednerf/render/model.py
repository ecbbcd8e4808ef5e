"""The person to render: head, torso, range of poses and occupancy as one model, and the picture of one moment of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.records import Camera
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.field.head import HeadField
from aednerf.field.occupancy import Occupancy
from aednerf.field.pose import PoseRange, matrix_from_rotvec, rotvec_from_matrix
from aednerf.field.torso import TorsoField
from aednerf.ops.compilation import can_compile
from aednerf.ops.composite import over
from aednerf.render.captured import PLAIN_STAGES, CapturedPicture, Drawn, Stages, capacity_for, render_listed
from aednerf.render.rays import Rays, cast, intrinsics_of, is_inside, pixel_grid, recorded_of
from aednerf.render.volume import Field, Space, render_frame


class Moment(NamedTuple):
    """Everything that the picture of one moment depends on, as tensors of fixed shapes."""

    rotation: Tensor
    """[1, 3, 3] tracked head to camera."""
    translation: Tensor
    """[1, 3] metres."""
    expression: Tensor
    """[1, 52]."""
    residual: Tensor
    """[1, K]."""
    posture: Tensor
    """[1, P]."""
    intrinsics: Tensor
    """[1, 3] focal length, cx, cy in pixels."""
    recorded: Tensor
    """[4] left, top, width, height of the recording's picture in the drawn one, pixels: where the torso stands."""
    view: Tensor
    """[3, 4] a rigid motion of the posed head in the camera's space."""
    shot: Tensor
    """[1] int64."""


_FINER = 5
"""A surface is sought in steps so much finer than a picture's: hard skin ends a ray within one of these."""

_RIDGE = 0.01
"""What the regression of the posture on the pose is held back by, as a share of a standardised number's variance."""

DrawHead = Callable[[Field, Rays], Tensor]


class AvatarModel(nn.Module):
    """Everything learned about how a person looks."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.pose_range = PoseRange()
        self.head = HeadField(config)
        self.torso = TorsoField(config)
        self.occupancy = Occupancy(config.occupancy_resolution)
        # Avatars made before there was a posture do not hold it.
        is_held = config.n_posture > 0
        self.register_buffer("posture_of_pose", torch.zeros(7, config.n_posture), persistent=is_held)
        self._fast: FastPictures | None = None

    posture_of_pose: Tensor
    """[7, P] what the standardised pose and a 1 tell about the posture, where nothing else does."""

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.head.grid.table.device

    @property
    def space(self) -> Space:
        """Where the head's samples may lie."""
        return Space(self.occupancy.bits, *self.occupancy.box)

    @property
    def step(self) -> float:
        """Distance between samples, in the box's units."""
        return self.config.step_m / HEAD_BOX_HALF_M

    def code(self, read: np.ndarray) -> np.ndarray:
        """Return the residual codes [T, K] of numbers [T, N] read off pictures, NaN for NaN; codes stay as they are."""
        if not self.config.n_read or read.shape[1] != self.config.n_read:
            return read
        with torch.no_grad():
            return self.head.code(torch.as_tensor(read, dtype=torch.float32, device=self.device)).cpu().numpy()

    def render(
        self, rotation: np.ndarray | Tensor, translation: np.ndarray | Tensor, expression: np.ndarray | Tensor,
        residual: np.ndarray | Tensor, camera: Camera, *, view: np.ndarray | Tensor | None = None,
        shot: int | None = None, posture: np.ndarray | Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Render head over torso, without a background.

        Args:
            rotation: [3, 3] tracked head-to-camera rotation.
            translation: [3] tracked head-to-camera translation, metres.
            expression: [52] ARKit coefficients.
            residual: [K] the person's residual code.
            camera: the picture's camera; what lies outside of the recording's picture stays empty.
            view: [3, 4] a rigid motion applied to the posed head in the camera's space (a user's camera); the torso
                stays as the recording's camera sees it.
            shot: the shot of the recording that the torso stands as in; None is the avatar's own choice.
            posture: [P] how the torso lies; None, or no numbers, is as the pose has it.

        Returns:
            [H, W, 4] premultiplied RGBA in [0, 1].
        """
        # Graphs and compiled code are made once, for ordinary tensors, whatever mode the caller is in.
        with torch.inference_mode(False), torch.no_grad():
            moment = self._moment(rotation, translation, expression, residual, camera, view, shot, posture)
            if self._fast is not None:
                return self._fast.render(moment, camera.width, camera.height)
            return self.draw(moment, camera.width, camera.height)

    def surface(
        self, rotation: np.ndarray | Tensor, translation: np.ndarray | Tensor, expression: np.ndarray | Tensor,
        residual: np.ndarray | Tensor, camera: Camera, *, view: np.ndarray | Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Render where the light of the head's rays comes from: its colour is replaced by the place.

        The torso is a flat picture and has no place. Arguments as for `render`.

        Returns:
            [H, W, 4]: the expected place in the camera's space, metres, and the head's alpha in [0, 1].
        """
        with torch.no_grad():
            moment = self._moment(rotation, translation, expression, residual, camera, view, None, None)
            turned, moved = self._posed(moment)
            state = self.head.prepare(moment.expression, moment.residual, self._turn_under_light(moment))
            pixels = pixel_grid(camera.width, camera.height, self.device)
            rays = cast(pixels[None], moment.intrinsics, turned, moved)
            found = render_frame(
                lambda points: (self.head(points, state)[0], points), rays, self.space, self.step / _FINER
            )
            alpha = found[:, 3:] * is_inside(pixels, moment.recorded)
            place = found[:, :3] / found[:, 3:].clamp(min=1e-6) * HEAD_BOX_HALF_M
            seen = torch.cat([place @ turned[0].T + moved, alpha], dim=-1)
            return seen.view(camera.height, camera.width, 4)

    def draw(self, moment: Moment, width: int, height: int) -> Tensor:
        """Draw a moment the ordinary way: [H, W, 4]."""
        return self.compose(
            moment, width, height, self.head.forward, self.torso.forward,
            lambda field, rays: render_frame(field, rays, self.space, self.step),
        )  # fmt: skip

    def compose(
        self, moment: Moment, width: int, height: int, shade: Callable, torso: Callable, draw_head: DrawHead
    ) -> Tensor:
        """Draw a moment from a head field, a torso field and a way to render rays: [H, W, 4]."""
        turned, moved = self._posed(moment)
        pixels = pixel_grid(width, height, self.device)[None]
        pose = self.pose_range.standardise(moment.rotation, moment.translation)
        state = self.head.prepare(moment.expression, moment.residual, self._turn_under_light(moment))
        head = draw_head(lambda points: shade(points, state), cast(pixels, moment.intrinsics, turned, moved))
        places = (pixels - moment.recorded[:2]) / moment.recorded[2:] * 2 - 1
        behind, _ = torso(places, pose, moment.posture, moment.shot)
        picture = over(head, behind[0]) * is_inside(pixels[0], moment.recorded)  # what lies beyond was never seen
        return picture.view(height, width, 4).clamp(0.0, 1.0)

    def _moment(
        self, rotation: np.ndarray | Tensor, translation: np.ndarray | Tensor, expression: np.ndarray | Tensor,
        residual: np.ndarray | Tensor, camera: Camera, view: np.ndarray | Tensor | None, shot: int | None,
        posture: np.ndarray | Tensor | None,
    ) -> Moment:  # fmt: skip
        turned, moved = self._tensor(rotation)[None], self._tensor(translation)[None]
        if posture is None or not len(posture):
            lies = self.usual_posture(turned, moved)
        else:
            lies = self._tensor(posture)[None]
        return Moment(
            turned, moved, self._tensor(expression)[None], self._tensor(residual)[None], lies,
            intrinsics_of(camera, self.device), recorded_of(camera, self.device),
            torch.eye(3, 4, device=self.device) if view is None else self._tensor(view),
            torch.tensor([self.config.shown_shot if shot is None else shot], device=self.device),
        )  # fmt: skip

    def usual_posture(self, rotation: Tensor, translation: Tensor) -> Tensor:
        """Return [B, P]: the posture that goes with head poses [B, 3, 3] and [B, 3] in the recording."""
        pose = self.pose_range.standardise(rotation, translation)
        return torch.cat([pose, torch.ones_like(pose[:, :1])], dim=-1) @ self.posture_of_pose

    @torch.no_grad()
    def learn_usual_posture(self, rotation: Tensor, translation: Tensor, posture: Tensor) -> None:
        """Fit `usual_posture` to the training frames [T, ...] by ridge regression, once the range of poses is known."""
        pose = self.pose_range.standardise(rotation, translation).double()
        rows = torch.cat([pose, torch.ones_like(pose[:, :1])], dim=-1)
        normal = rows.T @ rows + _RIDGE * len(rows) * torch.eye(7, dtype=rows.dtype, device=rows.device)
        self.posture_of_pose.copy_(torch.linalg.solve(normal, rows.T @ posture.double()))

    def _posed(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Return the pose [1, 3, 3] and [1, 3] before the user's camera."""
        turn = moment.view[:, :3]
        return turn @ moment.rotation, moment.translation @ turn.T + moment.view[:, 3]

    def _turn_under_light(self, moment: Moment) -> Tensor:
        """Return [1, 3]: the head's standardised turn as its shading sees it.

        The light stays with the recording's camera. Where another camera looks, matt skin keeps its colour, and gloss
        moves as if the head had turned by half of what the camera went around it, which is where a mirror would stand:
        a quarter is between the two.
        """
        around = rotvec_from_matrix(moment.view[None, :, :3])
        turned = matrix_from_rotvec(0.25 * around) @ moment.rotation
        return self.pose_range.standardise(turned, moment.translation)[:, :3]

    def accelerate(self) -> bool:
        """Draw pictures by compiled, captured kernels from now on; they are built with the first picture of a size.

        Returns:
            Whether this machine can: a GPU with Triton and a C compiler. Elsewhere nothing changes.
        """
        self._fast = FastPictures(self) if can_compile(self.device) else None
        return self._fast is not None

    def _tensor(self, value: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float32, device=self.device)


class FastPictures:
    """A model's pictures by CUDA graphs, one for each size of picture."""

    def __init__(self, model: AvatarModel) -> None:
        self._model = model
        self._shade = torch.compile(model.head.forward, dynamic=False)
        self._torso = torch.compile(model.torso.forward, dynamic=False)
        self._stages = Stages.compiled()
        low, high = model.occupancy.box
        self._n_candidates = math.ceil(float((high - low).norm()) / model.step) + 1
        self._pictures: dict[tuple[int, int], tuple[CapturedPicture, int]] = {}

    def render(self, moment: Moment, width: int, height: int) -> Tensor:
        """Return the picture [H, W, 4] of a moment."""
        if (width, height) not in self._pictures:
            self._capture(moment, width, height, self._count(moment, width, height))
        picture, capacity = self._pictures[width, height]
        drawn = picture(moment)
        n_samples = int(drawn.n_samples)
        if n_samples <= capacity:
            return drawn.picture
        self._capture(moment, width, height, n_samples)
        return self._model.draw(moment, width, height)

    def _capture(self, moment: Moment, width: int, height: int, n_samples: int) -> None:
        capacity = capacity_for(n_samples)

        def draw(inputs: tuple[Tensor, ...]) -> Drawn:
            return self._draw(Moment(*inputs), width, height, capacity)

        self._pictures[width, height] = CapturedPicture(draw, moment), capacity

    def _draw(self, moment: Moment, width: int, height: int, capacity: int) -> Drawn:
        return self._compose(moment, width, height, self._shade, self._torso, capacity, self._stages)

    def _count(self, moment: Moment, width: int, height: int) -> int:
        """Count the samples of a moment by a field that is nothing."""

        def nothing(points: Tensor, _: object) -> tuple[Tensor, Tensor]:
            return torch.zeros_like(points[..., 0]), torch.zeros_like(points)

        torso = self._model.torso.forward
        return max(1, int(self._compose(moment, width, height, nothing, torso, 1, PLAIN_STAGES).n_samples))

    def _compose(
        self, moment: Moment, width: int, height: int, shade: Callable, torso: Callable, capacity: int, stages: Stages
    ) -> Drawn:
        counts: list[Tensor] = []
        model = self._model

        def draw_head(field: Field, rays: Rays) -> Tensor:
            rgba, count = render_listed(field, rays, model.space, model.step, self._n_candidates, capacity, stages)
            counts.append(count)
            return rgba

        return Drawn(model.compose(moment, width, height, shade, torso, draw_head), counts[0])
