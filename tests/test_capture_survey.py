"""Looking through a clip: two people, and a cut to another scene."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture.clip import Clip
from aednerf.capture.survey import ClipSurvey, survey_clip
from aednerf.core.errors import InputError
from aednerf.face.landmarks import FaceDetector
from aednerf.media.image import resize
from aednerf.media.video import VideoWriter, read_video

N_FRAMES = 55


def _pictures(data: Path, name: str) -> list[np.ndarray]:
    return list(islice(read_video(data / "mead" / f"{name}_front_neutral_level1_001.mp4"), N_FRAMES))


def _survey(video: Path, assets: Path, face: str) -> ClipSurvey:
    with FaceDetector(assets / "face_landmarker.task") as detector:
        return survey_clip(Clip(video), [detector], None, face, lambda done, total: None)


@pytest.fixture(scope="module")
def two_people(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A man at the left, and a woman at the right, seen smaller."""
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    with VideoWriter(path, 448, 256) as writer:
        for left, right in zip(_pictures(data, "M030"), _pictures(data, "W009"), strict=True):
            picture = np.zeros((256, 448, 3), np.uint8)
            picture[:, :256], picture[32:224, 256:] = left, resize(right, 192, 192)
            writer.write(picture)
    return path


def test_of_two_people_the_larger_is_taken_and_the_other_is_told(two_people: Path, assets: Path) -> None:
    survey = _survey(two_people, assets, "largest")
    assert survey.n_others == 1
    assert survey.face.boxes[:, [0, 2]].mean() < 256
    assert ClipSurvey.from_json(survey.to_json()).crop == survey.crop


def test_another_face_can_be_asked_for(two_people: Path, assets: Path) -> None:
    assert _survey(two_people, assets, "2").face.boxes[:, [0, 2]].mean() > 256
    with pytest.raises(InputError, match="face"):
        _survey(two_people, assets, "5")


def test_a_cut_to_another_scene_is_found_and_the_longer_scene_kept(data: Path, assets: Path, tmp_path: Path) -> None:
    other = (resize(picture, 256, 256) for picture in islice(read_video(data / "talking" / "studio_8s.mp4"), 20))
    pictures = [*_pictures(data, "M030"), *other]
    with VideoWriter(tmp_path / "cut.mp4", 256, 256) as writer:
        for picture in pictures:
            writer.write(picture)
    survey = _survey(tmp_path / "cut.mp4", assets, "largest")
    assert survey.shots.cuts == (N_FRAMES,)
    kept = survey.shots.kept(len(pictures))
    assert kept[:N_FRAMES].all() and not kept[N_FRAMES:].any()
