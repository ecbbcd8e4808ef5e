"""A crop shows the recording's own pixels, larger or smaller, with head, torso and plate in their places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.framing import framed, parse_crop
from aednerf.core.errors import InputError
from aednerf.core.records import Camera, Motion
from aednerf.field.config import FieldConfig
from aednerf.render.model import AvatarModel
from fake_avatar import MEAN_POSITION, N_RESIDUAL, FakePerson, fake_bundle

CAMERA = Camera(200.0, 33.0, 31.0, 64, 64)


def still() -> Motion:
    expression, residual = np.zeros((1, 52), np.float32), np.zeros((1, N_RESIDUAL), np.float32)
    return Motion(expression, residual, np.eye(3, dtype=np.float32)[None], MEAN_POSITION[None])


def shown(camera: str = "front", **options) -> np.ndarray:
    bundle = fake_bundle(64)
    bundle.background[...] = np.arange(64, dtype=np.uint8)[:, None, None] * 2 + np.arange(64, dtype=np.uint8)[:, None]
    return next(Avatar(bundle, FakePerson(), None).render(still(), camera, **options).frames()).rgba


@pytest.mark.parametrize("crop", ["8,10,40,32", (8, 10, 40, 32), "0.125, 0.15625, 0.625, 0.5"])
def test_a_crop_is_a_part_of_the_whole_picture(crop) -> None:
    assert np.array_equal(shown(crop=crop), shown()[10:42, 8:48])


def test_a_crop_takes_any_size() -> None:
    picture = shown(crop="8,32,40,32", size=80)
    assert picture.shape == (64, 80, 4)
    assert np.abs(picture[1::2, 1::2].astype(int) - shown()[32:64, 8:48]).mean() < 4


def test_zoom_is_about_the_middle_of_the_crop_and_sees_nothing_beyond_the_recording() -> None:
    near = shown("zoom=2", crop="16,16,32,32", background="transparent")
    assert np.abs(near.astype(int) - shown(crop="24,24,16,16", size=32, background="transparent")).mean() < 2
    far = shown("zoom=0.5", background="transparent")
    assert not far[:16].any() and not far[:, :16].any() and far[40:48, 16:48, 3].any()


def test_head_is_a_square_around_the_head_inside_the_picture() -> None:
    left, top, width, height = parse_crop("head", CAMERA, MEAN_POSITION)
    assert width == height == round(0.32 * 200 / 1.1)
    u, v = CAMERA.project(MEAN_POSITION)
    assert abs(left + width / 2 - u) <= 2 and abs(top + height / 2 - v) <= 3.5
    assert left >= 0 and top >= 0 and left + width <= 64 and top + height <= 64
    assert shown(crop="head").shape[0] % 2 == 0


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        ("face", "Unknown crop 'face'"), ("1,2,3", "Expected head, or LEFT,TOP"), ("0,0,nan,9", "Unknown crop"),
        ("8,8,64,32", "reaches over the recording's picture of 64x64"), ("-1,0,32,32", "reaches over"),
        ("0,0,4,40", "smaller than 16 pixels"), ("0,0,0.1,0.1", "smaller than 16"),
    ],
)  # fmt: skip
def test_bad_crops_are_refused(crop: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        framed(CAMERA, np.zeros((64, 64, 3), np.uint8), MEAN_POSITION, crop, None)


def test_the_models_crop_is_a_part_of_its_whole_picture() -> None:
    torch.manual_seed(0)
    config = FieldConfig(
        n_levels=3, base=4, finest=16, log2_entries=8, width=16, n_residual=2, n_basis=2, warp_resolution=4,
        mouth_resolution=4, occupancy_resolution=16, torso_levels=3, torso_finest=32, torso_log2_entries=8,
        torso_width=16, step_m=0.01,
    )  # fmt: skip
    model = AvatarModel(config)
    with torch.no_grad():
        model.head.last.bias[0] = 6.0
        model.torso.bend_last.weight.mul_(100)
    args = (np.eye(3), MEAN_POSITION, np.zeros(52), np.zeros(2))
    whole = model.render(*args, CAMERA)
    part = model.render(*args, CAMERA.cropped(10, 20, 32, 44))
    torch.testing.assert_close(part, whole[20:, 10:42], atol=1e-4, rtol=0)
    twice = model.render(*args, CAMERA.cropped(10, 20, 32, 44).resized(64, 88))
    assert float((twice.view(44, 2, 32, 2, 4).mean((1, 3)) - part).abs().mean()) < 0.02
