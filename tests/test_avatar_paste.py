"""A pasted picture has the recording around it, no seam at the square's edge, and says what is not generated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.bundle import Bundle, Place, load_bundle, save_bundle
from aednerf.core.errors import InputError
from aednerf.core.records import Motion
from aednerf.media.video import VideoWriter, decode_frames
from fake_avatar import MEAN_POSITION, N_RESIDUAL, FakePerson, fake_bundle

WIDTH, HEIGHT, X, Y, SIZE = 160, 120, 40, 24, 96
PLACE = Place("me.mp4", WIDTH, HEIGHT, X, Y, SIZE, 2, 5)


def bundle() -> Bundle:
    """Return an avatar whose plate is the square of a wall that gets lighter to the right."""
    return replace(fake_bundle(64), background=wall()[Y : Y + SIZE, X : X + SIZE][::3, ::3], place=PLACE)


def wall(level: int = 0) -> np.ndarray:
    row = np.arange(WIDTH, dtype=np.uint8)[None, :, None] + np.uint8(level)
    return np.broadcast_to(row, (HEIGHT, WIDTH, 3)).copy()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    with VideoWriter(tmp_path / "me.mp4", WIDTH, HEIGHT, crf=1) as writer:
        for level in (0, 0, 20, 40, 60, 90):
            writer.write(wall(level))
    return tmp_path / "me.mp4"


def still(n: int) -> Motion:
    expression, residual = np.zeros((n, 52), np.float32), np.zeros((n, N_RESIDUAL), np.float32)
    return Motion(expression, residual, np.tile(np.eye(3, dtype=np.float32), (n, 1, 1)), np.tile(MEAN_POSITION, (n, 1)))


def person(data: Bundle) -> Avatar:
    return Avatar(data, FakePerson(), None)


def test_the_recording_surrounds_the_square_and_repeats(video: Path) -> None:
    frames = [frame.rgba for frame in person(bundle()).render(still(5), paste_back=video).frames()]
    for frame, level in zip(frames, (20, 40, 60, 20, 40), strict=True):  # only the stretch that the square is from
        assert frame.shape == (HEIGHT, WIDTH, 4) and (frame[..., 3] == 255).all()
        outside = np.ones((HEIGHT, WIDTH), bool)
        outside[Y : Y + SIZE, X : X + SIZE] = False
        assert np.abs(frame[..., :3].astype(int) - wall(level))[outside].max() <= 3
    u, v = np.array([X, Y]) + SIZE / 2
    assert frames[0][int(v) - 2, int(u)].tolist() == [128, 0, 128, 255]  # the head, in the middle of the square


def test_there_is_no_seam(video: Path) -> None:
    frame = next(person(bundle()).render(still(1), paste_back=video).frames()).rgba[..., :3].astype(int)
    above = frame[: Y + 14, :, 0]  # where no person is, the recording is 20 lighter than the plate
    assert np.abs(np.diff(above, axis=0)).max() <= 5
    assert np.abs(np.diff(above, axis=1)).max() <= 7
    bottom = frame[Y + SIZE - 1 :, X + 20 : X + SIZE - 20, :]  # the square ends where the video does: no border there
    assert (bottom == (255, 0, 0)).all()


def test_the_file_says_what_is_not_generated(video: Path, tmp_path: Path) -> None:
    import av

    shown = person(bundle()).render(still(2), paste_back=video)
    path = shown.save(tmp_path / "out.mp4")
    assert next(decode_frames(path)).shape == (HEIGHT, WIDTH, 3) and "recording itself" in shown.scene.notice
    with av.open(str(path)) as container:
        assert "recording itself" in container.metadata["comment"] and "synthetic" in container.metadata["comment"]
    assert not person(bundle()).render(still(2)).scene.notice


def test_the_place_travels_and_old_avatars_load(tmp_path: Path) -> None:
    assert load_bundle(save_bundle(tmp_path / "new", bundle())).place == PLACE
    assert load_bundle(save_bundle(tmp_path / "old", fake_bundle())).place is None
    with pytest.raises(InputError, match="Train it again from its capture"):
        person(fake_bundle()).render(still(1), paste_back="me.mp4")


@pytest.mark.parametrize(
    "change", [{"x": 100}, {"size": 4}, {"first": 5}, {"y": -1}, {"width": True}, {"size": 96.5}, {"end": 10**9}]
)
def test_impossible_places_are_refused(tmp_path: Path, change: dict) -> None:
    path = save_bundle(tmp_path / "me", replace(bundle(), place=replace(PLACE, **change)))
    with pytest.raises(InputError, match="place"):
        load_bundle(path)


def test_other_videos_and_other_framings_are_refused(video: Path, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "other.mp4", 64, 64) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"other.mp4 has pictures of 64x64; .* from me.mp4, 160x120"):
        person(bundle()).render(still(1), paste_back=tmp_path / "other.mp4")
    with pytest.raises(InputError, match="does not exist"):
        person(bundle()).render(still(1), paste_back=tmp_path / "none.mp4")
    for options in (
        {"size": 64},
        {"crop": "head"},
        {"stereo_mm": 63},
        {"aov": "depth"},
        {"background": "#000000"},
        {"camera": "zoom=2"},
    ):
        with pytest.raises(InputError, match="goes without --size"):
            person(bundle()).render(still(1), paste_back=video, **options)
    assert person(bundle()).render(still(1), "yaw=10", paste_back=video).n_frames == 1
