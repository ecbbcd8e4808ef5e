"""Painted colours: nothing at first, linear in the code, only where the region is, and learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.field.head import HeadField
from aednerf.field.paint import REGIONS, Paint

TINY = FieldConfig(
    n_levels=4, base=8, finest=32, log2_entries=10, width=16, n_residual=8, n_halves=2, n_basis=2, n_mouth_basis=2,
    n_eye_basis=0, warp_resolution=8, mouth_resolution=8, n_paint=3, paint_m=0.01,
)  # fmt: skip
CENTRE_M = np.array([0.01, -0.05, 0.06])


def face(region: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a plane of points, and deltas by which the region's movers move a patch of 4 x 2 cm around `CENTRE_M`."""
    u, v = np.meshgrid(np.linspace(-0.08, 0.08, 33), np.linspace(-0.1, 0.1, 41))
    points = np.stack([u, v, np.full_like(u, CENTRE_M[2])], -1).reshape(-1, 3)
    deltas = np.zeros((len(ARKIT_NAMES), len(points), 3))
    near = (np.abs(points - CENTRE_M) <= (0.02, 0.01, 1.0)).all(1)
    deltas[ARKIT_NAMES.index(REGIONS[region].part.movers[0]), near, 1] = 0.01
    return points, deltas


@pytest.mark.parametrize("region", list(REGIONS))
def test_it_stands_around_what_its_region_moves(region: str) -> None:
    paint = Paint(TINY, REGIONS[region])
    paint.place(*face(region))
    np.testing.assert_allclose(paint.centre * HEAD_BOX_HALF_M, CENTRE_M, atol=0.003)
    expected = np.array([0.02, 0.01, 0.0]) + REGIONS[region].part.margin_m
    np.testing.assert_allclose(paint.extent * HEAD_BOX_HALF_M, expected, atol=0.003)
    blended = torch.ones(1, 3, *paint.basis.shape[2:])
    inside = torch.as_tensor(CENTRE_M / HEAD_BOX_HALF_M, dtype=torch.float32).view(1, 1, 3)
    outside = inside + torch.tensor([0.06, 0.0, 0.0]) / HEAD_BOX_HALF_M
    assert (paint.sample(blended, inside) == 1).all() and (paint.sample(blended, outside) == 0).all()


def test_where_nothing_moves_it_stays() -> None:
    paint, (points, deltas) = Paint(TINY, REGIONS["eyes"]), face("mouth")
    paint.place(points, 0 * deltas)
    assert (paint.extent == 1).all() and (paint.centre == 0).all()


def test_at_first_it_changes_nothing_and_then_colours_but_no_density() -> None:
    torch.manual_seed(0)
    painted, plain = HeadField(TINY), HeadField(replace(TINY, n_paint=0))
    missing = painted.load_state_dict(plain.state_dict(), strict=False)
    assert all(name.startswith("paint.") for name in missing.missing_keys) and not missing.unexpected_keys
    frame = torch.rand(2, 52), torch.randn(2, 8), torch.randn(2, 3)
    points = torch.rand(2, 50, 3) * 2 - 1
    for one, other in zip(painted(points, painted.prepare(*frame)), plain(points, plain.prepare(*frame)), strict=True):
        torch.testing.assert_close(one, other)
    density, colour = painted(points, painted.prepare(*frame))
    colour.sum().backward()
    assert all(paint.basis.grad is not None and paint.basis.grad.abs().sum() > 0 for paint in painted.paints)
    with torch.no_grad():
        for paint in painted.paints:
            paint.basis.normal_()
    changed = painted(points, painted.prepare(*frame))
    torch.testing.assert_close(changed[0], density)
    assert (changed[1] - colour).abs().max() > 0.01


def test_it_is_linear_in_the_code() -> None:
    paint = Paint(TINY, REGIONS["mouth"])
    torch.nn.init.normal_(paint.basis)
    one, other = torch.randn(2, 1, TINY.n_code)
    torch.testing.assert_close(paint.blend(one + 2 * other), paint.blend(one) + 2 * paint.blend(other))


@pytest.mark.parametrize("change", [{"n_paint": 65}, {"n_paint": -1}, {"paint_m": 0.0001}, {"paint_m": "fine"}])
def test_sizes_of_a_strangers_avatar_are_bounded(change: dict) -> None:
    with pytest.raises(InputError, match="paint"):
        FieldConfig.from_dict({**TINY.to_dict(), **change})


def test_avatars_made_before_have_none() -> None:
    values = {name: value for name, value in TINY.to_dict().items() if not name.startswith(("n_paint", "paint"))}
    assert FieldConfig.from_dict(values).n_paint == 0 and not HeadField(FieldConfig.from_dict(values)).paints
