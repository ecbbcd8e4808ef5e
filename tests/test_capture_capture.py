"""A capture opens only when it is whole, and gives every frame its own row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLES_PER_FRAME
from tiny_capture import make_tiny_capture

INVALID = (3, 4, 43, 60)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("tiny") / "capture", n_frames=44, clips=2, invalid=INVALID)


def test_split_is_per_clip_and_drops_invalid_frames_after_counting(tiny: Capture) -> None:
    assert tiny.train_frames.tolist() == [f for f in [*range(40), *range(44, 84)] if f not in INVALID]
    assert tiny.test_frames.tolist() == [f for f in [*range(40, 44), *range(84, 88)] if f not in INVALID]


def test_invalid_frames_stay_in_place(tiny: Capture) -> None:
    images, plate = list(tiny.images()), tiny.plate(0).astype(float)
    assert len(images) == tiny.n_frames == 88
    differences = np.array([np.abs(image - plate).mean() for image in images])
    np.testing.assert_array_equal(np.flatnonzero(differences < 3), INVALID)
    assert not np.isfinite(tiny.motion(np.array([3])).translation).any()


def test_ranges_are_the_same_frames(tiny: Capture) -> None:
    every = list(tiny.images())
    for first, end in ((0, 1), (40, 50), (87, 88), (5, 5)):
        some = list(tiny.images(first, end))
        assert len(some) == end - first
        for image, expected in zip(some, every[first:end], strict=True):
            np.testing.assert_array_equal(image, expected)
    with pytest.raises(IndexError):
        next(tiny.images(0, 89))


def test_clips_have_their_own_emotion_camera_and_sound(tiny: Capture) -> None:
    assert [tiny.clip_of(frame) for frame in (0, 43, 44, 87)] == [0, 0, 1, 1]
    assert tiny.emotion(10).label == "neutral" and tiny.emotion(50).label == "angry"
    camera = tiny.camera(1)
    assert (camera.width, camera.cx) == (64, 32.0)
    sound = tiny.audio(1)
    assert sound is not None and sound.dtype == np.float32 and len(sound) == 44 * SAMPLES_PER_FRAME
    with pytest.raises(IndexError):
        tiny.clip_of(88)


def test_the_picture_matches_the_tracking(tiny: Capture) -> None:
    # Where the mouth is wide open, its middle is darker than where it is shut: image and rows belong together.
    jaw = np.nan_to_num(tiny.tracking.expression[:, 24], nan=0.5)
    widest, shut = int(jaw.argmax()), int(jaw.argmin())
    middle = {}
    for frame in (widest, shut):
        image = next(tiny.images(frame, frame + 1))
        u, v = tiny.tracking.landmarks_px[frame][[13, 14]].mean(0).astype(int)
        middle[frame] = image[v, u].mean()
    assert middle[widest] < middle[shut] - 25


def test_parts_cover_the_matte(tiny: Capture) -> None:
    matte, part = next(tiny.mattes(10, 11)), next(tiny.parts(10, 11))
    assert matte.shape == part.shape == (64, 64) and set(np.unique(part)) == {0, 1, 2, 3}
    assert (matte[part > 0] > 0).all() and (part[matte == 255] > 0).all()


def test_silent_clips_are_no_error(tmp_path: Path) -> None:
    assert make_tiny_capture(tmp_path / "silent", n_frames=5, with_audio=False).audio(0) is None


@pytest.mark.parametrize(
    "name", ["capture.json", "frames.mp4", "matte.mkv", "parts.mkv", "tracking.npz", "face.npz",
             "background/tiny0.png", "audio/tiny1.wav"],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_missing_and_short_files_are_told_by_name(tiny: Capture, tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "capture"
    shutil.copytree(tiny.path, folder)
    file = folder / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(InputError) as error:
        Capture.open(folder)
    assert name.rpartition("/")[2] in str(error.value) and "\n" not in str(error.value)


def test_rows_that_disagree_are_refused(tiny: Capture, tmp_path: Path) -> None:
    other = make_tiny_capture(tmp_path / "short", n_frames=5)
    folder = tmp_path / "capture"
    shutil.copytree(tiny.path, folder)
    shutil.copy(other.path / "tracking.npz", folder / "tracking.npz")
    manifest = json.loads((folder / "capture.json").read_text())
    manifest["files"]["tracking.npz"] = (folder / "tracking.npz").stat().st_size
    (folder / "capture.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="5 rows.*88 frames"):
        Capture.open(folder)


def test_a_video_with_fewer_frames_is_refused_when_read(tiny: Capture, tmp_path: Path) -> None:
    other = make_tiny_capture(tmp_path / "short", n_frames=5)
    folder = tmp_path / "capture"
    shutil.copytree(tiny.path, folder)
    shutil.copy(other.path / "frames.mp4", folder / "frames.mp4")
    manifest = json.loads((folder / "capture.json").read_text())
    manifest["files"]["frames.mp4"] = (folder / "frames.mp4").stat().st_size
    (folder / "capture.json").write_text(json.dumps(manifest))
    capture = Capture.open(folder)
    with pytest.raises(InputError, match="frames.mp4"):
        list(capture.images())
