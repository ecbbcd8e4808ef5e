"""What a frame's expression and residual become."""

from __future__ import annotations

import numpy as np
import torch

from aednerf.core.records import ARKIT_NAMES
from aednerf.field.code import field_code
from aednerf.field.config import FieldConfig
from aednerf.field.eyes import EyeFeatures

N, K = len(ARKIT_NAMES), 32


def test_a_missing_half_lets_the_coefficients_count_once_more() -> None:
    expression, residual = torch.rand(4, N), torch.randn(4, K)
    residual[1, : K // 2] = 0.0
    residual[2, K // 2 :] = 0.0
    residual[3] = 0.0
    code = field_code(expression, residual, 2)
    assert code.shape == (4, FieldConfig(n_residual=K, n_halves=2).n_code)
    mouth, eyes = code[:, N + K :].split(N + 1, dim=1)
    for part, missing in ((mouth, (1, 3)), (eyes, (2, 3))):
        for row in range(4):
            wanted = torch.cat([expression[row], torch.ones(1)]) if row in missing else torch.zeros(N + 1)
            assert torch.equal(part[row], wanted), row
    assert torch.equal(code[:, : N + K], torch.cat([expression, residual], dim=1))


def test_without_halves_a_missing_residual_is_one_of_zeros() -> None:
    expression, residual = torch.rand(2, N), torch.zeros(2, K)
    assert torch.equal(field_code(expression, residual, 0), torch.cat([expression, residual], dim=1))
    assert field_code(expression, torch.zeros(2, 0), 0).shape == (2, FieldConfig(n_residual=0).n_code)


def test_features_stand_around_the_lids_and_nowhere_else() -> None:
    features = EyeFeatures(FieldConfig(n_residual=0))
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.1, 0.1, (500, 3))
    deltas = np.zeros((N, 500, 3))
    is_lid = (np.abs(points[:, 0]) < 0.05) & (np.abs(points[:, 1] - 0.03) < 0.01) & (points[:, 2] > 0.05)
    deltas[ARKIT_NAMES.index("eyeBlinkLeft"), is_lid] = 0.01
    features.place(points, deltas)
    blended = features.blend(torch.rand(1, N))
    at_lids = torch.as_tensor(points[is_lid] / 0.2, dtype=torch.float32)[None]
    assert features.sample(blended, at_lids).abs().amax(-1).min() > 0
    elsewhere = torch.as_tensor(points[points[:, 1] < -0.02] / 0.2, dtype=torch.float32)[None]
    assert not features.sample(blended, elsewhere).any()
