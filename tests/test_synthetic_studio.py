"""The studio: mattes agree with the mesh, parts with the jaw, and pictures with themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from aednerf.assets import locate
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.face.model import IBUG68_VERTICES, FaceModel
from aednerf.synthetic.camera import REST_TRANSLATION, orbit
from aednerf.synthetic.moment import Moment
from aednerf.synthetic.person import PEOPLE, person_named
from aednerf.synthetic.studio import Studio

SIZE = 160


def has_opengl() -> bool:
    """Try a context: a driver may be installed and not work.

    In a process of its own: MediaPipe, which other tests use, crashes where a context was opened before it.
    """
    attempt = "from aednerf.synthetic.renderer import open_context; open_context().release()"
    return subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(locate("ict_facekit") is None, reason="needs the face model: set AEDNERF_ASSETS"),
    pytest.mark.skipif(not has_opengl(), reason="needs OpenGL over EGL: libegl1 and libgl1-mesa-dri, and moderngl"),
]


def moment(breath: float = 0.0, turn_deg: float = 0.0, **coefficients: float) -> Moment:
    """Return a moment at rest but for the named coefficients (a stem stands for both sides)."""
    expression = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, value in coefficients.items():
        members = [n for n in ARKIT_NAMES if n in (name, name + "Left", name + "Right")]
        assert members, name
        expression[[ARKIT_NAMES.index(n) for n in members]] = value
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    return Moment(expression, rotation, REST_TRANSLATION, breath)


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with Studio(PEOPLE["theo"], SIZE, supersampling=2) as made:
        yield made


def landmarks(studio: Studio, at: Moment, view: np.ndarray | None = None) -> np.ndarray:
    """Project the 68 vertices [68, 2] in pixels."""
    points = studio.face.at(at.expression)[np.array(IBUG68_VERTICES)] @ at.rotation.T + at.translation
    if view is not None:
        points = points @ view[:, :3].T + view[:, 3]
    return studio.camera.project(points)


def hull_mask(points: np.ndarray) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), 1)
    return mask > 0


def test_the_same_moment_gives_the_same_picture(studio: Studio) -> None:
    first = studio.shoot(moment(jawOpen=0.3))
    studio.shoot(moment(mouthSmile=0.9, turn_deg=12))
    again = studio.shoot(moment(jawOpen=0.3))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_studio_gives_the_same_picture(studio: Studio) -> None:
    at = moment(mouthSmile=0.4)
    with Studio(PEOPLE["theo"], SIZE, supersampling=2) as other:
        difference = studio.shoot(at).image.astype(float) - other.shoot(at).image
    assert 10 * np.log10(255**2 / max((difference**2).mean(), 1e-9)) > 40


@pytest.mark.parametrize("view", [None, (30, 0), (-30, 0), (0, 15)])
def test_the_landmarks_lie_in_the_head(studio: Studio, view: tuple[float, float] | None) -> None:
    at, motion = moment(jawOpen=0.5, turn_deg=5), None if view is None else studio.view(*view)
    shot = studio.shoot(at, motion)
    inside = hull_mask(landmarks(studio, at, motion)[17:])
    assert (shot.parts[inside] == 1).mean() > 0.995
    assert (shot.alpha[inside] == 255).mean() > 0.99


def test_the_jaw_line_borders_the_head(studio: Studio) -> None:
    at = moment()
    jaw = landmarks(studio, at)[[7, 8, 9]]
    parts = studio.shoot(at).parts
    for x, y in jaw:
        column = parts[int(y) - 8 : int(y) + 16, int(x)]
        border = int(y) - 8 + int(np.argmax(column != 1))
        assert column[0] == 1 and abs(border - y) < 4, (x, y, border)


def test_the_matte_covers_the_projected_mesh(studio: Studio) -> None:
    at = moment(turn_deg=-10, jawOpen=0.4)
    shot = studio.shoot(at)
    placed = studio.face.at(at.expression)[:9409] @ at.rotation.T + at.translation
    uv = studio.camera.project(placed[placed[:, 1] > -0.06]).astype(int)
    covered = cv2.dilate(shot.alpha, np.ones((3, 3), np.uint8))  # a silhouette's vertex may round to the next pixel
    assert (covered[uv[:, 1], uv[:, 0]] > 0).all()
    # Straight colour, alpha and plate make the picture again.
    alpha = shot.alpha[..., None] / 255
    composed = shot.foreground * alpha + studio.plate * (1 - alpha)
    assert np.abs(composed - shot.image).max() < 2.5
    assert 20 < ((shot.alpha > 8) & (shot.alpha < 247)).sum() < 0.06 * SIZE**2


def test_all_parts_are_there_and_in_order(studio: Studio) -> None:
    shot = studio.shoot(moment())
    rows = [np.flatnonzero((shot.parts == part).any(1)).mean() for part in (1, 2, 3)]
    assert rows[0] < rows[1] < rows[2]
    assert ((shot.parts > 0) == (shot.alpha >= 128)).all()
    height = np.ptp(np.flatnonzero((shot.parts == 1).any(1))) / SIZE
    assert 0.5 < height < 0.68


def test_closed_lids_hide_the_eyes(studio: Studio) -> None:
    ahead, aside = moment(eyeBlink=1.0), moment(eyeBlink=1.0, eyeLookOutLeft=0.9, eyeLookInRight=0.9)
    closed = np.abs(studio.shoot(ahead).image.astype(int) - studio.shoot(aside).image)
    ahead, aside = moment(), moment(eyeLookOutLeft=0.9, eyeLookInRight=0.9)
    opened = np.abs(studio.shoot(ahead).image.astype(int) - studio.shoot(aside).image)
    eyes = hull_mask(landmarks(studio, moment())[36:42]) | hull_mask(landmarks(studio, moment())[42:48])
    assert opened[eyes].mean() > 15
    assert closed[eyes].mean() < 0.15 * opened[eyes].mean()


def test_an_open_mouth_is_dark_inside(studio: Studio) -> None:
    at = moment(jawOpen=0.6)
    inner = hull_mask(landmarks(studio, at)[60:68])
    lips = hull_mask(landmarks(studio, at)[48:60]) & ~inner
    image = studio.shoot(at).image.mean(-1)
    assert image[inner].mean() < 0.75 * image[lips].mean()


def test_the_torso_stays_and_breathes(studio: Studio) -> None:
    rest, turned, inhaled = (studio.shoot(m) for m in (moment(), moment(turn_deg=15), moment(breath=1.0)))
    bottom = slice(SIZE - 18, SIZE)
    assert np.abs(rest.image[bottom].astype(int) - turned.image[bottom]).mean() < 1.0
    assert np.abs(rest.alpha.astype(int) - inhaled.alpha).sum() > 0
    np.testing.assert_array_equal(rest.alpha[: SIZE // 2], inhaled.alpha[: SIZE // 2])


def test_a_view_is_the_camera_orbiting_about_the_head() -> None:
    centre = np.array([0.0, 0.0, -1.0])
    motion = orbit(centre, 30, 0)
    left_ear, nose = centre + [0.08, 0, 0], centre + [0, 0, 0.1]
    moved = [motion[:, :3] @ p + motion[:, 3] for p in (left_ear, nose, centre)]
    np.testing.assert_allclose(moved[2], centre, atol=1e-6)
    assert moved[0][2] > centre[2] + 0.03  # from the person's left, the left ear comes nearer
    assert moved[1][0] < -0.03
    raised = orbit(centre, 0, 20)
    assert (raised[:, :3] @ (centre + [0, 0.1, 0]) + raised[:, 3])[2] > centre[2]  # from above, the crown comes nearer


def test_the_face_table_is_the_exact_mesh(studio: Studio) -> None:
    table = studio.face_table()
    model = FaceModel.load(str(locate("ict_facekit")))
    np.testing.assert_array_equal(table.points, studio.face.neutral[model.table_vertices])


def test_people_are_found_by_name() -> None:
    assert person_named("mara").name == "mara"
    with pytest.raises(InputError, match="mara, theo"):
        person_named("nobody")
