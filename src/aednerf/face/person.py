"""The whole mesh of a fitted person: the identity, moved to where the person's landmarks lie, with lids that meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aednerf.core.records import ARKIT_NAMES
from aednerf.face import topology
from aednerf.face.correspondence import Correspondence
from aednerf.face.fit_state import lid_gap
from aednerf.face.model import EYE_FLUID, EYE_SOCKETS, FACE, HEAD_AND_NECK, LASHES, FaceModel, PersonPoints

Array = np.ndarray

REACH_M = 0.004
"""How far a landmark's offset reaches over the skin (standard deviation of the weights)."""


def person_mesh(face: FaceModel, identity: Array, offsets: Array) -> PersonPoints:
    """Return all vertices of the fitted person.

    The constant offsets of the landmarks are spread over the skin near them and fade beyond; the outline's and the
    irises' are left out (those slide, these are gaze). eyeBlink is scaled so that the lids just meet at 1.

    Args:
        face: the face model.
        identity: [100] weights of the identity modes, from the fit.
        offsets: [478, 3] the landmarks' constant offsets in metres, from the fit.

    Returns:
        The mesh, as `FaceModel.face_table` takes it.
    """
    mesh = face.person(identity)
    table = Correspondence.load()
    used = np.setdiff1d(np.arange(topology.N_LANDMARKS), topology.SLIDING + topology.LEFT_IRIS + topology.RIGHT_IRIS)
    places = (mesh.neutral[table.vertices] * table.weights[..., None]).sum(1)
    neutral = mesh.neutral.copy()
    for part in (FACE, HEAD_AND_NECK, EYE_SOCKETS, EYE_FLUID, LASHES):
        squared = ((neutral[part, None] - places[used]) ** 2).sum(-1)
        weight = np.exp(-0.5 * squared / REACH_M**2)
        # The constant in the denominator makes the offsets fade where no landmark is near.
        neutral[part] += (weight @ offsets[used]) / (weight.sum(1, keepdims=True) + 0.05)
    expressions = mesh.expressions.copy()
    placed = (neutral[table.vertices] * table.weights[..., None]).sum(1)
    for ring, name in ((topology.LEFT_EYE, "eyeBlinkLeft"), (topology.RIGHT_EYE, "eyeBlinkRight")):
        shape = expressions[ARKIT_NAMES.index(name)]
        shape *= lid_gap(placed, ring) / lid_gap((shape[table.vertices] * table.weights[..., None]).sum(1), ring)
    return replace(mesh, neutral=neutral, expressions=expressions)
