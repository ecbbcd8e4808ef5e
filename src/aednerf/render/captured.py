"""Pictures at full speed on a GPU: the whole frame, from pose to picture, as one captured CUDA graph.

A graph has fixed shapes. Every ray has the same number of slots, and the samples of all rays go into one list of fixed
length before the field is evaluated; a frame with more samples than that is drawn in the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from aednerf.ops.composite import composite
from aednerf.ops.march import march
from aednerf.render.rays import Rays
from aednerf.render.volume import CM_PER_UNIT, Field, Space

N_SLOTS = 48
"""Samples a ray has at most: on a trained head leaving out the rest costs a picture at 58 dB (with 32: 34 dB)."""

_RAYS_AT_ONCE = 1 << 16
_ROOM = 1.4
"""The list of samples is this much longer than the first frame needs."""
POINTS_AT_ONCE = 1 << 18
"""Points that the field is compiled for."""
_WARM_UP = 3


class Drawn(NamedTuple):
    """What a captured frame yields."""

    picture: Tensor
    """[H, W, 4] premultiplied RGBA."""
    n_samples: Tensor
    """[] int64: samples that the frame asked for."""


class Found(NamedTuple):
    """The samples of R rays, N_SLOTS each."""

    t: Tensor
    """[R, N_SLOTS] distance along the ray."""
    is_used: Tensor
    """[R * N_SLOTS] bool: whether a slot has a sample."""
    place: Tensor
    """[R * N_SLOTS] int64: how many samples there are up to a slot, less one: its sample's place in a list of all."""


class Stages(NamedTuple):
    """What a picture does before and after its field is evaluated; compiled where the machine can.

    Neither depends on how long the list of samples is, so that a longer list needs no compilation.
    """

    find: Callable[[Tensor, Tensor, Space, float, int], Found]
    blend: Callable[[Tensor, Tensor, Tensor, float], Tensor]

    @staticmethod
    def compiled() -> Stages:
        """Return the stages with their element-wise work fused."""
        return Stages(torch.compile(find, dynamic=False), torch.compile(blend, dynamic=False))


def find(origins: Tensor, directions: Tensor, space: Space, step: float, n_candidates: int) -> Found:
    """Find the samples of rays [R, 3]; arguments as for `render_listed`."""
    box = (space.low, space.high)
    pieces = [
        march(o, d, space.bits, box, step, 0.5, n_candidates, N_SLOTS)
        for o, d in zip(origins.split(_RAYS_AT_ONCE), directions.split(_RAYS_AT_ONCE), strict=True)
    ]
    is_used = torch.cat([piece.is_used for piece in pieces]).view(-1)
    return Found(torch.cat([piece.t for piece in pieces]), is_used, is_used.cumsum(0) - 1)


def blend(density: Tensor, colour: Tensor, is_listed: Tensor, step: float) -> Tensor:
    """Composite the slots' density [R * N_SLOTS] and colour [R * N_SLOTS, 3], where listed, to RGBA [R, 4]."""
    density = (density * is_listed).view(-1, N_SLOTS)
    return composite(density, colour.view(-1, N_SLOTS, 3), step * CM_PER_UNIT)[0]


PLAIN_STAGES = Stages(find, blend)


def render_listed(
    field: Field, rays: Rays, space: Space, step: float, n_candidates: int, capacity: int,
    stages: Stages = PLAIN_STAGES,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Render the rays of one frame with fixed shapes.

    Args:
        field: what is rendered; it is given `POINTS_AT_ONCE` points at a time.
        rays: [1, R] rays.
        space: where samples may lie.
        step: distance between samples, in box units.
        n_candidates: steps a ray is followed for.
        capacity: samples the frame has at most; what is beyond is left out.
        stages: what happens before and after the field.

    Returns:
        [R, 4] premultiplied RGBA, and [] int64 how many samples there were to evaluate.
    """
    origins, directions = rays.origins[0], rays.directions[0]
    found = stages.find(origins, directions, space, step, n_candidates)
    is_listed = found.is_used & (found.place < capacity)
    slots = torch.arange(len(found.place), device=origins.device)
    listed = torch.zeros(capacity + 1, dtype=torch.int64, device=origins.device)
    listed = listed.scatter(0, torch.where(is_listed, found.place, capacity), slots)[:capacity]
    ray = listed // N_SLOTS
    points = origins[ray] + found.t.view(-1)[listed].unsqueeze(-1) * directions[ray]
    pieces = [field(piece.unsqueeze(0)) for piece in points.split(POINTS_AT_ONCE)]
    density = torch.cat([piece[0] for piece, _ in pieces])
    colour = torch.cat([piece[0] for _, piece in pieces])
    place = found.place.clamp(0, capacity - 1)
    return stages.blend(density[place], colour[place], is_listed, step), found.place[-1] + 1


def capacity_for(n_samples: int) -> int:
    """Return the length of a sample list with room to spare."""
    return -(-int(n_samples * _ROOM) // POINTS_AT_ONCE) * POINTS_AT_ONCE


class CapturedPicture:
    """A function of fixed-shape tensors, captured as a CUDA graph.

    Args:
        draw: makes the frame from its inputs, without touching the host.
        inputs: an example of the inputs.
    """

    def __init__(self, draw: Callable[[tuple[Tensor, ...]], Drawn], inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(value.clone() for value in inputs)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                draw(self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._drawn = draw(self._inputs)

    def __call__(self, inputs: tuple[Tensor, ...]) -> Drawn:
        """Draw a frame; its picture is the caller's own."""
        for held, value in zip(self._inputs, inputs, strict=True):
            held.copy_(value)
        self._graph.replay()
        return Drawn(self._drawn.picture.clone(), self._drawn.n_samples)
