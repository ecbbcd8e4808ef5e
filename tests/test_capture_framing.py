"""Who is in a clip, where it is cut, and which square is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aednerf.capture.framing import choose_face, link_faces, shared_crops, square_crop
from aednerf.capture.manifest import Crop
from aednerf.capture.shots import group_shots, thumbnail
from aednerf.core.errors import InputError
from aednerf.core.ordered import ahead, ordered_map


def box(x: float, y: float, size: float) -> np.ndarray:
    return np.array([x - size / 2, y - 0.6 * size, x + size / 2, y + 0.6 * size])


def two_people() -> list[tuple[int, list[np.ndarray]]]:
    """A small person who stays at the left, and a larger one who walks at the right; order changes, one blinks out."""
    samples = []
    for i in range(40):
        left, right = box(200, 300, 80), box(700 + 4 * i, 320, 150)
        boxes = [right, left] if i % 3 else [left, right]
        samples.append((5 * i, boxes[:1] if i in (7, 8) else boxes))
    return samples


def test_each_person_has_one_track() -> None:
    tracks = link_faces(two_people())
    assert len(tracks) == 2
    person, others = choose_face(tracks, 40, "largest")
    assert others == 1 and person.middle_x > 600
    assert choose_face(tracks, 40, "1")[0].middle_x < 300
    np.testing.assert_allclose(person.expected(52)[[0, 2]].mean(), 700 + 4 * 52 / 5, atol=1)


def test_a_passer_by_is_no_person_to_choose() -> None:
    samples = [(5 * i, [box(500, 300, 150)] + ([box(100, 100, 300)] if i == 3 else [])) for i in range(40)]
    tracks = link_faces(samples)
    person, others = choose_face(tracks, 40, "largest")
    assert others == 0 and person.middle_x == 500
    with pytest.raises(InputError, match="shows 1"):
        choose_face(tracks, 40, "2")
    for wrong in ("0", "-1", "left"):
        with pytest.raises(InputError, match="--face"):
            choose_face(tracks, 40, wrong)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (640, 480)])
def test_the_square_holds_head_and_shoulders_inside_the_picture(width: int, height: int) -> None:
    track = link_faces([(i, [box(width * 0.4, height * 0.3, 120 + i % 5)]) for i in range(30)])[0]
    crop = square_crop(track, width, height)
    assert crop.x >= 0 and crop.y >= 0 and crop.x + crop.size <= width and crop.y + crop.size <= height
    assert crop.x < track.boxes[:, 0].min() and crop.x + crop.size > track.boxes[:, 2].max()
    assert crop.y < track.boxes[:, 1].min() and crop.y + crop.size > track.boxes[:, 3].max()
    assert 2.0 < crop.size / 146 < 2.6


def test_a_square_picture_with_a_large_face_stays_whole() -> None:
    large = link_faces([(0, [box(256, 250, 200)])])[0]
    small = link_faces([(0, [box(256, 250, 60)])])[0]
    assert square_crop(large, 512, 512).size == 512
    assert square_crop(small, 512, 512).size < 256


def pictures(backdrop: int, person_x: int, n: int) -> list[np.ndarray]:
    image = np.full((144, 256, 3), backdrop, np.uint8)
    image[60:, person_x - 30 : person_x + 30] = 200
    return [thumbnail(image)] * n


def test_clips_of_one_camera_get_one_square() -> None:
    crops = [Crop(100, 50, 400), Crop(110, 44, 410), Crop(500, 50, 400), Crop(104, 52, 398)]
    sizes = [(1280, 720)] * 3 + [(1920, 1080)]
    shared = shared_crops(crops, sizes)
    assert shared[0] == shared[1] == Crop(100, 39, 420)
    assert shared[2:] == crops[2:]  # another place, another size of picture


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 80), st.integers(200, 400)), min_size=1, max_size=6))
def test_shared_squares_hold_their_own_inside_the_picture(values: list[tuple[int, int, int]]) -> None:
    crops = [Crop(*value) for value in values]
    for own, shared in zip(crops, shared_crops(crops, [(720, 480)] * len(crops)), strict=True):
        assert 0 <= shared.x and shared.x + shared.size <= 720
        assert 0 <= shared.y and shared.y + shared.size <= 480
        assert shared.x <= own.x and shared.x + shared.size >= own.x + own.size
        assert shared.y <= own.y and shared.y + shared.size >= own.y + own.size


def test_a_jump_cut_is_kept_and_another_scene_is_not() -> None:
    shots = group_shots([*pictures(60, 100, 30), *pictures(60, 150, 30), *pictures(140, 100, 25)], [30, 60])
    assert shots.starts == (0, 30, 60) and shots.is_kept == (True, True, False)
    kept = shots.kept(85)
    assert kept[:60].all() and not kept[60:].any()
    back = group_shots([*pictures(60, 90, 10), *pictures(140, 90, 15), *pictures(60, 90, 10)], [10, 25])
    assert back.is_kept == (True, False, True)


def test_threads_keep_the_order_and_pass_errors_on() -> None:
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    results = ordered_map([lambda i: i * i] * 3, items())
    assert next(results) == 0 and len(taken) <= 7
    assert list(results) == [i * i for i in range(1, 50)]
    with pytest.raises(ZeroDivisionError):
        list(ordered_map([lambda i: 1 / i] * 2, [1, 0, 1]))


def test_a_generator_runs_ahead_and_ends_with_its_reader() -> None:
    state = {"made": 0, "closed": False}

    def items(n: int):
        try:
            for i in range(n):
                state["made"] += 1
                if i == 30:
                    raise ZeroDivisionError
                yield i
        finally:
            state["closed"] = True

    with ahead(items(20), depth=3) as taken:
        assert list(taken) == list(range(20))
    state.update(made=0, closed=False)
    with ahead(items(20), depth=3) as taken:
        assert next(taken) == 0
    assert state["closed"] and state["made"] < 10
    with pytest.raises(ZeroDivisionError), ahead(items(50)) as taken:
        list(taken)
