"""The pieces of the RAD-NeRF layout: poses, part colours, pictures, speech features, action units."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture import rad_nerf_masks as masks
from aednerf.capture import rad_nerf_signals as signals
from aednerf.capture.rad_nerf_tracking import in_our_frame
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.face.pose import Poses, project, rotation_from_vector
from aednerf.media.image import read_image, write_image

CAMERA = Camera(750.0, 128.0, 128.0, 256, 256)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def some_poses(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    rotation = rotation_from_vector(random.normal(0, 0.3, (n, 3)))
    return rotation, random.normal((0, 0, -1), 0.05, (n, 3))


def test_angles_and_tenths_of_metres_say_the_same_as_the_matrices(random: np.random.Generator) -> None:
    rotation, _ = some_poses(random, 50)
    assert np.abs(layout.rotation_of_euler(layout.euler_angles(rotation)) - rotation).max() < 1e-12
    # The signs of each axis alone, as the layout's programs build them.
    s, c = np.sin(0.3), np.cos(0.3)
    for axis, expected in enumerate((
        [[1, 0, 0], [0, c, s], [0, -s, c]], [[c, 0, -s], [0, 1, 0], [s, 0, c]], [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    )):  # fmt: skip
        angles = np.zeros((1, 3))
        angles[0, axis] = 0.3
        assert np.allclose(layout.rotation_of_euler(angles)[0], expected)


def test_a_pose_survives_the_transforms(tmp_path: Path, random: np.random.Generator) -> None:
    rotation, translation = (array.astype(np.float32) for array in some_poses(random, 11))
    for name, part in ((layout.TRAIN_NAME, slice(0, 10)), (layout.VAL_NAME, slice(10, 11))):
        layout.write_transforms(tmp_path / name, CAMERA, range(11)[part], rotation[part], translation[part])
    found = layout.read_transforms(tmp_path)
    assert found.camera == CAMERA and found.frames.tolist() == list(range(11)) and found.is_train.sum() == 10
    # float32 rotations are orthogonal to 1e-7: measured 1.2e-7 in the translation.
    assert np.abs(found.rotation - rotation).max() == 0 and np.abs(found.translation - translation).max() < 5e-7
    # What a peer computes with it: a head point through the inverse of camera-to-world lands where ours does.
    matrix = np.array(json.loads((tmp_path / layout.TRAIN_NAME).read_text())["frames"][3]["transform_matrix"])
    point = np.array([0.03, -0.05, 0.09])
    ours = rotation[3] @ point + translation[3]
    assert np.allclose((np.linalg.inv(matrix) @ [*point, 1])[:3], ours, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "camera"),
    [
        ({"focal_len": 1100, "cx": 225, "cy": 225}, Camera(1100, 225, 225, 450, 450)),
        ({"focal_len": 1100, "cx": 225.5, "cy": 225.5}, Camera(1100, 225.5, 225.5, 450, 450)),
        ({"fl_x": 900, "h": 400, "w": 500}, Camera(900, 250, 200, 500, 400)),
        ({"camera_angle_x": 2 * np.arctan(0.25), "h": 400, "w": 500}, Camera(1000, 250, 200, 500, 400)),
    ],
)
def test_every_way_to_state_the_camera_is_read(tmp_path: Path, head: dict, camera: Camera) -> None:
    frame = {"img_id": 0, "aud_id": 0, "transform_matrix": np.eye(4).tolist()}
    for name, frames in ((layout.TRAIN_NAME, [frame]), (layout.VAL_NAME, [])):
        (tmp_path / name).write_text(json.dumps({**head, "frames": frames}))
    found = layout.read_transforms(tmp_path).camera
    assert found.focal_px == pytest.approx(camera.focal_px)
    assert (found.cx, found.cy, found.width, found.height) == (camera.cx, camera.cy, camera.width, camera.height)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.pop("focal_len"), "camera_angle_x' is missing"),
        (lambda v: v.update(focal_len=float("nan")), "camera"),
        (lambda v: v["frames"][0].pop("img_id"), "'img_id' is missing"),
        (lambda v: v["frames"][1].update(img_id=0), "frame 0 twice"),
        (lambda v: v["frames"][1].update(transform_matrix=(2 * np.eye(4)).tolist()), "pose of frame 1"),
        (lambda v: v["frames"][1].update(transform_matrix=np.eye(3).tolist()), "4x4"),
        (lambda v: v["frames"].clear(), "no frames"),
    ],
)
def test_damaged_transforms_are_told(tmp_path: Path, change, told: str) -> None:
    frames = [{"img_id": i, "aud_id": i, "transform_matrix": np.eye(4).tolist()} for i in range(2)]
    value = {"focal_len": 9.0, "cx": 2, "cy": 2, "frames": frames}
    (tmp_path / layout.VAL_NAME).write_text(json.dumps({**value, "frames": []}))
    change(value)
    (tmp_path / layout.TRAIN_NAME).write_text(json.dumps(value))
    with pytest.raises(InputError) as error:
        layout.read_transforms(tmp_path)
    assert told in str(error.value) and "\n" not in str(error.value)


def square_person() -> np.ndarray:
    """Return labels [64, 64]: a head over a neck over a torso."""
    labels = np.zeros((64, 64), np.uint8)
    labels[48:, 8:56], labels[36:48, 24:40], labels[8:36, 16:48] = 3, 2, 1
    return labels


def test_parts_survive_the_colours_that_opencv_sees(tmp_path: Path) -> None:
    labels = square_person()
    write_image(tmp_path / "0.png", masks.parsing_picture(labels))
    seen = cv2.imread(str(tmp_path / "0.png"))
    for row, column, bgr in ((20, 30, (255, 0, 0)), (40, 30, (0, 255, 0)), (60, 30, (0, 0, 255)), (0, 0, (255,) * 3)):
        assert tuple(seen[row, column]) == bgr
    assert np.array_equal(masks.labels_of(read_image(tmp_path / "0.png"), tmp_path / "0.png"), labels)


def test_talking_gaussian_finds_face_hair_and_mouth_apart(tmp_path: Path) -> None:
    labels, face, mouth, teeth = square_person(), *(np.zeros((64, 64), bool) for _ in range(3))
    face[12:36, 20:44], mouth[28:33, 26:38], teeth[28:30, 28:36] = True, True, True
    picture = masks.gaussian_parsing_picture(labels, masks.FaceOutlines(face, mouth), teeth)
    assert np.array_equal(masks.labels_of(picture, tmp_path), labels)
    r, g, b = np.moveaxis(picture, -1, 0).astype(float)
    seen_face = ((b > 254) & (r == 0) & (g == 0)) ^ teeth
    seen_hair = (r < 1) & (g < 1) & (b < 1)
    seen_mouth = ((r == 100) & (g == 100) & (b == 100)) | teeth
    assert np.array_equal(seen_face.astype(int) + seen_hair + seen_mouth, labels == 1)
    assert np.array_equal(seen_mouth, mouth) and np.array_equal(seen_hair, (labels == 1) & ~face)


def test_an_unknown_colour_is_named(tmp_path: Path) -> None:
    picture = masks.parsing_picture(square_person())
    picture[10:20, 10:20] = (255, 0, 255)
    with pytest.raises(InputError, match=r"7\.png has the colour \[255, 0, 255\]"):
        masks.labels_of(picture, tmp_path / "7.png")


def test_the_torso_goes_on_behind_the_head_and_nowhere_else() -> None:
    labels = square_person()
    image = np.zeros((64, 64, 3), np.uint8)
    image[labels == 1], image[labels == 2], image[labels == 3] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    torso = masks.torso_picture(image, labels)
    own = labels >= 2
    assert (torso[..., 3][own] == 255).all() and np.array_equal(torso[..., :3][own], image[own])
    added = (torso[..., 3] == 255) & ~own
    assert added[30:36, 24:40].all() and not added[:, :23].any() and (labels[added] == 1).all()
    assert (torso[..., :3][torso[..., 3] == 0] == 0).all()
    assert (torso[added][:, 1] > 100).all() and (torso[added][:, 0] == 0).all()  # the neck's colour, none of the head's


def test_teeth_are_light_and_between_the_lips() -> None:
    image = np.full((64, 64, 3), (200, 150, 130), np.uint8)
    face, mouth = np.ones((64, 64), bool), np.zeros((64, 64), bool)
    mouth[30:40, 20:44] = True
    image[mouth], image[30:34, 24:40], image[36:40, 24:40] = (40, 10, 10), (190, 185, 170), (180, 60, 60)
    upper = np.array([(18, 26), (46, 26), (46, 37), (18, 37)], float)
    seen = masks.teeth_mask(image, upper, np.zeros((0, 2)), masks.FaceOutlines(face, mouth))
    expected = np.zeros((64, 64), bool)
    expected[30:34, 24:40] = True
    assert np.array_equal(seen, expected)
    assert not masks.teeth_mask(image, upper - 26, upper[:0], masks.FaceOutlines(face, mouth)).any()


def test_speech_features_stand_where_the_sound_is() -> None:
    n, at = 40, 17
    samples = np.zeros(n * SAMPLES_PER_FRAME, np.float32)
    time = np.arange(SAMPLES_PER_FRAME) / SAMPLE_RATE_HZ
    samples[at * SAMPLES_PER_FRAME : (at + 1) * SAMPLES_PER_FRAME] = 0.5 * np.sin(2 * np.pi * 500 * time)
    rows = signals.own_features(samples, n)
    assert rows.shape == (n, 16, 29) and rows.dtype == np.float32 and rows.min() == 0
    # Steps 2i - 8 ... 2i + 7: frame i's own 40 ms are the middle of row i.
    assert rows[at].sum(1).argmax() in (8, 9) and np.array_equal(rows[at, 2:], rows[at + 1, :-2])
    assert rows[at].sum() > 0 and rows[at - 5].sum() == 0 and rows[at + 6].sum() == 0
    assert signals.own_features(samples[:-1000], n).shape == (n, 16, 29)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (None, "does not exist"),
        (np.zeros((40, 16, 44)), "[40, 16, 44]"),
        (np.zeros((40, 16, 29), int), "expected floats"),
        (np.zeros((30, 16, 29)), "30 rows, the clip 40 frames"),
        (np.zeros((50, 16, 29)), "50 rows, the clip 40 frames"),
        (np.full((40, 16, 29), np.nan), "not finite"),
        ({"a": 1}, "no .npy file of numbers"),
    ],
)
def test_speech_features_of_another_clip_are_refused(tmp_path: Path, array: object, told: str) -> None:
    if array is not None:
        np.save(tmp_path / "aud.npy", np.array(array), allow_pickle=True)
    with pytest.raises(InputError) as error:
        signals.load_features(tmp_path / "aud.npy", 40)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_short_features_keep_their_place(tmp_path: Path, random: np.random.Generator) -> None:
    array = random.normal(size=(38, 16, 29))
    np.save(tmp_path / "aud.npy", array)
    rows = signals.load_features(tmp_path / "aud.npy", 40)
    assert np.allclose(rows[:38], array, atol=1e-6) and np.array_equal(rows[39], rows[37])


def test_action_units_have_openfaces_header_and_say_what_they_are(tmp_path: Path) -> None:
    expression = np.zeros((3, 52), np.float32)
    at = {name: i for i, name in enumerate(ARKIT_NAMES)}
    expression[0, [at["eyeBlinkLeft"], at["eyeBlinkRight"]]] = 1
    expression[1, at["jawOpen"]] = 0.6
    expression[2, [at["jawOpen"], at["mouthClose"]]] = 0.6
    signals.write_action_units(tmp_path / "au.csv", expression)
    with open(tmp_path / "au.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row[" AU45_r"]) for row in rows] == [2, 0, 0]  # 2 is what the peers clip at and halve
    assert [float(row[" AU25_r"]) for row in rows] == [0, 3, 0] and float(rows[2][" AU26_r"]) == 3
    assert all(f" AU{unit:02}_r" in rows[0] for unit in (1, 4, 5, 6, 7, 25, 45))
    assert all(row[" source"] == signals.AU_MARK for row in rows) and rows[2]["frame"] == "3"


@pytest.mark.parametrize("scale", [1.0, 1.3, 1000.0])
def test_given_poses_move_into_our_head_frame_as_one(random: np.random.Generator, scale: float) -> None:
    neutral = random.normal(0, 0.06, (478, 3)) * (1, 1, 0.6)
    rotation = rotation_from_vector(random.normal(0, 0.15, (60, 3)))
    translation = random.normal((0, 0, -1.2), (0.03, 0.03, 0.02), (60, 3))
    landmarks = project(neutral, Poses(rotation, translation), CAMERA).astype(np.float32)
    turn, shift = rotation_from_vector(np.array([[0.1, -0.05, 0.02]]))[0], np.array([0.01, -0.03, 0.06]) * scale
    theirs = rotation @ turn.T
    given = Poses(theirs, scale * translation - theirs @ shift)
    landmarks[7], given.translation[9] = np.nan, np.nan
    found = in_our_frame(given, landmarks, neutral, CAMERA)
    # Rough, since it starts from scaled orthography: measured 0.011 rad and 8 mm; the fit of the face does the rest.
    assert np.abs(found.rotation - rotation).max() < 0.03
    seen = np.delete(np.arange(60), 9)
    assert np.abs(found.translation - translation)[seen].max() < 0.03
    # One constant motion for all frames: the motion itself is theirs.
    relative = np.swapaxes(theirs, 1, 2) @ found.rotation
    assert np.abs(relative - relative[0]).max() < 1e-9


def test_poses_behind_the_camera_are_refused(random: np.random.Generator) -> None:
    neutral = random.normal(0, 0.06, (478, 3)) * (1, 1, 0.6)
    rotation = rotation_from_vector(random.normal(0, 0.1, (20, 3)))
    translation = random.normal((0, 0, -1.2), 0.02, (20, 3))
    landmarks = project(neutral, Poses(rotation, translation), CAMERA).astype(np.float32)
    with pytest.raises(InputError, match="negative z"):
        in_our_frame(Poses(rotation, -translation), landmarks, neutral, CAMERA)
    with pytest.raises(InputError, match="both a given pose and a detected face"):
        in_our_frame(Poses(rotation, translation), landmarks * np.nan, neutral, CAMERA)
