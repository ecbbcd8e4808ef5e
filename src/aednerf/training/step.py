"""One training step of the field: draw rays, render, compare, update. Fixed shapes and no host in the loop."""

from __future__ import annotations

import torch
from torch import Tensor

from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.motion.channels import SPEECH_COLUMNS
from aednerf.ops.composite import over
from aednerf.render.model import AvatarModel
from aednerf.render.rays import cast
from aednerf.render.volume import render_batch
from aednerf.training import losses
from aednerf.training.config import Preset
from aednerf.training.frame_store import FrameStore
from aednerf.training.ray_sampling import head_slice, mouth_slice, sample_pixels
from aednerf.training.surface import FaceSurface

_EMPTY_POINTS = 1024
"""Random points a frame at which density is discouraged."""
_SURFACE_POINTS = 512
"""Points a frame before the skin, and as many under it."""
_WHOLLY = 0.99
"""The matte where a pixel is the person's alone: at the edge before another backdrop gradients tell nothing of skin."""


class FieldStep:
    """Computes the loss of a step; `scale` (how much coarser than in the end the samples lie) changes in place."""

    def __init__(
        self, model: AvatarModel, frames: FrameStore, surface: FaceSurface, preset: Preset, is_compiled: bool
    ) -> None:
        self.model = model
        self.frames = frames
        self.surface = surface
        self.preset = preset
        self.is_compiled = is_compiled
        device = frames.images.device
        self.scale = torch.ones((), device=device)
        self.expression_noise = _expression_noise(preset, surface)
        self.step_m = preset.field.step_m * preset.coarser
        self.final_step = self.step_m / HEAD_BOX_HALF_M
        self.n_candidates = _candidates(model, self.final_step)
        self.head = torch.compile(model.head.forward, dynamic=False) if is_compiled else model.head.forward

    def loss(self) -> tuple[Tensor, Tensor]:
        """Return the loss of one random batch, and the squared colour error of its rays."""
        frames, batch, weight = self.frames, self.preset.batch, self.preset.loss
        device = frames.images.device
        chosen = torch.randint(0, frames.n_frames, (batch.n_frames,), device=device)
        pixels = sample_pixels(frames.boxes[chosen], frames.size, batch)
        u, v = pixels.unbind(-1)
        row = chosen.unsqueeze(1)
        truth = frames.images[row, v, u].float() / 255
        matte = frames.mattes[row, v, u].float() / 255
        region = frames.regions[row, v, u]
        plate = frames.plates[frames.shot[chosen].unsqueeze(1), v, u].float() / 255
        truth, plate = self._before_any(truth, matte, plate)

        rotation, translation = frames.rotation[chosen], frames.translation[chosen]
        places = pixels.float() + 0.5
        rays = cast(places, frames.intrinsics[chosen], rotation, translation)
        pose = self.model.pose_range.standardise(rotation, translation)
        pose = pose + self.preset.posture_noise * torch.randn_like(pose)
        state = self.model.head.prepare(*self._codes(chosen), pose[:, :3])
        jitter = torch.rand(batch.n_frames * batch.n_rays, 1, device=device)
        head, spread = render_batch(
            lambda points: self.head(points, state), rays, self.model.space, self.final_step * self.scale, jitter,
            self.n_candidates, batch.n_slots,
        )  # fmt: skip
        posture = frames.posture[chosen]
        posture = posture + self.preset.posture_code_noise * torch.randn_like(posture)
        torso, bend = self.model.torso(places / frames.size * 2 - 1, pose, posture, frames.shot[chosen])
        person = over(head, torso)
        picture = person[..., :3] + (1 - person[..., 3:]) * plate

        anywhere = torch.rand(batch.n_frames, _EMPTY_POINTS, 3, device=device) * 2 - 1
        before, under = self.surface.draw(frames.expression[chosen], _SURFACE_POINTS)
        core = self.surface.draw_core(batch.n_frames, _SURFACE_POINTS)
        density, _ = self.model.head(torch.cat([anywhere, before, under, core], dim=1), state)
        n_points = [points.shape[1] for points in (anywhere, before, under, core)]
        empty, before, under, core = density.split(n_points, dim=1)
        colour = losses.colour_loss(picture, truth)
        total = (
            colour
            + weight.head_alpha * losses.head_alpha_loss(head[..., 3], matte, region)
            + weight.person_alpha * losses.person_alpha_loss(person[..., 3], matte)
            + weight.person_alpha * losses.behind_jaw_loss(torso[..., 3], matte, region)
            + weight.structure * losses.structure_loss(self._mouth(picture), self._mouth(truth))
            + weight.detail * self._detail(picture, truth, matte, pixels, frames.boxes[chosen])
            + weight.spread / self.scale * spread.mean()
            + weight.empty_space * losses.empty_space_loss(empty)
            + weight.surface * losses.surface_loss(before, under)
            + weight.core * losses.surface_loss(torch.zeros_like(core), core)
            + weight.warp_size * sum(displacement.square().mean() for displacement in state.warp)
            + weight.torso_bend * bend.square().mean()
        )
        return total, colour.detach()

    def _before_any(self, truth: Tensor, matte: Tensor, plate: Tensor) -> tuple[Tensor, Tensor]:
        """Put some frames' person before a colour of chance, so that alpha is right where hair is like the plate.

        Args:
            truth: [B, R, 3] colours as recorded.
            matte: [B, R].
            plate: [B, R, 3] what is behind the person.

        Returns:
            The colours and what is behind, of the same shapes.
        """
        alpha = matte.unsqueeze(-1)
        person = torch.minimum((truth - (1 - alpha) * plate).clamp(min=0.0), alpha)
        colour = torch.rand(len(truth), 1, 3, device=truth.device).expand_as(plate)
        is_other = torch.rand(len(truth), 1, 1, device=truth.device) < self.preset.backdrop_share
        return torch.where(is_other, person + (1 - alpha) * colour, truth), torch.where(is_other, colour, plate)

    def _codes(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames' expressions and residuals, with noise, and some halves of residuals zeroed."""
        preset = self.preset
        expression, residual = self.frames.expression[chosen], self.model.head.code(self.frames.residual[chosen])
        expression = expression + self.expression_noise * torch.randn_like(expression)
        residual = residual + preset.residual_noise * torch.randn_like(residual)
        draw = torch.rand(len(chosen), 1, device=chosen.device)
        has_no_mouth = draw < preset.residual_dropped + preset.half_dropped
        has_no_eyes = (draw < preset.residual_dropped) | (draw >= 1 - preset.half_dropped)
        half = residual.shape[1] // 2
        gone = torch.cat([has_no_mouth.expand(-1, half), has_no_eyes.expand(-1, residual.shape[1] - half)], dim=1)
        return expression, residual.masked_fill(gone, 0.0)

    def _mouth(self, values: Tensor) -> Tensor:
        """The mouth's squares [B, h, w, ...] among the rays' values [B, R, ...]."""
        edge = self.preset.batch.mouth_patch_px
        return values[:, mouth_slice(self.preset.batch)].reshape(-1, edge, edge, *values.shape[2:])

    def _head(self, values: Tensor) -> Tensor:
        """The head's squares [N, h, w, ...]."""
        edge = self.preset.batch.head_patch_px
        return values[:, head_slice(self.preset.batch)].reshape(-1, edge, edge, *values.shape[2:])

    def _detail(self, picture: Tensor, truth: Tensor, matte: Tensor, pixels: Tensor, boxes: Tensor) -> Tensor:
        loss = torch.zeros((), device=picture.device)
        if not self.preset.loss.detail:
            return loss
        inside = (matte > _WHOLLY) & _in_face(pixels, boxes)
        has_head = self.preset.batch.head_patch_px > 1
        for squares in (self._mouth, self._head) if has_head else (self._mouth,):
            loss = loss + losses.detail_loss(squares(picture), squares(truth), squares(inside))
        return loss

    @torch.no_grad()
    def refresh_occupancy(self, keep: float = 0.95, gain: float = 1.0, added: Tensor | None = None) -> None:
        """Measure the density in every cell that may hold something, each for one of the training expressions.

        Args:
            keep: what is left of the densities measured before, as a factor.
            gain: how much stronger than recorded the expressions are.
            added: [52] what is added to them; None adds nothing.
        """
        occupancy = self.model.occupancy
        resolution = len(occupancy.bits)
        device = self.frames.images.device
        cells = occupancy.may_hold.view(-1).nonzero().squeeze(1)
        n_frames = self.preset.batch.n_frames
        cells = cells[torch.randperm(len(cells), device=device)]
        cells = torch.nn.functional.pad(cells, (0, -len(cells) % n_frames), value=int(cells[0]))
        z = cells // (resolution * resolution)
        y, x = (cells // resolution) % resolution, cells % resolution
        corner = torch.stack([x, y, z], dim=-1).float()
        points = (corner + torch.rand_like(corner)) / resolution * 2 - 1
        chosen = torch.randint(0, self.frames.n_frames, (n_frames,), device=device)
        expression = self.frames.expression[chosen] * gain
        expression = (expression if added is None else expression + added).clamp(max=1.0)
        state = self.model.head.prepare(
            expression,
            self.model.head.code(self.frames.residual[chosen]) * gain,
            torch.zeros(n_frames, 3, device=device),
        )
        density, _ = self.model.head(points.view(n_frames, -1, 3), state)
        occupancy.update(cells, density.reshape(-1), self.step_m, keep)


def _in_face(pixels: Tensor, boxes: Tensor) -> Tensor:
    """Tell which pixels [B, R, 2] lie within what mouth and eyes span, from the frames' boxes [B, 4, 4]: [B, R]."""
    low, high = boxes[:, None, 1:, :2].amin(2), boxes[:, None, 1:, 2:].amax(2)
    return ((pixels >= low) & (pixels < high)).all(-1)


def _expression_noise(preset: Preset, surface: FaceSurface) -> Tensor:
    """Return [52] the deviation of the noise on each coefficient."""
    noise = torch.full_like(surface.reach, preset.expression_noise)
    noise[SPEECH_COLUMNS] = (preset.mouth_noise_m / surface.reach[SPEECH_COLUMNS]).clamp(max=preset.expression_noise)
    return noise


def _candidates(model: AvatarModel, step: float) -> int:
    """Return how many steps cross the box around what may be occupied, corner to corner."""
    low, high = model.occupancy.box
    return int(float((high - low).norm()) / step) + 2
