"""The head's pose as numbers that a network can take, and small rotations as vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_RANGE_MARGIN = 1.1


class PoseRange(nn.Module):
    """The range of the recorded poses: standardises a pose, and clamps it to what was recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("deviation", torch.ones(6))
        self.register_buffer("limit", torch.ones(6))

    mean: Tensor
    deviation: Tensor
    limit: Tensor

    @torch.no_grad()
    def fit(self, rotation: Tensor, translation: Tensor) -> None:
        """Set the range from the training frames' poses [T, 3, 3] and [T, 3]."""
        pose = torch.cat([rotvec_from_matrix(rotation), translation], dim=-1)
        self.mean.copy_(pose.mean(0))
        self.deviation.copy_(pose.std(0, correction=0).clamp(min=1e-3))
        self.limit.copy_(((pose - self.mean) / self.deviation).abs().amax(0) * _RANGE_MARGIN + 1e-3)

    def standardise(self, rotation: Tensor, translation: Tensor) -> Tensor:
        """Return the pose [B, 3, 3] and [B, 3] as [B, 6] standardised numbers within the recorded range."""
        pose = torch.cat([rotvec_from_matrix(rotation), translation], dim=-1)
        return torch.minimum(torch.maximum((pose - self.mean) / self.deviation, -self.limit), self.limit)


def matrix_from_rotvec(rotvec: Tensor) -> Tensor:
    """Return rotation matrices [B, 3, 3] of small rotation vectors [B, 3] (Rodrigues; smooth at zero)."""
    angle2 = (rotvec * rotvec).sum(-1)[:, None, None]
    angle = (angle2 + 1e-12).sqrt()
    zero = torch.zeros_like(rotvec[:, 0])
    x, y, z = rotvec.unbind(-1)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
    identity = torch.eye(3, device=rotvec.device, dtype=rotvec.dtype)
    return identity + torch.sin(angle) / angle * skew + (1 - torch.cos(angle)) / (angle2 + 1e-12) * (skew @ skew)


def rotvec_from_matrix(rotation: Tensor) -> Tensor:
    """Return rotation vectors [B, 3] of rotation matrices [B, 3, 3] whose angle is well below 180 degrees."""
    axis = torch.stack(
        [
            rotation[:, 2, 1] - rotation[:, 1, 2],
            rotation[:, 0, 2] - rotation[:, 2, 0],
            rotation[:, 1, 0] - rotation[:, 0, 1],
        ],
        dim=-1,
    )
    cosine = ((rotation.diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2).clamp(-1.0, 1.0)
    sine = axis.norm(dim=-1) / 2
    angle = torch.atan2(sine, cosine)
    return axis * torch.where(sine > 1e-6, angle / (2 * sine.clamp(min=1e-6)), 0.5).unsqueeze(-1)
