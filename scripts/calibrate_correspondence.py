"""Move the landmarks on the face model to where the detector really sees them, and rewrite `correspondence.npz`.

    python scripts/make_correspondence.py face_landmarker.task ict_facekit_light.npz TABLE.npz
    python scripts/photograph_people.py -o PEOPLE
    python scripts/calibrate_correspondence.py TABLE.npz PEOPLE face_landmarker.task ict_facekit_light.npz [-o OUT.npz]

A table made by fitting one mean face onto another is some millimetres off what the detector was taught. On pictures of
computer-generated people the truth is known: each landmark goes to the point of the skin that it lies closest to in the
pictures of all people, near where the table has it. The rims of lids and lips stay rims: their points only slide along.
Brows stay where they were: they lie where our painter put them. The people of the bench are not among those
photographed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.files import atomic_path
from aednerf.face.landmarks import FaceDetector
from aednerf.face.model import FACE, FaceModel
from aednerf.face.topology import LEFT_BROW, LEFT_EYE, LIPS_INNER_RING, LIPS_OUTER_RING, RIGHT_BROW, RIGHT_EYE
from aednerf.media.image import read_image
from aednerf.synthetic.camera import recording_camera

Array = NDArray[np.floating]

OUT = Path(__file__).parents[1] / "src" / "aednerf" / "face" / "correspondence.npz"
N_FACE = 468
REACH_M = 0.012
"""A landmark is looked for so far from where the table has it."""
RIM_REACH_M = 0.0008
"""Points of a rim stay so close to it."""
SOFT_PX = 8.0
"""Distances count no more than this: a landmark may be hidden."""
FAR_PX_PER_MM = 0.02
"""What each millimetre from the old place costs."""
DIVISIONS = 6
"""Places tried along the edge of a triangle."""
RINGS = (LIPS_OUTER_RING, LIPS_INNER_RING, LEFT_EYE, RIGHT_EYE)


def main() -> None:
    """Find the landmarks, place them, write the table and say how well it fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("detector", type=Path)
    parser.add_argument("face_model", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    options = parser.parse_args()
    model = FaceModel.load(options.face_model)
    with np.load(options.table, allow_pickle=False) as table:
        vertices, weights, canonical = table["vertices"], table["weights"], table["canonical_cm"]
    skin_px, seen_px, people = observe(options.people, options.detector, model)
    half = people % 2 == 0
    for name, chosen in (("even", half), ("odd", ~half)):
        placed = calibrate(vertices, weights, skin_px[chosen], seen_px[chosen], model)
        before, after = (distance_px(t, skin_px[~chosen], seen_px[~chosen]) for t in ((vertices, weights), placed))
        print(f"from people of {name} number: {before:.2f} px before, {after:.2f} px after, on the others")
    vertices, weights = calibrate(vertices, weights, skin_px, seen_px, model)
    with atomic_path(options.out) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, vertices=vertices, weights=weights, canonical_cm=canonical)
    print(f"{options.out}: {len(skin_px)} pictures of {len(np.unique(people))} people")


def observe(folder: Path, detector: Path, model: FaceModel) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return, for the pictures in which a face was found, the skin's vertices and the landmarks in pixels, and who."""
    skin, seen, who = [], [], []
    with FaceDetector(detector) as faces:
        for number, file in enumerate(sorted(folder.glob("*.npz"))):
            with np.load(file, allow_pickle=False) as truth:
                person = model.person(truth["identity"])
                poses = zip(truth["expression"], truth["rotation"], truth["translation"], strict=True)
                for index, (expression, rotation, translation) in enumerate(poses):
                    image = read_image(file.with_name(f"{file.stem}-{index:02}.png"))
                    found = faces.detect(image)
                    if found:
                        placed = person.at(expression)[FACE] @ rotation.T + translation
                        skin.append(recording_camera(len(image)).project(placed).astype(np.float32))
                        seen.append(found[0].points_px[:N_FACE])
                        who.append(number)
    return np.stack(skin), np.stack(seen), np.array(who)


def calibrate(
    vertices: NDArray[np.int32], weights: Array, skin_px: Array, seen_px: Array, model: FaceModel
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the table's vertices [478, 3] and weights [478, 3], the face's landmarks moved to where they are seen."""
    neutral = model.mesh.neutral
    skin = model.faces[(model.faces < FACE.stop).all(1)]
    corners = neutral[skin]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    skin = skin[normals[:, 2] > -0.3 * np.linalg.norm(normals, axis=1)]
    middles, old = neutral[skin].mean(1), (neutral[vertices] * weights[..., None]).sum(1)
    moved = vertices.copy(), weights.astype(np.float32).copy()
    parts = np.array([
        (i, j, DIVISIONS - i - j) for i in range(DIVISIONS + 1) for j in range(DIVISIONS + 1 - i)
    ]) / DIVISIONS  # fmt: skip
    for landmark in sorted(set(range(N_FACE)) - {*LEFT_BROW, *RIGHT_BROW}):
        near = skin[np.linalg.norm(middles - old[landmark], axis=1) < REACH_M]
        candidates = np.unique(near)
        cost = _cost(skin_px[:, candidates], seen_px[:, landmark], neutral[candidates], old[landmark])
        # The dozen best corners, then every place on the triangles about them.
        best = candidates[np.argsort(cost)[:12]]
        triangles = near[np.isin(near, best).any(1)]
        places = np.einsum("gb,tbd->tgd", parts, neutral[triangles]).reshape(-1, 3)
        pixels = np.einsum("gb,ftbd->ftgd", parts, skin_px[:, triangles]).reshape(len(skin_px), -1, 2)
        cost = _cost(pixels, seen_px[:, landmark], places, old[landmark])
        ring = next((ring for ring in RINGS if landmark in ring), None)
        if ring is not None:
            cost[_from_line(places, old[[*ring, ring[0]]]) > RIM_REACH_M] = np.inf
        if np.isfinite(cost).any():
            triangle, part = divmod(int(np.argmin(cost)), len(parts))
            moved[0][landmark], moved[1][landmark] = triangles[triangle], parts[part]
    return moved


def _cost(pixels: Array, seen: Array, places: Array, old: Array) -> Array:
    """Return [P]: how far places [F, P, 2] px are from a landmark [F, 2] on average, and from its old place."""
    distance = np.minimum(np.linalg.norm(pixels - seen[:, None], axis=-1), SOFT_PX).mean(0)
    return distance + FAR_PX_PER_MM * 1000 * np.linalg.norm(places - old, axis=1)


def _from_line(places: Array, line: Array) -> Array:
    """Return the distance [P] of places [P, 3] from a polyline [N, 3]."""
    start, step = line[:-1], np.diff(line, axis=0)
    share = ((places[:, None] - start) * step).sum(-1) / np.maximum((step**2).sum(-1), 1e-12)
    nearest = start + np.clip(share, 0, 1)[..., None] * step
    return np.linalg.norm(places[:, None] - nearest, axis=-1).min(1)


def distance_px(table: tuple[NDArray[np.int32], Array], skin_px: Array, seen_px: Array) -> float:
    """Return the mean distance of the landmarks from the table's points, in pixels."""
    vertices, weights = (part[:N_FACE] for part in table)
    placed = np.einsum("fpvd,pv->fpd", skin_px[:, np.minimum(vertices, FACE.stop - 1)], weights)
    return float(np.linalg.norm(placed - seen_px, axis=-1).mean())


if __name__ == "__main__":
    main()
