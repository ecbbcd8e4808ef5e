"""Rays of a pinhole camera, in the coordinates of the head's box."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aednerf.core.records import Camera
from aednerf.core.units import HEAD_BOX_HALF_M


class Rays(NamedTuple):
    """Rays of B frames, R each, in the box's coordinates [-1, 1]^3 (one unit is 0.2 m)."""

    origins: Tensor
    """[B, R, 3]."""
    directions: Tensor
    """[B, R, 3] unit vectors."""


def cast(pixels: Tensor, intrinsics: Tensor, rotation: Tensor, translation: Tensor) -> Rays:
    """Cast a ray through each place of the picture.

    Args:
        pixels: [B, R, 2] places u, v in pixels; a pixel's centre is at +0.5.
        intrinsics: [B, 3] focal length, cx, cy in pixels.
        rotation: [B, 3, 3] head to camera.
        translation: [B, 3] head to camera, metres.

    Returns:
        The rays, in head coordinates.
    """
    focal, centre = intrinsics[:, None, :1], intrinsics[:, None, 1:]
    plane = (pixels - centre) / focal
    camera = torch.stack([plane[..., 0], -plane[..., 1], -torch.ones_like(plane[..., 0])], dim=-1)
    camera = camera / camera.norm(dim=-1, keepdim=True)
    origins = -(translation.unsqueeze(1) @ rotation) / HEAD_BOX_HALF_M
    return Rays(origins.expand_as(camera), camera @ rotation)


def pixel_grid(width: int, height: int, device: torch.device) -> Tensor:
    """Return the centres [H * W, 2] of a picture's pixels, row by row."""
    v, u = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
    )
    return torch.stack([u, v], dim=-1).view(-1, 2)


def recorded_of(camera: Camera, device: torch.device) -> Tensor:
    """Return [4]: left, top, width and height of the recording's picture in the camera's, pixels."""
    recorded = camera.recorded or (0.0, 0.0, camera.width, camera.height)
    return torch.tensor(recorded, dtype=torch.float32, device=device)


def is_inside(pixels: Tensor, rectangle: Tensor) -> Tensor:
    """Return [R, 1] bool: which places [R, 2] lie in a rectangle [4] of left, top, width, height."""
    inwards = pixels - rectangle[:2]
    return ((inwards >= 0) & (inwards <= rectangle[2:])).all(-1, keepdim=True)


def intrinsics_of(camera: Camera, device: torch.device) -> Tensor:
    """Return [1, 3]: focal length, cx, cy in pixels."""
    return torch.tensor([[camera.focal_px, camera.cx, camera.cy]], dtype=torch.float32, device=device)
