"""The folder layout that RAD-NeRF, ER-NeRF, SyncTalk and TalkingGaussian share: names, poses, landmark files.

Poses are ours in other clothes. The layout's camera looks along -z with y up and its head frame is static, as in
`docs/conventions.md`; its `transform_matrix` is camera-to-world, [R^T | -R^T t] in metres. Only `track_params.pt`
counts in tenths of a metre and in three angles. `docs/rad-nerf.md` describes the whole layout and its traps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path, read_json, write_json
from aednerf.core.records import Camera

IMAGES, PARSING, GT_IMAGES, TORSO_IMAGES = "ori_imgs", "parsing", "gt_imgs", "torso_imgs"
TEETH, FACE_MASK, ALPHA = "teeth_mask", "face_mask", "alpha"
TRAIN_NAME, VAL_NAME = "transforms_train.json", "transforms_val.json"
PLATE_NAME, SOUND_NAME = "bc.jpg", "aud.wav"
TRACK_NAME, AU_NAME, BLENDSHAPES_NAME = "track_params.pt", "au.csv", "bs.npy"
FEATURES_NAMES = ("aud.npy", "aud_ds.npy")
"""Both names of the speech features: the peers' extractors write the first, their readers open the second."""

SIDECAR = "aednerf"
"""The folder of what the layout has no place for. Not in the root: `--type all` of the peers reads every `*.json` there
as poses."""

N_LANDMARKS = 68
UNITS_PER_M = 10.0
"""`track_params.pt` counts in tenths of a metre, as the Basel face model does."""


@dataclass(frozen=True)
class Transforms:
    """What both transforms files of one folder say, frames ascending."""

    camera: Camera
    frames: NDArray[np.int64]
    """[K] the numbers of the pictures that have a pose."""

    rotation: NDArray[np.float64]
    """[K, 3, 3] head to camera."""

    translation: NDArray[np.float64]
    """[K, 3] head to camera, in metres where the folder keeps to its convention."""

    is_train: NDArray[np.bool_]
    """[K] whether the frame is of the training part."""


def camera_to_world(rotation: NDArray[Any], translation: NDArray[Any]) -> NDArray[np.float64]:
    """Return [N, 4, 4] camera-to-world matrices of head-to-camera poses, the head being the world."""
    rotation, translation = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
    matrix = np.tile(np.eye(4), (len(rotation), 1, 1))
    matrix[:, :3, :3] = np.swapaxes(rotation, 1, 2)
    matrix[:, :3, 3] = -np.einsum("nji,nj->ni", rotation, translation)
    return matrix


def head_to_camera(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotation [N, 3, 3] and translation [N, 3] of camera-to-world matrices [N, 4, 4]."""
    rotation = np.swapaxes(matrix[:, :3, :3], 1, 2)
    return rotation, -np.einsum("nij,nj->ni", rotation, matrix[:, :3, 3])


def euler_angles(rotation: NDArray[Any]) -> NDArray[np.float64]:
    """Split rotations [N, 3, 3] into the layout's angles [N, 3] (theta, phi, psi) in radians.

    R = Rx(theta) Ry(phi) Rz(psi) with Rx having +sin at [1, 2], Ry -sin at [0, 2] and Rz -sin at [0, 1].

    >>> np.round(euler_angles(rotation_of_euler(np.array([[0.1, -0.2, 0.3]]))), 6).tolist()
    [[0.1, -0.2, 0.3]]
    """
    r = np.asarray(rotation, np.float64)
    theta = np.arctan2(r[:, 1, 2], r[:, 2, 2])
    phi = -np.arcsin(np.clip(r[:, 0, 2], -1, 1))
    return np.stack([theta, phi, np.arctan2(-r[:, 0, 1], r[:, 0, 0])], 1)


def rotation_of_euler(angles: NDArray[Any]) -> NDArray[np.float64]:
    """Join the layout's angles [N, 3] in radians into rotations [N, 3, 3]; the inverse of `euler_angles`."""
    (ct, cp, cs), (st, sp, ss) = np.cos(angles).T, np.sin(angles).T
    zero, one = np.zeros_like(ct), np.ones_like(ct)
    about_x = np.moveaxis(np.array([[one, zero, zero], [zero, ct, st], [zero, -st, ct]]), -1, 0)
    about_y = np.moveaxis(np.array([[cp, zero, -sp], [zero, one, zero], [sp, zero, cp]]), -1, 0)
    about_z = np.moveaxis(np.array([[cs, -ss, zero], [ss, cs, zero], [zero, zero, one]]), -1, 0)
    return about_x @ about_y @ about_z


def write_transforms(
    path: Path, camera: Camera, numbers: Sequence[int], rotation: NDArray[Any], translation: NDArray[Any]
) -> None:
    """Write one transforms file, atomically.

    Args:
        path: the file.
        camera: of the pictures.
        numbers: [K] of the pictures.
        rotation: [K, 3, 3] head to camera.
        translation: [K, 3] metres.
    """
    matrices = camera_to_world(rotation, translation)
    frames = [
        {"img_id": int(number), "aud_id": int(number), "transform_matrix": matrix.tolist()}
        for number, matrix in zip(numbers, matrices, strict=True)
    ]
    head = {"focal_len": camera.focal_px, "cx": camera.cx, "cy": camera.cy, "h": camera.height, "w": camera.width}
    write_json(path, {**head, "frames": frames})


def read_transforms(folder: Path, are_poses_used: bool = True) -> Transforms:
    """Read both transforms files of a folder.

    Args:
        folder: the folder.
        are_poses_used: whether it matters that the poses are rigid motions.

    Raises:
        InputError: one is missing, is damaged, or the two contradict each other.
    """
    cameras, rows, matrices, parts = [], [], [], []
    for name in (TRAIN_NAME, VAL_NAME):
        value = read_json(folder / name)
        try:
            cameras.append(_camera_of(value))
            found = [(int(f["img_id"]), _matrix_of(f["transform_matrix"])) for f in value["frames"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{folder / name} is no such file of poses ({reason}). Restore it.") from None
        rows += [number for number, _ in found]
        matrices += [matrix for _, matrix in found]
        parts += [name == TRAIN_NAME] * len(found)
    if not rows:
        raise InputError(f"{folder / TRAIN_NAME} and {VAL_NAME} list no frames; expected one pose a picture.")
    if cameras[0] != cameras[1]:
        raise InputError(f"{folder / TRAIN_NAME} and {VAL_NAME} have different cameras. Restore one of them.")
    order = np.argsort(rows, kind="stable")
    frames = np.array(rows, np.int64)[order]
    if len(np.unique(frames)) != len(frames):
        twice = sorted({int(n) for n in frames if rows.count(int(n)) > 1})
        raise InputError(f"{folder}: the transforms list {named(twice, 'frame')} twice. Keep one pose a picture.")
    matrix = np.stack([matrices[i] for i in order])
    if are_poses_used:
        _require_rigid(matrix, frames, folder)
    return Transforms(cameras[0], frames, *head_to_camera(matrix), np.array(parts)[order])


def _matrix_of(value: Any) -> NDArray[np.float64]:
    matrix = np.array(value, np.float64)
    if matrix.shape != (4, 4):
        raise ValueError(f"a transform_matrix must be 4x4, got {list(matrix.shape)}")
    return matrix


def _camera_of(value: Mapping[str, Any]) -> Camera:
    """Return the camera of a transforms file; its size is `h`, `w`, or twice the principal point's whole pixels."""
    if "h" in value and "w" in value:
        width, height = int(value["w"]), int(value["h"])
    else:
        width, height = 2 * int(value["cx"]), 2 * int(value["cy"])
    if "focal_len" in value:
        focal = float(value["focal_len"])
    elif "fl_x" in value or "fl_y" in value:
        focal = float(value["fl_x"] if "fl_x" in value else value["fl_y"])
    else:
        focal = width / (2 * math.tan(float(value["camera_angle_x"]) / 2))
    camera = Camera(focal, float(value.get("cx", width / 2)), float(value.get("cy", height / 2)), width, height)
    if not (math.isfinite(focal + camera.cx + camera.cy) and focal > 0 and min(width, height) > 0):
        raise ValueError(f"its camera is {camera}")
    return camera


def _require_rigid(matrix: NDArray[np.float64], frames: NDArray[np.int64], folder: Path) -> None:
    """Raise unless all matrices [K, 4, 4] are a rotation and a shift."""
    turn = matrix[:, :3, :3]
    off = np.abs(turn @ np.swapaxes(turn, 1, 2) - np.eye(3)).max((1, 2))
    bad = ~(np.isfinite(matrix).all((1, 2)) & (off < 1e-3) & (np.linalg.det(np.nan_to_num(turn)) > 0))
    if bad.any():
        raise InputError(
            f"{folder}: the pose of {named(frames[bad].tolist(), 'frame')} is no rotation and shift. "
            "Track the folder again with the program that made it, or import with --tracking own."
        )


def write_landmarks(path: Path, points: NDArray[Any]) -> None:
    """Write the 68 iBUG points [68, 2] (pixels, x then y) of one picture, atomically."""
    with atomic_path(path) as temporary:
        np.savetxt(temporary, points, "%f")


def read_landmarks(path: Path) -> NDArray[np.float64]:
    """Read the 68 points [68, 2] of one picture.

    Raises:
        InputError: the file does not hold them.
    """
    try:
        points = np.loadtxt(path, ndmin=2)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} holds no landmarks ({error}); expected 68 lines of `x y`.") from None
    if points.shape != (N_LANDMARKS, 2) or not np.isfinite(points).all():
        raise InputError(f"{path} holds {list(points.shape)} numbers; expected 68 lines of `x y`.")
    return points


def named(numbers: Sequence[int], noun: str) -> str:
    """Name numbers in words, long lists in short.

    >>> named([3], "frame"), named([3, 4, 5, 9], "frame")
    ('frame 3', 'frames 3-5, 9')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    short = texts if len(texts) <= 12 else [*texts[:12], f"and {sum(len(run) for run in runs[12:])} more"]
    return f"{noun}{'' if len(numbers) == 1 else 's'} {', '.join(short)}"
