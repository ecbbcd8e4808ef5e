"""The hash encoding against its definition, forward and backward."""

from __future__ import annotations

import pytest
import torch

from aednerf.ops import hashgrid as hashgrid_module
from aednerf.ops.hashgrid import GridLevels, HashGrid, LevelTables, hashgrid, hashgrid_torch

CASES = [
    GridLevels(n_dims=3, n_levels=6, base=4, finest=96, log2_entries=10),
    GridLevels(n_dims=2, n_levels=5, base=4, finest=200, log2_entries=9),
    GridLevels(n_dims=3, n_levels=2, base=4, finest=8, log2_entries=12),  # all dense
    GridLevels(n_dims=3, n_levels=3, base=40, finest=90, log2_entries=8),  # all hashed
    GridLevels(n_dims=2, n_levels=1, base=7, finest=7, log2_entries=12, n_features=4),
]


@pytest.mark.parametrize("levels", CASES)
def test_cpu_path_equals_the_definition_forward_and_backward(
    levels: GridLevels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashgrid_module, "_POINTS_AT_ONCE", 100)
    generator = torch.Generator().manual_seed(levels.finest)
    x = (torch.rand(257, levels.n_dims, generator=generator) * 1.2 - 0.1).requires_grad_()
    table = torch.randn(levels.n_entries, levels.n_features, generator=generator, requires_grad=True)
    tables = LevelTables.of(levels)
    fast, plain = hashgrid(x, table, tables), hashgrid_torch(x, table, tables)
    torch.testing.assert_close(fast, plain, atol=1e-6, rtol=1e-6)
    cotangent = torch.randn(fast.shape, generator=generator)
    for got, expected in zip(
        torch.autograd.grad(fast, (x, table), cotangent), torch.autograd.grad(plain, (x, table), cotangent), strict=True
    ):
        # float32 sums in another order: worst seen 1.9e-4 on values of up to 640
        torch.testing.assert_close(got, expected, atol=2e-3, rtol=1e-5)


def test_a_linear_function_is_encoded_exactly() -> None:
    levels = GridLevels(n_dims=3, n_levels=1, base=5, finest=5, log2_entries=10, n_features=1)
    axis = torch.arange(6) / 5
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    table = (2 * x - 3 * y + 0.5 * z).reshape(-1, 1)
    points = torch.rand(100, 3)
    expected = 2 * points[:, 0] - 3 * points[:, 1] + 0.5 * points[:, 2]
    torch.testing.assert_close(hashgrid(points, table, LevelTables.of(levels))[:, 0], expected, atol=1e-5, rtol=0)


def test_empty_and_non_contiguous_points() -> None:
    grid = HashGrid(CASES[0])
    assert grid(torch.empty(0, 3)).shape == (0, 12)
    points = torch.rand(3, 50).T
    torch.testing.assert_close(grid(points), grid(points.contiguous()))


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="got"):
        HashGrid(CASES[0])(torch.rand(5, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("levels", CASES)
def test_compiled_on_the_gpu_equals_the_cpu(levels: GridLevels) -> None:
    x, table = torch.rand(4096, levels.n_dims), torch.randn(levels.n_entries, levels.n_features)
    compiled = torch.compile(hashgrid_torch, dynamic=False)
    got = compiled(x.cuda(), table.cuda(), LevelTables.of(levels, "cuda")).cpu()
    torch.testing.assert_close(got, hashgrid(x, table, LevelTables.of(levels)), atol=1e-4, rtol=1e-4)
