"""The face model: units, ARKit coefficients, eyeballs, the training table and the landmark correspondence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.face import model as ict
from aednerf.face import topology
from aednerf.face.correspondence import Correspondence, landmark_points
from aednerf.face.person import person_mesh


@pytest.fixture(scope="module")
def face(assets: Path) -> ict.FaceModel:
    return ict.FaceModel.load(assets / "ict_facekit_light.npz")


def coefficients(**values: float) -> np.ndarray:
    out = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, value in values.items():
        out[ARKIT_NAMES.index(name)] = value
    return out


def test_head_frame_is_metres_with_left_positive_and_nose_forward(face: ict.FaceModel) -> None:
    vertices = face.vertices(None, coefficients())
    nose, left_eye, chin = vertices[face.ibug68[[30, 45, 8]]]
    assert nose[2] == pytest.approx(vertices[ict.FACE, 2].max(), abs=0.003)
    assert left_eye[0] > 0.03 and chin[1] < left_eye[1] - 0.08
    assert np.abs(vertices).max() < 0.2  # the head fits into the field's box


def test_sides_are_the_persons(face: ict.FaceModel) -> None:
    moved = face.vertices(None, coefficients(mouthSmileLeft=1.0)) - face.vertices(None, coefficients())
    corners = np.linalg.norm(moved[face.ibug68[[48, 54]]], axis=-1)
    assert corners[1] > 0.004 > 10 * corners[0]


def test_every_coefficient_but_the_tongue_moves_the_face(face: ict.FaceModel) -> None:
    size = np.linalg.norm(face.mesh.expressions, axis=-1).max(1)
    still = {name for name, most in zip(ARKIT_NAMES, size, strict=True) if most < 1e-3}
    assert still == {"tongueOut"}


@pytest.mark.parametrize(
    ("name", "axis", "sign"),
    [("eyeLookOutLeft", 0, 1), ("eyeLookInLeft", 0, -1), ("eyeLookUpLeft", 1, 1), ("eyeLookDownLeft", 1, -1)],
)
def test_left_eyeball_turns_as_named_and_the_right_one_rests(
    face: ict.FaceModel, name: str, axis: int, sign: int
) -> None:
    iris = landmark_points(face).person().pick(np.array([topology.LEFT_IRIS[0], topology.RIGHT_IRIS[0]]))
    moved = iris.at(coefficients(**{name: 1.0})) - iris.at(coefficients())
    assert 0.004 < sign * moved[0, axis] < 0.009
    assert np.abs(moved[1]).max() < 1e-6
    radius = np.linalg.norm(iris.at(coefficients(**{name: 1.0}))[0] - iris.eye_centres[0])
    assert radius == pytest.approx(np.linalg.norm(iris.neutral[0] - iris.eye_centres[0]), rel=1e-5)


def test_linear_turn_agrees_with_small_rotation(face: ict.FaceModel) -> None:
    points = landmark_points(face).person()
    linear = points.look_derivatives()
    for name in ("eyeLookOutRight", "eyeLookUpLeft", "eyeLookDownRight", "eyeLookInLeft"):
        k = ARKIT_NAMES.index(name)
        turned = (points.at(coefficients(**{name: 0.02})) - points.neutral) / 0.02 - points.expressions[k]
        np.testing.assert_allclose(turned, linear[k], atol=2e-4)


def test_subset_equals_whole(face: ict.FaceModel) -> None:
    rng = np.random.default_rng(0)
    identity, expression = rng.normal(size=100), rng.random((2, 3, 52))
    chosen = np.array([5, 1719, 22000, 23500, 20000])
    whole = face.vertices(identity, expression)
    part = face.person(identity).pick(chosen).at(expression)
    assert part.shape == (2, 3, 5, 3)
    np.testing.assert_allclose(part, whole[:, :, chosen], atol=1e-6)


def test_correspondence_places_landmarks_on_their_features(face: ict.FaceModel) -> None:
    points = landmark_points(face).person()
    ibug = face.mesh.neutral[face.ibug68]
    inner = slice(17, None)
    distance = np.linalg.norm(points.neutral[list(topology.IBUG68)] - ibug, axis=-1)
    # The detector's idea of a corner is not the mesh's: rims are kept, places along them are the detector's.
    assert distance[inner].max() < 0.008 and np.median(distance[inner]) < 0.003
    for ring, members in ((topology.LIPS_INNER_RING, np.r_[60:68]), (topology.LEFT_EYE, np.r_[42:48])):
        rim = points.neutral[list(ring)]
        gaps = np.linalg.norm(rim[:, None] - ibug[members], axis=-1).min(0)
        assert gaps.max() < 0.005


def test_inner_lips_are_front_rims_that_open_with_the_jaw(face: ict.FaceModel) -> None:
    points = landmark_points(face).person()
    table = Correspondence.load()
    assert table.vertices[:468].max() < ict.FACE.stop  # on the skin, not in the mouth socket
    upper, lower = list(topology.LIPS_UPPER_INNER), list(topology.LIPS_LOWER_INNER)
    closed, opened = points.at(np.stack([coefficients(), coefficients(jawOpen=1.0)]))
    gap = [np.linalg.norm(place[upper] - place[lower], axis=-1) for place in (closed, opened)]
    assert gap[0].max() < 0.003
    assert gap[1].min() > 0.007 and gap[1][4] > 0.025


def test_lids_meet_in_a_blink(face: ict.FaceModel) -> None:
    points = landmark_points(face).person()
    for ring, name in ((topology.LEFT_EYE, "eyeBlinkLeft"), (topology.RIGHT_EYE, "eyeBlinkRight")):
        opened, closed = points.at(np.stack([coefficients(), coefficients(**{name: 1.0})]))
        gap = [(place[list(ring[2:7])] - place[list(ring[14:9:-1])])[:, 1] for place in (opened, closed)]
        assert gap[0].min() > 0.004 and np.abs(gap[1]).max() < 0.0015


def test_rigid_points_move_least(face: ict.FaceModel) -> None:
    size = np.sqrt((landmark_points(face).expressions ** 2).sum((0, 2)))
    assert size[list(topology.RIGID)].max() < 0.006
    assert size[list(topology.LIPS_OUTER_RING)].min() > 0.01


def test_face_table_has_all_parts_and_teeth_follow_the_jaw(face: ict.FaceModel) -> None:
    table = face.face_table()
    assert 3500 < len(table.points) < 4500
    assert table.points.dtype == np.float32 and table.deltas.dtype == np.float16 and table.part.dtype == np.uint8
    assert table.deltas.shape == (52, len(table.points), 3)
    assert (np.bincount(table.part, minlength=5) >= 200).all()
    drop = np.linalg.norm(table.deltas[ARKIT_NAMES.index("jawOpen")].astype(np.float32), axis=-1)
    assert drop[table.part == ict.LOWER_TEETH_PART].min() > 0.004
    assert drop[table.part == ict.UPPER_TEETH_PART].max() < 0.004
    look = np.linalg.norm(table.deltas[ARKIT_NAMES.index("eyeLookUpLeft")].astype(np.float32), axis=-1)
    assert look[table.part == ict.LEFT_EYEBALL_PART].mean() > 0.003
    assert look[table.part == ict.RIGHT_EYEBALL_PART].max() == 0


def test_person_mesh_follows_offsets_and_its_lids_meet(face: ict.FaceModel) -> None:
    offsets = np.zeros((topology.N_LANDMARKS, 3), np.float32)
    offsets[:, 2] = 0.002
    lids = [i for i in topology.LEFT_EYE[1:8]]
    offsets[lids, 1] = -0.003  # a narrow left eye
    mesh = person_mesh(face, np.zeros(100, np.float32), offsets)
    table = Correspondence.load()

    def place(vertices: np.ndarray) -> np.ndarray:
        return (vertices[table.vertices] * table.weights[..., None]).sum(1)

    moved = place(mesh.neutral) - place(face.mesh.neutral)
    assert moved[4, 2] == pytest.approx(0.002, abs=3e-4)
    assert moved[386, 1] < -0.001
    np.testing.assert_array_equal(mesh.neutral[ict.LEFT_EYEBALL], face.mesh.neutral[ict.LEFT_EYEBALL])
    closed = place(mesh.at(coefficients(eyeBlinkLeft=1.0)))
    gap = closed[list(topology.LEFT_EYE[2:7])] - closed[list(topology.LEFT_EYE[14:9:-1])]
    assert np.abs(gap[:, 1]).max() < 0.0025


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        ict.FaceModel.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", neutral=np.zeros((3, 3)))
    with pytest.raises(InputError, match="not the packed"):
        ict.FaceModel.load(tmp_path / "other.npz")


def test_wrong_identity_is_named(face: ict.FaceModel) -> None:
    with pytest.raises(InputError, match="100 numbers"):
        face.person(np.zeros(50))


def test_topology_lists_are_consistent() -> None:
    assert len(topology.IBUG68) == 68 and len(topology.OVAL) == len(set(topology.OVAL)) == 36
    assert topology.IBUG68[48:60] == topology.LIPS_OUTER and topology.IBUG68[60:] == topology.LIPS_INNER
    assert set(topology.LIPS_OUTER) < set(topology.LIPS_OUTER_RING)
    assert set(topology.LIPS_INNER) < set(topology.LIPS_INNER_RING)
    assert len(topology.RIGHT_EYE) == len(topology.LEFT_EYE) == 16
    assert 40 <= len(set(topology.RIGID)) == len(topology.RIGID) <= 60
