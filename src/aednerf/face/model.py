"""The face model: ICT-FaceKit Light as 100 identity modes, the 52 ARKit coefficients and eyeballs that turn.

Everything is NumPy float32, in metres, in the head frame: +x the person's left, +y up, +z out of the face
(`docs/conventions.md`). Source: ICT-FaceKit (USC ICT, MIT licence), "Learning Formation of Physically-Based Face
Attributes", Li et al., CVPR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES

Array = NDArray[np.float32]

N_IDENTITY = 100
LOOK_SIDE_RAD = np.float32(np.deg2rad(30.0))
"""How far an eyeball turns in or out at eyeLookIn or eyeLookOut 1."""
LOOK_UP_RAD = np.float32(np.deg2rad(25.0))
"""How far an eyeball turns up or down at eyeLookUp or eyeLookDown 1."""

# Vertex ranges of ICT-FaceKit Light.
FACE = slice(0, 9409)
HEAD_AND_NECK = slice(9409, 11248)
MOUTH_SOCKET = slice(11248, 13294)
EYE_SOCKETS = slice(13294, 14062)
GUMS_AND_TONGUE = slice(14062, 17039)
UPPER_TEETH = slice(17039, 19247)
LOWER_TEETH = slice(19247, 21451)
LEFT_EYEBALL = slice(21451, 23021)
RIGHT_EYEBALL = slice(23021, 24591)
EYE_FLUID = slice(24591, 25351)
LASHES = slice(25351, 26719)
N_VERTICES = 26719

SKIN_PART, UPPER_TEETH_PART, LOWER_TEETH_PART, LEFT_EYEBALL_PART, RIGHT_EYEBALL_PART = range(5)

IBUG68_VERTICES: tuple[int, ...] = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509,
    978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""The vertices of the 68 iBUG landmarks, as ICT-FaceKit publishes them."""

_LOOK = {
    side: {way: ARKIT_NAMES.index(f"eyeLook{way}{side}") for way in ("In", "Out", "Up", "Down")}
    for side in ("Left", "Right")
}


@dataclass(frozen=True)
class PersonPoints:
    """P points of one person's face that follow the expression (for the whole mesh, P is the number of vertices)."""

    neutral: Array
    """[P, 3] metres, head frame."""

    expressions: Array
    """[52, P, 3] displacement at coefficient 1, in metres; eyeballs turn besides."""

    eye: NDArray[np.uint8]
    """[P] 1 on the left eyeball, 2 on the right one, 0 elsewhere."""

    eye_centres: Array
    """[2, 3] the points about which the left and right eyeballs turn."""

    def at(self, expression: NDArray[np.floating]) -> Array:
        """Place the points.

        Args:
            expression: [..., 52] ARKit coefficients.

        Returns:
            [..., P, 3] metres, head frame.
        """
        expression = np.asarray(expression, np.float32)
        n_points = len(self.neutral)
        flat = expression.reshape(-1, len(ARKIT_NAMES))
        moved = self.neutral + (flat @ self.expressions.reshape(len(ARKIT_NAMES), -1)).reshape(-1, n_points, 3)
        for eye, side in ((1, "Left"), (2, "Right")):
            members = np.flatnonzero(self.eye == eye)
            if len(members):
                relative = self.neutral[members] - self.eye_centres[eye - 1]
                turned = np.einsum("tij,pj->tpi", eye_rotation(flat, side), relative)
                moved[:, members] += turned - relative
        return moved.reshape(*expression.shape[:-1], n_points, 3).astype(np.float32, copy=False)

    def pick(self, indices: NDArray[np.integer] | slice) -> PersonPoints:
        """Keep some of the points."""
        return PersonPoints(self.neutral[indices], self.expressions[:, indices], self.eye[indices], self.eye_centres)

    def look_derivatives(self) -> Array:
        """Return [52, P, 3]: how the eyeballs' turning moves the points, to first order about the neutral gaze."""
        derivatives = np.zeros_like(self.expressions)
        for eye, side in ((1, "Left"), (2, "Right")):
            members = np.flatnonzero(self.eye == eye)
            x, y, z = (self.neutral[members] - self.eye_centres[eye - 1]).T
            zero = np.zeros_like(x)
            turn_left = np.stack([z, zero, -x], axis=-1) * LOOK_SIDE_RAD
            turn_up = np.stack([zero, z, -y], axis=-1) * LOOK_UP_RAD
            outward = turn_left if side == "Left" else -turn_left
            for way, motion in (("Out", outward), ("In", -outward), ("Up", turn_up), ("Down", -turn_up)):
                derivatives[_LOOK[side][way], members] = motion
        return derivatives


@dataclass(frozen=True)
class FacePoints:
    """P points of the face model, before a person is chosen: linear in the identity."""

    neutral: Array
    """[P, 3] the model's mean face."""

    identities: Array
    """[100, P, 3] displacement at identity weight 1; weights are standard normal."""

    expressions: Array
    """[52, P, 3] displacement at coefficient 1."""

    eye: NDArray[np.uint8]
    """[P] 1 on the left eyeball, 2 on the right one, 0 elsewhere."""

    eye_centres: Array
    """[101, 2, 3] centres of the left and right eyeballs: the mean face's, then each identity mode's displacement."""

    def person(self, identity: NDArray[np.floating] | None = None) -> PersonPoints:
        """Return the points of one person.

        Args:
            identity: [100] weights; none is the mean face.
        """
        weights = np.zeros(N_IDENTITY, np.float32) if identity is None else np.asarray(identity, np.float32)
        if weights.shape != (N_IDENTITY,):
            raise InputError(f"An identity is {N_IDENTITY} numbers, got {list(weights.shape)}.")
        neutral = self.neutral + np.tensordot(weights, self.identities, 1)
        centres = self.eye_centres[0] + np.tensordot(weights, self.eye_centres[1:], 1)
        return PersonPoints(neutral, self.expressions, self.eye, centres)

    def combine(self, vertices: NDArray[np.integer], weights: Array) -> FacePoints:
        """Return new points, each a weighted mean of three of these on one part of the face.

        Args:
            vertices: [Q, 3] indices of points.
            weights: [Q, 3] barycentric weights.
        """
        w = np.asarray(weights, np.float32)[..., None]
        return FacePoints(
            (self.neutral[vertices] * w).sum(-2),
            (self.identities[:, vertices] * w).sum(-2),
            (self.expressions[:, vertices] * w).sum(-2),
            self.eye[vertices[:, 0]],
            self.eye_centres,
        )


class FaceTableArrays(NamedTuple):
    """What training takes from the face model: see `FaceModel.face_table`."""

    points: Array
    deltas: NDArray[np.float16]
    part: NDArray[np.uint8]


@dataclass(frozen=True)
class FaceModel:
    """ICT-FaceKit Light: its vertices, triangles and named vertices."""

    mesh: FacePoints
    """All 26719 vertices."""

    faces: NDArray[np.int32]
    """[F, 3] triangles of vertices, counter-clockwise from outside."""

    @staticmethod
    def load(path: str | Path) -> FaceModel:
        """Read `ict_facekit_light.npz`.

        Raises:
            InputError: the file is missing or is not the packed face model.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"The face model {path} does not exist. `aednerf doctor` says how to get it.")
        try:
            with np.load(path, allow_pickle=False) as packed:
                neutral = packed["neutral"].astype(np.float32) / 100
                names = [str(name) for name in packed["expression_names"]]
                shapes = packed["expressions"].astype(np.float32) / 100
                identities = packed["identities"].astype(np.float32) / 100
                quads = packed["faces"]
        except (KeyError, ValueError, OSError) as error:
            raise InputError(f"{path} is not the packed ICT-FaceKit model ({error}). Fetch or pack it again.") from None
        if neutral.shape != (N_VERTICES, 3) or len(identities) != N_IDENTITY:
            raise InputError(f"{path} holds {len(neutral)} vertices and {len(identities)} identity modes; "
                             f"expected {N_VERTICES} and {N_IDENTITY}. Fetch or pack it again.")  # fmt: skip
        eye = np.zeros(N_VERTICES, np.uint8)
        eye[LEFT_EYEBALL], eye[RIGHT_EYEBALL] = 1, 2
        expressions = _arkit_expressions(names, shapes)
        expressions[:, eye > 0] = 0  # the eyeballs only turn
        faces = _triangles(quads)
        modes = np.concatenate([neutral[None], identities])
        centres = np.stack([_centre(modes, faces, eyeball) for eyeball in (LEFT_EYEBALL, RIGHT_EYEBALL)], axis=1)
        return FaceModel(FacePoints(neutral, identities, expressions, eye, centres), faces)

    @property
    def ibug68(self) -> NDArray[np.intp]:
        """[68] vertices of the iBUG landmarks."""
        return np.array(IBUG68_VERTICES)

    def person(self, identity: NDArray[np.floating] | None = None) -> PersonPoints:
        """Return one person's mesh (see `FacePoints.person`)."""
        return self.mesh.person(identity)

    def vertices(self, identity: NDArray[np.floating] | None, expression: NDArray[np.floating]) -> Array:
        """Place all vertices: identity [100], expression [..., 52] -> [..., V, 3] metres, head frame."""
        return self.person(identity).at(expression)

    @cached_property
    def table_vertices(self) -> NDArray[np.intp]:
        """[P] about 4000 vertices spread over skin, teeth, gums, tongue and eyeballs, densest at the lips and lids."""
        neutral = self.mesh.neutral
        skin = np.r_[FACE, HEAD_AND_NECK]
        distance = np.linalg.norm(neutral[FACE, None] - neutral[self.ibug68[36:]], axis=-1).min(1)
        near_lips_and_lids = np.flatnonzero(distance < 0.012)
        counts = (
            (skin, 1700), (near_lips_and_lids, 1000), (np.r_[GUMS_AND_TONGUE], 300),
            (np.r_[UPPER_TEETH], 250), (np.r_[LOWER_TEETH], 250),
            (np.r_[LEFT_EYEBALL], 250), (np.r_[RIGHT_EYEBALL], 250),
        )  # fmt: skip
        return np.unique(np.concatenate([members[_spread(neutral[members], n)] for members, n in counts]))

    def face_table(self, person: PersonPoints | NDArray[np.floating] | None = None) -> FaceTableArrays:
        """Return the person's surface and how the coefficients move it, thinned out for training.

        Args:
            person: a whole mesh (`person.person_mesh` of a fit, the closest to the person), or an identity [100].

        Returns:
            points: [P, 3] float32 neutral surface, metres, head frame.
            deltas: [52, P, 3] float16 displacement of each coefficient at 1; eyeballs by the linearised turn.
            part: [P] uint8, 0 skin, 1 upper teeth and gums, 2 lower teeth, gums and tongue, 3 left, 4 right eyeball.
        """
        chosen = self.table_vertices
        points = (person if isinstance(person, PersonPoints) else self.person(person)).pick(chosen)
        deltas = points.expressions + points.look_derivatives()
        part = np.full(N_VERTICES, SKIN_PART, np.uint8)
        jaw_drop = np.linalg.norm(self.mesh.expressions[ARKIT_NAMES.index("jawOpen")], axis=-1)
        part[UPPER_TEETH], part[LOWER_TEETH] = UPPER_TEETH_PART, LOWER_TEETH_PART
        part[GUMS_AND_TONGUE] = np.where(jaw_drop[GUMS_AND_TONGUE] > 0.004, LOWER_TEETH_PART, UPPER_TEETH_PART)
        part[LEFT_EYEBALL], part[RIGHT_EYEBALL] = LEFT_EYEBALL_PART, RIGHT_EYEBALL_PART
        return FaceTableArrays(points.neutral, deltas.astype(np.float16), part[chosen])


def eye_rotation(expression: NDArray[np.floating], side: str) -> Array:
    """Return how an eyeball turns about its centre.

    Args:
        expression: [T, 52] ARKit coefficients.
        side: "Left" or "Right", the person's.

    Returns:
        [T, 3, 3] rotation in the head frame: up or down first, then sideways.
    """
    look = {way: expression[:, index] for way, index in _LOOK[side].items()}
    outward = (look["Out"] - look["In"]) * LOOK_SIDE_RAD
    yaw = outward if side == "Left" else -outward
    pitch = (look["Up"] - look["Down"]) * LOOK_UP_RAD
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(cy)
    rows = [[cy, -sy * sp, sy * cp], [zero, cp, sp], [-sy, -cy * sp, cy * cp]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _arkit_expressions(names: list[str], shapes: Array) -> Array:
    """Sum ICT's shapes into the 52 coefficients: halves of browInnerUp and cheekPuff join, tongueOut stays zero."""
    out = np.zeros((len(ARKIT_NAMES), *shapes.shape[1:]), np.float32)
    for name, shape in zip(names, shapes, strict=True):
        stem, _, side = name.partition("_")
        whole = stem + {"": "", "L": "Left", "R": "Right"}[side]
        target = stem if stem in ARKIT_NAMES else whole
        if target in ARKIT_NAMES:  # cheekRaiser and PupilDilate are not ARKit's
            out[ARKIT_NAMES.index(target)] += shape
    return out


def _triangles(quads: NDArray[np.int32]) -> NDArray[np.int32]:
    """Split [F, 4] quads (-1 pads triangles) along their first diagonal."""
    second = quads[quads[:, 3] >= 0][:, [0, 2, 3]]
    return np.concatenate([quads[:, :3], second]).astype(np.int32)


def _centre(modes: Array, faces: NDArray[np.int32], part: slice) -> Array:
    """Return [101, 3]: the mean of a part's vertices weighted by their area, for the mean face and each mode.

    Unweighted, an eyeball's mean lies 4 mm in front of the ball's centre, since most vertices are on the iris.
    """
    inside = faces[(faces >= part.start).all(1) & (faces < part.stop).all(1)]
    a, b, c = modes[0][inside].swapaxes(0, 1)
    weight = np.zeros(len(modes[0]), np.float32)
    np.add.at(weight, inside, np.linalg.norm(np.cross(b - a, c - a), axis=-1)[:, None])
    return np.einsum("mvi,v->mi", modes[:, part], weight[part] / weight.sum())


def _spread(points: Array, count: int) -> NDArray[np.intp]:
    """Choose `count` points far from each other: farthest-point sampling from the first one."""
    chosen = np.zeros(min(count, len(points)), np.intp)
    distance = np.full(len(points), np.inf, np.float32)
    for i in range(1, len(chosen)):
        distance = np.minimum(distance, ((points - points[chosen[i - 1]]) ** 2).sum(-1))
        chosen[i] = distance.argmax()
    return chosen
