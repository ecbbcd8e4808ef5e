"""The face detector: order, units, sides, blank pictures, closing, errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.face import topology
from aednerf.face.landmarks import FaceDetector


@pytest.fixture(scope="module")
def detector(assets: Path) -> Iterator[FaceDetector]:
    with FaceDetector(assets / "face_landmarker.task") as detector:
        yield detector


@pytest.fixture(scope="module")
def picture(data: Path) -> np.ndarray:
    av = pytest.importorskip("av")
    with av.open(str(data / "talking" / "newsreader.mp4")) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_one_face_in_pixels_with_the_persons_sides(detector: FaceDetector, picture: np.ndarray) -> None:
    (face,) = detector.detect(picture)
    assert face.points_px.shape == (topology.N_LANDMARKS, 2) and face.scores.shape == (len(ARKIT_NAMES),)
    left, right = face.points_px[topology.LEFT_IRIS[0]], face.points_px[topology.RIGHT_IRIS[0]]
    assert left[0] > right[0] + 50  # the person's left is on the picture's right
    for iris, ring in ((topology.LEFT_IRIS, topology.LEFT_EYE), (topology.RIGHT_IRIS, topology.RIGHT_EYE)):
        assert np.linalg.norm(face.points_px[iris[0]] - face.points_px[list(ring)].mean(0)) < 12
    assert 0 <= face.scores.min() and face.scores.max() <= 1 and face.scores[-1] == 0
    assert face.transform[2, 3] < 0
    nose, ear = face.depth[4], face.depth[234]
    assert nose < ear


def test_pixels_move_with_the_picture(detector: FaceDetector, picture: np.ndarray) -> None:
    (face,) = detector.detect(picture)
    shifted = np.pad(picture, ((0, 40), (64, 0), (0, 0)), mode="edge")
    (moved,) = detector.detect(shifted)
    inner = np.setdiff1d(np.arange(topology.N_LANDMARKS), topology.OVAL)
    np.testing.assert_allclose(np.median(moved.points_px[inner] - face.points_px[inner], axis=0), (64, 0), atol=1.5)


def test_small_picture_and_two_faces_largest_first(detector: FaceDetector, picture: np.ndarray) -> None:
    half = np.ascontiguousarray(picture[::2, ::2])
    both = np.zeros((512, 768, 3), np.uint8)
    both[:256, :256], both[:, 256:] = half, picture
    assert len(detector.detect(half)) == 1
    faces = detector.detect(both)
    assert len(faces) == 2 and faces[0].area_px > 2 * faces[1].area_px
    assert faces[1].points_px[:, 0].max() < 256


def test_no_face_is_an_empty_list(detector: FaceDetector) -> None:
    assert detector.detect(np.full((256, 256, 3), 90, np.uint8)) == []


def test_wrong_pictures_and_files_are_named(detector: FaceDetector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="uint8"):
        detector.detect(np.zeros((8, 8, 3), np.float32))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="does not exist"):
        FaceDetector(tmp_path / "none.task")
    (tmp_path / "bad.task").write_bytes(b"not a model")
    with pytest.raises(InputError, match="not a Face Landmarker"):
        FaceDetector(tmp_path / "bad.task")


def test_import_is_light_and_use_is_quiet(assets: Path) -> None:
    script = (
        "import sys; from aednerf.face.landmarks import FaceDetector; assert 'mediapipe' not in sys.modules\n"
        "import numpy as np\n"
        f"d = FaceDetector({str(assets / 'face_landmarker.task')!r})\n"
        "d.detect(np.zeros((64, 64, 3), np.uint8)); d.close(); d.close()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stderr == ""
