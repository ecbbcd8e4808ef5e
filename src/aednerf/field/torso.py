"""The torso: a 2-D picture in canonical coordinates that bends with the head's pose (after RAD-NeRF, Tang et al. 2022,
3.4), which the neck follows, and with its own measured posture (`face.posture`), which the shoulders do.

It lies behind the head and reaches up behind the jaw, so that the neck has no gap whichever way the head turns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aednerf.field.config import FieldConfig
from aednerf.ops.hashgrid import HashGrid

_N_FREQUENCIES = 4
_POSE_NUMBERS = 6
_SHOT_NUMBERS = 8
"""Numbers that a shot's own posture is described by."""
_LARGEST_OFFSET = 0.25
"""In units of half the picture."""


class TorsoField(nn.Module):
    """Colour and alpha of the torso at places of the picture, for B head poses and postures."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.grid = HashGrid(config.torso_grid)
        width = config.torso_width
        self.bend_place = nn.Linear(2 + 4 * _N_FREQUENCIES, width)
        self.shots = nn.Parameter(torch.zeros(config.n_shots, _SHOT_NUMBERS))
        self.is_linear = config.n_posture > 0
        n_numbers = _POSE_NUMBERS + config.n_posture + _SHOT_NUMBERS
        self.bend_hidden = nn.Linear(width, width)
        if self.is_linear:
            self.bend_last = nn.Linear(width, 2 * n_numbers)
        else:
            self.bend_pose = nn.Linear(n_numbers, width)
            self.bend_last = nn.Linear(width, 2)
        self.first = nn.Linear(self.grid.n_outputs, width)
        self.shade_pose = nn.Linear(n_numbers, width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.last = nn.Linear(width, 4)
        nn.init.zeros_(self.bend_last.bias)
        nn.init.normal_(self.bend_last.weight, std=1e-3)

    def forward(self, places: Tensor, pose: Tensor, posture: Tensor, shot: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the torso.

        Args:
            places: [B, P, 2] places in the picture, [-1, 1] over its width and height.
            pose: [B, 6] the standardised head pose.
            posture: [B, P] the posture code.
            shot: [B] int64: the shot of the recording whose own posture is added.

        Returns:
            [B, P, 4] premultiplied RGBA, and [B, P, 2] how far each place was bent.
        """
        stance = torch.cat([pose, posture, self.shots[shot]], dim=-1).unsqueeze(1)
        offset = _LARGEST_OFFSET * torch.tanh(self._bend(places, stance).float())
        # The canonical picture is a little larger than the frame, so that what bends in from outside has a place.
        canonical = ((places + offset) * 0.8).reshape(-1, 2)
        encoded = self.grid((canonical + 1) / 2)
        with torch.autocast(places.device.type, torch.bfloat16, enabled=places.device.type == "cuda"):
            hidden = self.first(encoded).view(*places.shape[:2], -1) + self.shade_pose(stance)
            hidden = torch.relu(self.hidden(torch.relu(hidden)))
            raw = torch.sigmoid(self.last(hidden).float())
        return torch.cat([raw[..., :3] * raw[..., 3:], raw[..., 3:]], dim=-1), offset

    def _bend(self, places: Tensor, stance: Tensor) -> Tensor:
        """Return where each place [B, P, 2] bends to, [B, P, 2], for a stance [B, 1, N].

        With a posture, a place moves by a sum of the stance's numbers, each times what the place makes of it: so the
        code was made, and a network of place and stance together does not follow it.
        """
        hidden = self.bend_place(_frequencies(places))
        if not self.is_linear:
            hidden = hidden + self.bend_pose(stance)
        last = self.bend_last(torch.relu(self.bend_hidden(torch.relu(hidden))))
        return (last.unflatten(-1, (2, -1)) * stance.unsqueeze(2)).sum(-1) if self.is_linear else last


def _frequencies(places: Tensor) -> Tensor:
    """Return places with their sines and cosines at a few octaves."""
    parts = [places]
    for octave in range(_N_FREQUENCIES):
        angle = places * (math.pi / 2 * 2**octave)
        parts += [torch.sin(angle), torch.cos(angle)]
    return torch.cat(parts, dim=-1)
