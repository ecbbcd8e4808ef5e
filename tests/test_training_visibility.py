"""What can be seen of a head: its front, from all around, and not what lies behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES
from aednerf.field.config import FieldConfig
from aednerf.render.model import AvatarModel
from aednerf.training.frame_store import load_frames
from aednerf.training.visibility import visible_cells
from tiny_capture import make_tiny_capture

CPU = torch.device("cpu")
CONFIG = FieldConfig(
    n_levels=2, base=4, finest=8, log2_entries=8, width=8, n_residual=4, n_basis=2, warp_resolution=4,
    mouth_resolution=4,
    warp_steps=0, occupancy_resolution=32, step_m=0.005, torso_levels=2, torso_finest=16,
    torso_log2_entries=8, torso_width=8,
)  # fmt: skip
RADIUS = 0.35


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("visibility") / "capture", size=64, n_frames=33)


def test_the_inside_and_the_far_side_of_a_solid_head_are_not_seen(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = load_frames(capture, 64, CPU, 1 << 28)
    config = FieldConfig(**(CONFIG.to_dict() | {"n_residual": frames.residual.shape[1]}))
    torch.manual_seed(0)
    model = AvatarModel(config)

    def ball(points: Tensor, _: object) -> tuple[Tensor, Tensor]:
        return 50.0 * (points.norm(dim=-1) < RADIUS), torch.zeros_like(points)

    monkeypatch.setattr(model.head, "forward", ball)
    centres = model.occupancy.centres()
    solid = (centres.norm(dim=-1) < RADIUS).view_as(model.occupancy.bits)
    model.occupancy.set_bits(solid)
    seen = (visible_cells(model, frames, model.step) & solid).view(-1)
    depth = RADIUS - centres.norm(dim=-1)
    cell = 2 / 32
    front = centres[:, 2] > 0.5 * RADIUS
    skin = solid.view(-1) & (depth < cell / 2)
    assert float(seen[skin & front].float().mean()) > 0.99
    assert not seen[depth > 4 * cell].any()
    assert not seen[centres[:, 2] < -0.9 * RADIUS].any()


def test_expressions_that_nobody_recorded_are_looked_at_too(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = load_frames(capture, 64, CPU, 1 << 28)
    torch.manual_seed(0)
    model = AvatarModel(FieldConfig(**(CONFIG.to_dict() | {"n_residual": frames.residual.shape[1]})))
    looked, prepare = [], model.head.prepare

    def noting(expression: Tensor, residual: Tensor, turn: Tensor) -> object:
        looked.append(expression)
        return prepare(expression, residual, turn)

    monkeypatch.setattr(model.head, "prepare", noting)
    visible_cells(model, frames, model.step)
    farthest = (frames.expression.amax(0) * 5 / 3).clamp(max=1.0)
    is_new = torch.cat(looked) > farthest + 0.05
    assert 0.2 < float(is_new.any(1).float().mean()) < 0.8
    assert is_new.any(0)[[ARKIT_NAMES.index("browDownLeft"), ARKIT_NAMES.index("eyeWideLeft")]].all()
