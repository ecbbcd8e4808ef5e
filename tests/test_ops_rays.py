"""Marching, compositing and the warp's fixed point, against naive loops and closed forms."""

from __future__ import annotations

import math

import torch

from aednerf.ops.composite import composite, over, spread
from aednerf.ops.march import intersect_box, lookup, march
from aednerf.ops.warp import sample_grid, solve_warp

BOX = (torch.full((3,), -1.0), torch.full((3,), 1.0))


def _rays(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    origins = torch.tensor([0.0, 0.0, 4.0]) + torch.randn(n, 3, generator=generator) * 0.1
    targets = torch.rand(n, 3, generator=generator) * 1.6 - 0.8
    directions = targets - origins
    return origins, directions / directions.norm(dim=1, keepdim=True)


def test_march_finds_what_a_loop_finds() -> None:
    occupancy = torch.rand(8, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.3
    origins, directions = _rays(40)
    step, n_slots = 0.05, 6
    samples = march(origins, directions, occupancy, BOX, step, 0.5, 100, n_slots)
    for ray in range(40):
        near, far = intersect_box(origins[ray : ray + 1], directions[ray : ray + 1], *BOX)
        found = []
        for index in range(100):
            t = float(near) + (index + 0.5) * step
            point = origins[ray] + t * directions[ray]
            if t < float(far) and bool(lookup(point[None], occupancy)[0]):
                found.append(t)
        assert int(samples.n_found[ray]) == len(found)
        used = samples.t[ray][samples.is_used[ray]]
        torch.testing.assert_close(used, torch.tensor(found[:n_slots]), atol=1e-5, rtol=0)


def test_cells_are_indexed_z_y_x() -> None:
    occupancy = torch.zeros(4, 4, 4, dtype=torch.bool)
    occupancy[0, 1, 3] = True  # z in [-1, -0.5), y in [-0.5, 0), x in [0.5, 1)
    assert lookup(torch.tensor([[0.75, -0.25, -0.75]]), occupancy).item()
    assert not lookup(torch.tensor([[-0.75, -0.25, 0.75]]), occupancy).item()
    assert not lookup(torch.tensor([[1.5, -0.25, -0.75]]), occupancy).item()


def test_a_ray_that_misses_has_no_samples() -> None:
    everywhere = torch.ones(4, 4, 4, dtype=torch.bool)
    samples = march(torch.tensor([[0.0, 5.0, 4.0]]), torch.tensor([[0.0, 0.0, -1.0]]), everywhere, BOX, 0.1, 0.5, 50, 4)
    assert not samples.is_used.any()


def test_uniform_fog_has_its_closed_form() -> None:
    density, colour = torch.full((1, 50), 0.7), torch.tensor([0.2, 0.5, 0.9]).expand(1, 50, 3)
    rgba, weights = composite(density, colour, 0.04)
    alpha = 1 - math.exp(-0.7 * 0.04 * 50)
    torch.testing.assert_close(rgba[0], torch.tensor([0.2, 0.5, 0.9, 1.0]) * alpha, atol=1e-6, rtol=0)
    assert abs(float(weights.sum()) - alpha) < 1e-6


def test_composite_equals_a_loop_forward_and_backward() -> None:
    generator = torch.Generator().manual_seed(5)
    density = (torch.rand(7, 9, generator=generator) * 20).requires_grad_()
    colour = torch.rand(7, 9, 3, generator=generator, requires_grad=True)
    rgba, _ = composite(density, colour, 0.05)
    light, total = torch.ones(7), torch.zeros(7, 4)
    for index in range(9):
        alpha = 1 - torch.exp(-density[:, index] * 0.05)
        solid = torch.cat([colour[:, index], torch.ones(7, 1)], dim=1)
        total = total + (light * alpha).unsqueeze(1) * solid
        light = light * (1 - alpha)
    torch.testing.assert_close(rgba, total, atol=1e-6, rtol=1e-5)
    cotangent = torch.randn(7, 4, generator=generator)
    for got, expected in zip(
        torch.autograd.grad(rgba, (density, colour), cotangent),
        torch.autograd.grad(total, (density, colour), cotangent),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


def test_the_spread_is_the_double_sum() -> None:
    generator = torch.Generator().manual_seed(2)
    weights, t = torch.rand(4, 7, generator=generator), torch.rand(4, 7, generator=generator).sort(1).values
    pairs = weights[:, :, None] * weights[:, None, :] * (t[:, :, None] - t[:, None, :]).abs()
    expected = pairs.sum((1, 2)) + weights.square().sum(1) * 0.1 / 3
    torch.testing.assert_close(spread(weights, t, 0.1), expected)


def test_over_keeps_the_front_where_it_is_opaque() -> None:
    front, back = torch.tensor([[0.1, 0.2, 0.3, 1.0], [0.0, 0.0, 0.0, 0.0]]), torch.full((2, 4), 0.5)
    torch.testing.assert_close(over(front, back), torch.stack([front[0], back[1]]))


def test_the_warp_is_solved_and_one_step_is_first_order() -> None:
    shift = torch.tensor([0.1, -0.05, 0.02])
    canonical = torch.rand(1, 60, 3) - 0.5
    displacement = lambda at: shift + 0.2 * torch.sin(2 * at)  # noqa: E731
    observed = canonical + displacement(canonical)
    errors = [float((solve_warp(observed, displacement, n) - canonical).norm(dim=-1).max()) for n in (1, 3, 8)]
    assert errors[2] < errors[1] < 2e-3 < errors[0]
    torch.testing.assert_close(solve_warp(observed, displacement, 0), observed)


def test_the_warp_is_solved_where_lips_part() -> None:
    """The lower lip goes down by 0.08; between the lips space is stretched fivefold, where the fixed point diverges."""
    away = torch.tensor([0.01, -0.08, 0.02])
    displacement = lambda at: away * ((0.01 - at[..., 1:2]) / 0.02).clamp(0, 1)  # noqa: E731
    canonical = torch.rand(1, 500, 3, generator=torch.Generator().manual_seed(0)) * 0.3 - 0.15
    observed = canonical + displacement(canonical)

    def error(n: int, is_mixed: bool) -> float:
        return float((solve_warp(observed, displacement, n, is_mixed) - canonical).norm(dim=-1).mean())

    assert error(4, True) < 0.2 * error(4, False)
    assert error(8, True) < 1e-6


def test_a_grid_is_sampled_at_its_nodes_and_zero_outside() -> None:
    grid = torch.zeros(1, 3, 5, 5, 5)
    grid[0, :, 4, 2, 0] = torch.tensor([1.0, 2.0, 3.0])  # z = 1, y = 0, x = -1
    points = torch.tensor([[[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0], [-3.0, 0.0, 1.0]]])
    torch.testing.assert_close(sample_grid(grid, points)[0], torch.tensor([[1.0, 2.0, 3.0], [0.0] * 3, [0.0] * 3]))
