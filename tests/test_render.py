"""Rays and volume rendering against closed forms, and the two renderers against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aednerf.core.records import Camera
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.field.pose import matrix_from_rotvec
from aednerf.render.captured import render_listed
from aednerf.render.model import AvatarModel
from aednerf.render.rays import Rays, cast, intrinsics_of, pixel_grid
from aednerf.render.volume import Space, render_batch, render_frame

CAMERA = Camera(300.0, 51.0, 47.0, 96, 96)
TRANSLATION = torch.tensor([[0.01, -0.02, -1.2]])


def ball(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A dense red ball of 6 cm radius at x = +8 cm (the person's left), y = +4 cm."""
    centre = torch.tensor([0.08, 0.04, 0.0]) / HEAD_BOX_HALF_M
    is_inside = (points - centre).norm(dim=-1) < 0.06 / HEAD_BOX_HALF_M
    return is_inside * 30.0, torch.tensor([1.0, 0.0, 0.0]).expand(*points.shape)


def _rays() -> Rays:
    device = torch.device("cpu")
    return cast(pixel_grid(96, 96, device)[None], intrinsics_of(CAMERA, device), torch.eye(3)[None], TRANSLATION)


def _space() -> Space:
    return Space(torch.ones(16, 16, 16, dtype=torch.bool), torch.full((3,), -1.0), torch.full((3,), 1.0))


def _cells_near_ball() -> torch.Tensor:
    centres = (torch.arange(16) + 0.5) / 8 - 1
    z, y, x = torch.meshgrid(centres, centres, centres, indexing="ij")
    return (torch.stack([x, y, z], -1) - torch.tensor([0.4, 0.2, 0.0])).norm(dim=-1) < 0.3 + 0.11


def test_rays_pass_through_the_points_that_project_to_their_pixels() -> None:
    rotation = torch.tensor([[[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]])
    head = np.array([[0.03, -0.05, 0.07], [-0.08, 0.02, 0.01]])
    pixels = CAMERA.project(head @ rotation[0].numpy().T + TRANSLATION[0].numpy())
    intrinsics = intrinsics_of(CAMERA, torch.device("cpu"))
    rays = cast(torch.as_tensor(pixels, dtype=torch.float32)[None], intrinsics, rotation, TRANSLATION)
    for index, point in enumerate(head):
        to_point = torch.as_tensor(point / HEAD_BOX_HALF_M, dtype=torch.float32) - rays.origins[0, index]
        across = to_point - (to_point @ rays.directions[0, index]) * rays.directions[0, index]
        assert float(across.norm()) < 1e-4


def test_a_ball_is_drawn_where_the_camera_sees_it() -> None:
    picture = render_frame(ball, _rays(), _space(), 0.01).view(96, 96, 4)
    v, u = torch.nonzero(picture[..., 3] > 0.5, as_tuple=True)
    expected = CAMERA.project(np.array([0.08, 0.04, 0.0]) + TRANSLATION[0].numpy())
    assert abs(float(u.float().mean()) + 0.5 - expected[0]) < 0.6
    assert abs(float(v.float().mean()) + 0.5 - expected[1]) < 0.6
    radius = math.sqrt(len(u) / math.pi)
    assert abs(radius - 300 * 0.06 / 1.2) < 0.6


def test_pictures_and_training_batches_agree() -> None:
    rays = _rays()
    picture = render_frame(ball, rays, _space(), 0.02)
    jitter = torch.full((96 * 96, 1), 0.5)
    batch = render_batch(ball, rays, _space(), torch.tensor(0.02), jitter, n_candidates=200, n_slots=200)[0][0]
    # the picture's rays end at a transmittance of 4e-3
    torch.testing.assert_close(picture, batch, atol=4.5e-3, rtol=0)


def test_listed_samples_give_the_same_picture_and_are_counted() -> None:
    rays, space = _rays(), _space()
    near_ball = Space(_cells_near_ball(), space.low, space.high)
    picture = render_frame(ball, rays, near_ball, 0.02)
    listed, n_samples = render_listed(ball, rays, near_ball, 0.02, n_candidates=200, capacity=1 << 18)
    torch.testing.assert_close(listed, picture, atol=4.5e-3, rtol=0)
    again, counted = render_listed(ball, rays, near_ball, 0.02, n_candidates=200, capacity=int(n_samples))
    assert torch.equal(again, listed) and counted == n_samples
    short, counted = render_listed(ball, rays, near_ball, 0.02, n_candidates=200, capacity=int(n_samples) // 2)
    assert counted == n_samples and float(short[:, 3].sum()) < float(listed[:, 3].sum())


def test_skipping_empty_cells_changes_nothing() -> None:
    full = _space()
    some = Space(_cells_near_ball(), full.low, full.high)
    torch.testing.assert_close(render_frame(ball, _rays(), some, 0.02), render_frame(ball, _rays(), full, 0.02))


def test_a_model_renders_the_same_from_its_saved_weights() -> None:
    torch.manual_seed(0)
    config = FieldConfig(
        n_levels=3, base=4, finest=16, log2_entries=8, width=16, n_residual=2, n_basis=2, warp_resolution=4,
        mouth_resolution=4,
        occupancy_resolution=16, torso_levels=3, torso_finest=32, torso_log2_entries=8,
        torso_width=16, step_m=0.01,
    )  # fmt: skip
    model = AvatarModel(config)
    with torch.no_grad():
        model.head.last.bias[0] = 6.0
    args = (np.eye(3), TRANSLATION[0].numpy(), np.zeros(52), np.zeros(2), CAMERA)
    picture = model.render(*args)
    assert picture.shape == (96, 96, 4)
    assert float(picture[40:56, 40:56, 3].min()) > 0.9
    again = AvatarModel(config)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.render(*args), picture)
    moved = model.render(*args, view=np.array([[1, 0, 0, 0.05], [0, 1, 0, 0], [0, 0, 1, 0]], np.float32))
    assert float((moved - picture).abs().max()) > 0.1


def test_a_moment_without_a_posture_has_the_one_that_goes_with_its_pose() -> None:
    torch.manual_seed(0)
    config = FieldConfig(
        n_levels=3, base=4, finest=16, log2_entries=8, width=16, n_residual=2, n_posture=2, n_basis=2,
        warp_resolution=4, mouth_resolution=4, occupancy_resolution=16, torso_levels=3, torso_finest=32,
        torso_log2_entries=8, torso_width=16, step_m=0.01,
    )  # fmt: skip
    model = AvatarModel(config)
    torch.nn.init.normal_(model.torso.bend_last.weight)
    turns = matrix_from_rotvec(0.1 * torch.randn(200, 3))
    moved = TRANSLATION + 0.02 * torch.randn(200, 3)
    posture = torch.stack([30 * (moved[:, 0] - moved[:, 0].mean()), 1 + torch.zeros(200)], dim=-1)
    model.pose_range.fit(turns, moved)
    model.learn_usual_posture(turns, moved, posture)
    # The ridge holds back 1 % of each number.
    torch.testing.assert_close(model.usual_posture(turns, moved), posture, atol=0.05, rtol=0.02)
    args = (turns[0], moved[0], np.zeros(52), np.zeros(2), CAMERA)
    usual = model.usual_posture(turns[:1], moved[:1])[0]
    torch.testing.assert_close(model.render(*args), model.render(*args, posture=usual))
    torch.testing.assert_close(model.render(*args), model.render(*args, posture=np.zeros(0, np.float32)))
    assert not torch.equal(model.render(*args), model.render(*args, posture=usual + 1))
    again = AvatarModel(config)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.render(*args), model.render(*args))


def test_a_model_without_a_posture_keeps_nothing_of_one() -> None:
    assert not any("posture" in name for name in AvatarModel(FieldConfig()).state_dict())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_captured_pictures_equal_the_ordinary_ones() -> None:
    torch.manual_seed(0)
    model = AvatarModel(FieldConfig(step_m=0.004)).cuda()
    with torch.no_grad():
        model.head.last.bias[0] = 6.0
        cells = _cells_near_ball().float()[None, None]
        model.occupancy.set_bits(torch.nn.functional.interpolate(cells, scale_factor=8)[0, 0] > 0)
    args = (np.eye(3), TRANSLATION[0].numpy(), np.zeros(52), np.zeros(32), CAMERA)
    ordinary = model.render(*args)
    assert model.accelerate()
    for _ in range(2):
        assert float((model.render(*args) - ordinary).abs().max()) < 0.02  # bf16, and where rays end
