"""What the loaders of RAD-NeRF, ER-NeRF, SyncTalk and TalkingGaussian do with a folder, as far as files go.

Written from the description in `docs/rad-nerf.md`: each opens these files by these names, and uses them in this way.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass(frozen=True)
class PeerView:
    """What a peer holds after it has read one split of a folder."""

    numbers: list[int]
    camera_to_world: np.ndarray
    intrinsics: tuple[float, float, float]
    images: np.ndarray
    backgrounds: np.ndarray
    features: np.ndarray
    landmarks: np.ndarray
    blinks: np.ndarray
    blendshapes: np.ndarray
    face: np.ndarray
    hair: np.ndarray
    mouth: np.ndarray


def load(folder: Path, split: str) -> PeerView:
    """Read one split as the peers do; any file that is missing or has another shape raises."""
    for path in folder.glob("*.json"):  # `--type all` takes every JSON file of the root for poses
        assert "frames" in json.loads(path.read_text()), path
    value = json.loads((folder / f"transforms_{split}.json").read_text())
    height, width = 2 * int(value["cy"]), 2 * int(value["cx"])
    numbers = [frame["img_id"] for frame in value["frames"]]
    plate = cv2.imread(str(folder / "bc.jpg"), cv2.IMREAD_UNCHANGED)
    assert plate.shape == (height, width, 3)
    features = np.load(folder / "aud_ds.npy")
    assert np.array_equal(features, np.load(folder / "aud.npy"))
    with open(folder / "au.csv", newline="") as file:
        units = list(csv.DictReader(file))
    images, backgrounds, landmarks, masks = [], [], [], []
    for frame in value["frames"]:
        i = frame["img_id"]
        images.append(cv2.imread(str(folder / "gt_imgs" / f"{i}.jpg"), cv2.IMREAD_UNCHANGED))
        torso = cv2.imread(str(folder / "torso_imgs" / f"{i}.png"), cv2.IMREAD_UNCHANGED)
        assert images[-1].shape == (height, width, 3) and torso.shape == (height, width, 4)
        alpha = torso[..., 3:] / 255.0
        backgrounds.append(torso[..., :3] * alpha + plate * (1 - alpha))
        landmarks.append(np.loadtxt(folder / "ori_imgs" / f"{i}.lms"))
        assert cv2.imread(str(folder / "ori_imgs" / f"{i}.jpg")).shape == (height, width, 3)
        assert cv2.imread(str(folder / "parsing" / f"{i}_face.png")).shape == (height, width, 3)
        assert cv2.imread(str(folder / "face_mask" / f"{i}.png")).shape == (height, width, 3)
        b, g, r = np.moveaxis(cv2.imread(str(folder / "parsing" / f"{i}.png")).astype(float), -1, 0)
        teeth = np.load(folder / "teeth_mask" / f"{i}.npy")
        assert teeth.dtype == bool and teeth.shape == (height, width)
        masks.append((((b > 254) & (g == 0) & (r == 0)) ^ teeth, (b < 1) & (g < 1) & (r < 1),
                      ((b == 100) & (g == 100) & (r == 100)) | teeth))  # fmt: skip
    face, hair, mouth = (np.array(each) for each in zip(*masks, strict=True))
    return PeerView(
        numbers, np.array([f["transform_matrix"] for f in value["frames"]]),
        (value["focal_len"], value["cx"], value["cy"]), np.array(images), np.array(backgrounds),
        np.stack([features[frame["aud_id"]] for frame in value["frames"]]), np.array(landmarks),
        np.array([float(units[i][" AU45_r"]) for i in numbers]).clip(0, 2) / 2, np.load(folder / "bs.npy")[numbers],
        face, hair, mouth,
    )  # fmt: skip
