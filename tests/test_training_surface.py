"""The face's surface as a prior: which points count, where the draws lie, and that the field comes to agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aednerf import assets
from aednerf.capture.face_table import FaceTable
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.face.model import FaceModel
from aednerf.training import losses
from aednerf.training.surface import BEFORE_M, UNDER_M, FaceSurface

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def table() -> FaceTable:
    if assets.locate("ict_facekit") is None:
        pytest.skip("needs the face model")
    return FaceTable(*FaceModel.load(assets.find("ict_facekit")).face_table(np.zeros(100, np.float32)))


def test_only_the_face_counts(table: FaceTable) -> None:
    surface = FaceSurface.of(table, CPU)
    points = surface.points.numpy() * HEAD_BOX_HALF_M
    assert len(points) > 200
    assert np.ptp(points[:, 1]) < 0.17  # neither the crown nor the neck
    assert points[:, 2].min() > 0.0  # nor the ears
    assert float(surface.normals[:, 2].min()) > 0.0
    torch.testing.assert_close(surface.normals.norm(dim=-1), torch.ones(len(points)))


def test_draws_lie_before_and_under_the_skin_as_it_moves(table: FaceTable) -> None:
    surface = FaceSurface.of(table, CPU)
    expression = torch.zeros(2, len(ARKIT_NAMES))
    expression[1, ARKIT_NAMES.index("jawOpen")] = 1.0
    before, under = surface.draw(expression, 300)
    assert before.shape == under.shape == (2, 300, 3)
    assert float(before[0, :, 2].mean()) > float(under[0, :, 2].mean())
    skin = surface.points + torch.einsum("be,epc->bpc", expression, surface.deltas)
    for drawn, (low, high) in ((before, BEFORE_M), (under, UNDER_M)):
        distance = torch.cdist(drawn, skin).amin(-1) * HEAD_BOX_HALF_M
        assert float(distance.max()) <= high * 1.001
        assert float(distance.median()) > 0.5 * low
    # An open jaw takes the draws along.
    assert float((before[1] - before[0])[:, 1].min()) * HEAD_BOX_HALF_M < -0.02


def test_a_table_without_a_face_gives_no_prior() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    still = FaceTable(points, np.zeros((len(ARKIT_NAMES), 40, 3), np.float16), np.zeros(40, np.uint8))
    before, under = FaceSurface.of(still, CPU).draw(torch.zeros(2, len(ARKIT_NAMES)), 8)
    assert before.shape == under.shape == (2, 0, 3)


def test_surface_loss_is_least_for_a_dense_face_behind_empty_air() -> None:
    def loss(before: float, under: float) -> float:
        return float(losses.surface_loss(torch.full((2, 4), before), torch.full((2, 4), under)))

    assert loss(0.0, 1000.0) < 0.05 < loss(0.0, 20.0) < loss(0.0, 0.0)
    assert loss(0.0, 1000.0) < loss(5.0, 1000.0)
    assert float(losses.surface_loss(torch.zeros(2, 0), torch.zeros(2, 0))) == 0.0
