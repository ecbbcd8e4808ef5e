"""A background video keeps its own time: its frames are seen at their moments, over and over, whatever its rate."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.background import LoopedVideo, parse_background
from aednerf.core.errors import InputError
from aednerf.core.units import FPS
from test_media_video import bars, make, number_of

PLATE = np.zeros((8, 8, 3), np.uint8)


def numbers(path: Path, n: int) -> list[int]:
    """Return the numbers of the frames that stand behind the first n pictures."""
    background = parse_background(path, 160, 96, PLATE)
    return [number_of(picture) for picture in islice(background.pictures(), n) if picture is not None]


@pytest.mark.parametrize(("rate", "n_frames"), [(30, 47), (12, 17), (25, 10), (60, 31), (5, 3)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_are_shown_at_their_moments_in_every_round(
    tmp_path: Path, rate: int, n_frames: int, suffix: str
) -> None:
    path = make(tmp_path / f"waves.{suffix}", [bars(i) for i in range(n_frames)], rate=rate)
    length_s, n = n_frames / rate, 5 * FPS * n_frames // rate
    seen = numbers(path, n)
    assert len(seen) == n
    for tick, number in enumerate(seen):
        away = (number / rate - tick / FPS + length_s / 2) % length_s - length_s / 2  # on the circle of a round
        # The nearest frame; the last one of a round lasts its time. Headers and Matroska count in whole milliseconds.
        latest = 1 / rate + 0.5 / FPS if number == n_frames - 1 else 0.5 / rate
        assert -latest - 0.006 <= away <= 0.5 / rate + 0.006, (tick, number)
    assert {*seen} == {*range(n_frames)} if rate <= FPS else len({*seen}) > 0.8 * FPS * length_s


def test_a_round_that_is_no_whole_number_of_pictures_does_not_drift(tmp_path: Path) -> None:
    path = make(tmp_path / "waves.mp4", [bars(i) for i in range(5)], rate=12)  # 0.41667 s: 10.4 pictures
    seen = numbers(path, 1042)  # a hundred rounds
    starts = [tick for tick, (before, now) in enumerate(zip(seen, seen[1:], strict=False)) if now < before]
    assert len(starts) == pytest.approx(100, abs=1)
    # The header rounds the length to 0.416 s. Rounds of ten whole pictures would be 1.7 s ahead.
    assert starts[-1] / FPS == pytest.approx(len(starts) * 5 / 12, abs=0.12)


def test_a_sound_that_is_longer_than_the_picture_does_not_stop_it(tmp_path: Path) -> None:
    still = LoopedVideo(make(tmp_path / "waves.mp4", [bars(i) for i in range(5)]), 160, 96, duration_s=3.0)
    assert [number_of(p) for p in islice(still.pictures(), 8) if p is not None] == [0, 1, 2, 4, 0, 1, 2, 4]


def test_a_file_that_is_no_video_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError):
        parse_background(tmp_path / "text.mp4", 8, 8, PLATE)
