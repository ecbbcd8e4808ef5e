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
_ROOM = 1.6
"""The list of samples is this much longer than the first frame needs."""
_GRAIN = 1 << 16
_WARM_UP = 3


class Drawn(NamedTuple):
    """What a captured frame yields."""

    picture: Tensor
    """[H, W, 4] premultiplied RGBA."""
    n_samples: Tensor
    """[] int64: samples that the frame asked for."""


class Listing(NamedTuple):
    """The samples of R rays, N_SLOTS each, and those of them that are evaluated, as one list."""

    points: Tensor
    """[capacity, 3] places of the list."""
    place: Tensor
    """[R * N_SLOTS] int64: where in the list each slot's sample stands."""
    is_listed: Tensor
    """[R * N_SLOTS] bool: whether a slot has a sample that stands in the list."""
    n_samples: Tensor
    """[] int64: samples there were to evaluate."""


class Stages(NamedTuple):
    """What a picture does before and after its field is evaluated; compiled where the machine can."""

    collect: Callable[[Tensor, Tensor, Space, float, int, int], Listing]
    blend: Callable[[Listing, Tensor, Tensor, float], Tensor]

    @staticmethod
    def compiled() -> Stages:
        """Return the stages with their element-wise work fused."""
        return Stages(torch.compile(collect, dynamic=False), torch.compile(blend, dynamic=False))


def collect(
    origins: Tensor, directions: Tensor, space: Space, step: float, n_candidates: int, capacity: int
) -> Listing:
    """List the samples of rays [R, 3]; arguments as for `render_listed`."""
    box = (space.low, space.high)
    pieces = [
        march(o, d, space.bits, box, step, 0.5, n_candidates, N_SLOTS)
        for o, d in zip(origins.split(_RAYS_AT_ONCE), directions.split(_RAYS_AT_ONCE), strict=True)
    ]
    t, is_used = torch.cat([piece.t for piece in pieces]), torch.cat([piece.is_used for piece in pieces])
    place = is_used.view(-1).cumsum(0) - 1
    is_listed = is_used.view(-1) & (place < capacity)
    slots = torch.arange(t.numel(), device=t.device)
    listed = torch.zeros(capacity + 1, dtype=torch.int64, device=t.device)
    listed = listed.scatter(0, torch.where(is_listed, place, capacity), slots)[:capacity]
    ray = listed // N_SLOTS
    points = origins[ray] + t.view(-1)[listed].unsqueeze(-1) * directions[ray]
    return Listing(points, place.clamp(0, capacity - 1), is_listed, place[-1] + 1)


def blend(listing: Listing, density: Tensor, colour: Tensor, step: float) -> Tensor:
    """Composite the evaluated list, density [capacity] and colour [capacity, 3], to RGBA [R, 4]."""
    density = (density[listing.place] * listing.is_listed).view(-1, N_SLOTS)
    rgba, _ = composite(density, colour[listing.place].view(-1, N_SLOTS, 3), step * CM_PER_UNIT)
    return rgba


PLAIN_STAGES = Stages(collect, blend)


def render_listed(
    field: Field, rays: Rays, space: Space, step: float, n_candidates: int, capacity: int,
    stages: Stages = PLAIN_STAGES,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Render the rays of one frame with fixed shapes.

    Args:
        field: what is rendered.
        rays: [1, R] rays.
        space: where samples may lie.
        step: distance between samples, in box units.
        n_candidates: steps a ray is followed for.
        capacity: samples the frame has at most; what is beyond is left out.
        stages: what happens before and after the field.

    Returns:
        [R, 4] premultiplied RGBA, and [] int64 how many samples there were to evaluate.
    """
    listing = stages.collect(rays.origins[0], rays.directions[0], space, step, n_candidates, capacity)
    density, colour = field(listing.points.unsqueeze(0))
    return stages.blend(listing, density[0], colour[0], step), listing.n_samples


def capacity_for(n_samples: int) -> int:
    """Return the length of a sample list with room to spare."""
    return -(-int(n_samples * _ROOM) // _GRAIN) * _GRAIN


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
