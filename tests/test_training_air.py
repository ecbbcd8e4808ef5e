"""The air before a head is told from the face model, and nothing of the person is taken for air."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aednerf import assets
from aednerf.capture.face_table import FacePart, FaceTable
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.face.model import FaceModel
from aednerf.synthetic.hair import grow_hair
from aednerf.synthetic.mesh import HeadMesh
from aednerf.synthetic.person import PEOPLE
from aednerf.training.air import FACE_MARGIN_M, air_cells


@pytest.fixture(scope="module")
def table() -> FaceTable:
    if assets.locate("ict_facekit") is None:
        pytest.skip("needs the face model")
    return FaceTable(*FaceModel.load(assets.find("ict_facekit")).face_table(np.zeros(100, np.float32)))


def air_at(points: np.ndarray, table: FaceTable, expression: np.ndarray | None = None) -> np.ndarray:
    acted = np.zeros((1, len(ARKIT_NAMES)), np.float32) if expression is None else expression
    return air_cells(torch.as_tensor(points, dtype=torch.float32) / HEAD_BOX_HALF_M, table, acted).numpy()


def test_a_mask_before_the_face_is_air_and_the_skin_is_not(table: FaceTable) -> None:
    skin = table.points[table.part == FacePart.SKIN]
    front = skin[(skin[:, 2] > skin[:, 2].max() - 0.05) & (np.abs(skin[:, 0]) < 0.04) & (skin[:, 1] > -0.06)]
    assert air_at(front + (0, 0, 0.05), table).mean() > 0.98
    assert air_at(front + (0, 0, 2 * FACE_MARGIN_M), table).mean() > 0.6
    assert not air_at(table.points, table).any()


def test_no_recorded_expression_reaches_into_the_air(table: FaceTable) -> None:
    rng = np.random.default_rng(0)
    expression = np.zeros((20, len(ARKIT_NAMES)), np.float32)
    for row in expression:
        row[rng.choice(len(ARKIT_NAMES), 4, replace=False)] = rng.random(4)
    expression[:, ARKIT_NAMES.index("mouthClose")] = 0.0  # against a closed jaw it bends the lips as no face does
    for row in expression:
        assert air_at(table.deformed(row), table, expression).mean() < 0.005


def test_nothing_is_said_of_the_sides_or_of_a_table_without_a_face(table: FaceTable) -> None:
    sides = np.array([[0.12, 0.0, 0.0], [-0.1, -0.1, 0.04], [0.0, 0.2, 0.0], [0.0, 0.0, -0.15]])
    assert not air_at(sides, table).any()
    still = FaceTable(table.points, np.zeros_like(table.deltas), table.part)
    assert not air_at(table.points + (0, 0, 0.1), still).any()


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_hair_beside_and_above_the_face_is_no_air(name: str) -> None:
    path = assets.locate("ict_facekit")
    if path is None:
        pytest.skip("needs the face model")
    mesh = HeadMesh.load(path, PEOPLE[name].weights())
    own = FaceTable(*FaceModel.load(path).face_table(mesh.face))
    hair = grow_hair(PEOPLE[name], mesh).points
    assert air_at(hair.reshape(-1, 3), own).mean() < 0.005
