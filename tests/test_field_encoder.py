"""What makes a residual code of the numbers read off the pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aednerf.core.errors import InputError
from aednerf.face.residual import leading
from aednerf.field.config import FieldConfig
from aednerf.field.encoder import ResidualEncoder
from aednerf.render.model import AvatarModel

N, K = 12, 4
TINY = FieldConfig(
    n_levels=3, finest=32, log2_entries=10, width=16, n_residual=K, n_read=N, n_halves=2, n_basis=2, warp_resolution=4,
    mouth_resolution=4, upper_resolution=4,
)  # fmt: skip


def test_a_code_begins_as_the_leading_numbers() -> None:
    read = torch.randn(5, N)
    np.testing.assert_array_equal(ResidualEncoder(N, K)(read).detach(), leading(read.numpy(), K))


def test_a_half_that_tells_nothing_stays_so() -> None:
    encoder = ResidualEncoder(N, K)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    read = torch.randn(3, N)
    read[0, : N // 2], read[1, N // 2 :], read[2] = 0.0, 0.0, torch.nan
    code = encoder(read)
    assert (code[0, : K // 2] == 0).all() and (code[0, K // 2 :] != 0).all()
    assert (code[1, K // 2 :] == 0).all() and (code[1, : K // 2] != 0).all()
    assert code[2].isnan().all(), "a frame without a face has no code"


def test_halves_do_not_mix() -> None:
    encoder = ResidualEncoder(N, K)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    one, other = torch.randn(2, 1, N)
    mixed = torch.cat([one[:, : N // 2], other[:, N // 2 :]], dim=1)
    assert torch.equal(encoder(mixed)[:, : K // 2], encoder(one)[:, : K // 2])
    assert torch.equal(encoder(mixed)[:, K // 2 :], encoder(other)[:, K // 2 :])


def test_a_model_codes_what_was_read_and_leaves_codes_as_they_are() -> None:
    model = AvatarModel(TINY)
    read = np.random.default_rng(0).normal(size=(3, N)).astype(np.float32)
    code = model.code(read)
    assert code.shape == (3, K)
    np.testing.assert_array_equal(model.code(code), code)
    plain = AvatarModel(FieldConfig(n_residual=K))
    np.testing.assert_array_equal(plain.code(code), code)


@pytest.mark.parametrize(("n_read", "n_residual"), [(11, 4), (12, 5), (2, 4)])
def test_halves_that_do_not_fit_are_refused(n_read: int, n_residual: int) -> None:
    assert FieldConfig.from_dict(TINY.to_dict()) == TINY
    with pytest.raises(InputError, match="n_read must be 0, or even"):
        FieldConfig.from_dict(replace(TINY, n_read=n_read, n_residual=n_residual).to_dict())
