"""The parts of the radiance field: poses, the warp's start from a face, the bias, occupancy, the torso."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.field.head import EXPRESSION_SCALE, HeadField
from aednerf.field.occupancy import ALPHA_THRESHOLD, Occupancy
from aednerf.field.pose import PoseRange, matrix_from_rotvec, rotvec_from_matrix
from aednerf.field.torso import TorsoField
from aednerf.field.warp import LowRankWarp

SMALL = FieldConfig(
    n_eye_basis=0,
    n_levels=3, base=4, finest=16, log2_entries=8, width=16, n_residual=4, n_basis=8, warp_resolution=24,
    mouth_resolution=20,
    occupancy_resolution=16, torso_levels=3, torso_finest=32, torso_log2_entries=8, torso_width=16,
)  # fmt: skip


def test_rotation_vectors_round_trip() -> None:
    rotvec = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 0.6
    rotvec[0] = 0
    torch.testing.assert_close(rotvec_from_matrix(matrix_from_rotvec(rotvec)), rotvec, atol=2e-5, rtol=1e-4)


def test_poses_are_standardised_and_clamped_to_the_recorded_range() -> None:
    poses = PoseRange()
    rotation, translation = matrix_from_rotvec(torch.randn(20, 3) * 0.1), torch.randn(20, 3) * 0.02
    poses.fit(rotation, translation)
    known = poses.standardise(rotation, translation)
    torch.testing.assert_close(known.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(known.std(0, correction=0), torch.ones(6), atol=1e-3, rtol=0)
    far = poses.standardise(matrix_from_rotvec(torch.tensor([[1.5, 0.0, 0.0]])), translation[:1])
    assert (far.abs() <= poses.limit + 1e-6).all()
    assert float(far[0, 0]) == pytest.approx(float(poses.limit[0]))


def test_the_field_config_round_trips_and_refuses_nonsense() -> None:
    assert FieldConfig.from_dict(SMALL.to_dict()) == SMALL
    for values in ({"n_levels": 1000}, {"surprise": 1}, {"width": "64"}, {"base": 4.5}, {"step_m": 0.0}):
        with pytest.raises(InputError):
            FieldConfig.from_dict(values)


def _jaw(strength_m: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """A sphere of points whose lower front half moves down with jawOpen."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(2500, 3))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True) * 0.09).astype(np.float32)
    deltas = np.zeros((len(ARKIT_NAMES), 2500, 3), np.float32)
    weight = np.clip(-points[:, 1] / 0.05, 0, 1) * np.clip(points[:, 2] / 0.03, 0, 1)
    deltas[ARKIT_NAMES.index("jawOpen"), :, 1] = -strength_m * weight
    return points, deltas


def test_the_warp_starts_as_the_face_models_own() -> None:
    points, deltas = _jaw()
    warp = LowRankWarp(SMALL)
    warp.start_from_face(points, deltas, np.full(len(ARKIT_NAMES), 0.1, np.float32))
    jaw_open = torch.zeros(1, len(ARKIT_NAMES))
    jaw_open[0, ARKIT_NAMES.index("jawOpen")] = 1.0
    code = torch.rand(1, SMALL.n_code)  # nothing is learned yet
    neutral = torch.as_tensor(points)[None] / HEAD_BOX_HALF_M
    moved = neutral + torch.as_tensor(deltas[ARKIT_NAMES.index("jawOpen")])[None] / HEAD_BOX_HALF_M
    with torch.no_grad():
        unmoved_error = (moved - neutral).norm(dim=-1) * HEAD_BOX_HALF_M
        error = (warp(moved, warp.prepare(jaw_open, code)) - neutral).norm(dim=-1) * HEAD_BOX_HALF_M
    jaw = unmoved_error[0] > 0.01
    assert float(error[0, jaw].median()) < 0.2 * float(unmoved_error[0, jaw].median())
    assert float(error[0, ~jaw].median()) < 0.001
    with torch.no_grad():
        still = warp(neutral, warp.prepare(torch.zeros_like(jaw_open), code))
    torch.testing.assert_close(still, neutral)


def test_small_movements_of_the_mouth_have_a_basis_of_their_own() -> None:
    points, deltas = _jaw()
    lips = np.linalg.norm(points - (0.0, -0.045, 0.078), axis=1) < 0.015
    assert lips.any()
    deltas[ARKIT_NAMES.index("mouthRollLower"), lips, 2] = -0.003
    warp = LowRankWarp(replace(SMALL, n_basis=1))
    warp.start_from_face(points, deltas, np.full(len(ARKIT_NAMES), 0.1, np.float32))
    rolled = torch.zeros(1, len(ARKIT_NAMES))
    rolled[0, ARKIT_NAMES.index("mouthRollLower")] = 1.0
    neutral = torch.as_tensor(points[lips])[None] / HEAD_BOX_HALF_M
    moved = neutral + torch.as_tensor(deltas[ARKIT_NAMES.index("mouthRollLower"), lips])[None] / HEAD_BOX_HALF_M
    with torch.no_grad():
        error = (warp(moved, warp.prepare(rolled, torch.zeros(1, SMALL.n_code))) - neutral).norm(dim=-1)
        error = error * HEAD_BOX_HALF_M
    assert float(error.median()) < 0.001  # the one basis displacement of the whole head is the jaw's


def test_narrow_movements_of_brows_and_lids_are_held() -> None:
    """Even where the recording shows nothing of them and the whole head's basis has no place."""
    points, deltas = _jaw()
    for name, height, strength in (("browDownRight", 0.045, -0.006), ("eyeWideLeft", 0.035, 0.002)):
        near = np.exp(-(((points - (0.03, height, 0.075)) / 0.012) ** 2).sum(1))
        deltas[ARKIT_NAMES.index(name), :, 1] = strength * near
    spread = np.where(np.array(ARKIT_NAMES) == "jawOpen", 0.2, 0.0).astype(np.float32)
    surface = torch.as_tensor(points)[None] / HEAD_BOX_HALF_M

    def share(name: str, config: FieldConfig) -> float:
        warp = LowRankWarp(config)
        warp.start_from_face(points, deltas, spread)
        one = torch.eye(len(ARKIT_NAMES))[[ARKIT_NAMES.index(name)]]
        frame = warp.prepare(one, torch.zeros(1, config.n_code))
        with torch.no_grad():
            held = torch.stack([grid.sample(each, surface) for grid, each in zip(warp.grids, frame, strict=True)])
        wanted = torch.as_tensor(deltas[ARKIT_NAMES.index(name)])[None] / HEAD_BOX_HALF_M
        return float((held.sum(0) * wanted).sum() / wanted.square().sum())

    few = replace(SMALL, n_basis=1)
    for name in ("browDownRight", "eyeWideLeft"):
        assert share(name, replace(few, upper_resolution=16)) > 0.8 > share(name, replace(few, upper_resolution=0))


def test_avatars_made_before_have_no_upper_grid_and_the_plain_fixed_point() -> None:
    values = SMALL.to_dict()
    del values["upper_resolution"], values["warp_mixes"]
    warp = LowRankWarp(FieldConfig.from_dict(values))
    assert warp.upper is None and not warp.is_mixed and len(warp.grids) == 2
    points = torch.rand(1, 5, 3) - 0.5
    frame = warp.prepare(torch.rand(1, len(ARKIT_NAMES)), torch.rand(1, SMALL.n_code))
    torch.testing.assert_close(warp(points, frame), points)  # nothing was learned


def test_the_bias_is_the_same_as_concatenating_the_code() -> None:
    torch.manual_seed(0)
    head = HeadField(SMALL)
    torch.nn.init.normal_(head.condition.weight, std=0.1)
    expression, residual = torch.rand(2, len(ARKIT_NAMES)), torch.randn(2, SMALL.n_residual)
    points = torch.rand(2, 30, 3) * 2 - 1
    density, colour = head(points, head.prepare(expression, residual, torch.randn(2, 3)))
    code = torch.cat([EXPRESSION_SCALE * expression, residual], dim=-1)
    encoded = head.grid((points.view(-1, 3) + 1) / 2).view(2, 30, -1)
    joined = torch.cat([encoded, code.unsqueeze(1).expand(-1, 30, -1)], dim=-1)
    weight = torch.cat([head.first.weight, head.condition.weight], dim=1)
    hidden = torch.relu(head.hidden(torch.relu(joined @ weight.T + head.condition.bias)))
    raw = head.last(hidden)
    torch.testing.assert_close(density, torch.exp(raw[..., 0] - 5), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(colour, torch.sigmoid(raw[..., 1:4]), rtol=1e-3, atol=1e-5)


def test_colour_follows_the_turn_to_first_order_and_density_does_not() -> None:
    torch.manual_seed(0)
    head = HeadField(SMALL)
    with torch.no_grad():
        head.last.weight[4:].normal_()
    code = torch.rand(1, len(ARKIT_NAMES)), torch.randn(1, SMALL.n_residual)
    points = torch.rand(1, 50, 3) * 2 - 1

    def at(*turn: float) -> tuple[torch.Tensor, torch.Tensor]:
        density, colour = head(points, head.prepare(*code, torch.tensor([turn], dtype=torch.float32)))
        return density, torch.logit(colour)

    (density, rest), (turned_density, turned), (_, twice) = at(0, 0, 0), at(0.5, -1.0, 0), at(1.0, -2.0, 0)
    torch.testing.assert_close(turned_density, density)
    assert float((turned - rest).abs().mean()) > 0.01
    torch.testing.assert_close(twice - rest, 2 * (turned - rest), rtol=1e-2, atol=1e-3)


def test_occupancy_keeps_what_is_dense_enough_and_its_box() -> None:
    occupancy = Occupancy(8)
    occupancy.carve(torch.ones(8, 8, 8, dtype=torch.bool))
    threshold = ALPHA_THRESHOLD / 0.2  # a 2 mm sample
    cells = torch.arange(512)
    density = torch.zeros(512)
    density[(2 * 8 + 3) * 8 + 5] = threshold * 1.1
    density[0] = threshold * 0.9
    occupancy.update(cells, density, 0.002, keep=0.0)
    assert occupancy.bits.nonzero().tolist() == [[2, 3, 5]]
    low, high = occupancy.box
    torch.testing.assert_close(low, torch.tensor([5, 3, 2]) / 4 - 1.0)
    torch.testing.assert_close(high, torch.tensor([6, 4, 3]) / 4 - 1.0)
    loaded = Occupancy(8)
    loaded.load_state_dict(occupancy.state_dict())
    assert torch.equal(loaded.bits, occupancy.bits)
    torch.testing.assert_close(loaded.box, occupancy.box)


def test_carved_cells_stay_empty() -> None:
    occupancy = Occupancy(4)
    allowed = torch.zeros(4, 4, 4, dtype=torch.bool)
    allowed[1, 1, 1] = True
    occupancy.carve(allowed)
    occupancy.update(torch.arange(64), torch.full((64,), 1e3), 0.002, keep=0.95)
    assert occupancy.bits.sum() == 1


@pytest.mark.parametrize("n_posture", [0, 3])
def test_the_torso_is_premultiplied_and_bends_with_pose_and_posture(n_posture: int) -> None:
    torch.manual_seed(0)
    torso = TorsoField(replace(SMALL, n_posture=n_posture))
    torch.nn.init.normal_(torso.bend_last.weight)
    places = (torch.rand(1, 40, 2) * 2 - 1).expand(2, -1, -1)
    pose, posture, shot = torch.randn(1, 6).expand(2, -1), torch.randn(2, n_posture), torch.zeros(2, dtype=torch.long)
    rgba, bend = torso(places, pose, posture, shot)
    assert rgba.shape == (2, 40, 4) and bend.shape == (2, 40, 2)
    assert (rgba[..., :3] <= rgba[..., 3:] + 1e-6).all()
    assert bend.abs().max() <= 0.25
    assert torch.allclose(bend[0], bend[1], atol=1e-5) == (n_posture == 0)


def test_what_a_torso_without_a_posture_learned_can_still_be_read() -> None:
    weights = TorsoField(SMALL).state_dict()
    assert weights["bend_pose.weight"].shape == (SMALL.torso_width, 6 + 8)
    assert weights["bend_last.weight"].shape == (2, SMALL.torso_width)
