"""Mattes of synthetic composites: a known soft-edged person over a known backdrop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.face.foreground import straight_foreground
from aednerf.face.matte import refine_mattes
from aednerf.face.plate import Plate, estimate_plate
from aednerf.face.segmenter import PersonSegmenter

SIZE = 256


def _texture(seed: int, low: float, high: float, cells: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((cells, cells, 3)).astype(np.float32)
    return cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) * (high - low) + low


PERSON = _texture(1, 120, 190, 12) + np.array([40, 0, -40], np.float32)
BACKDROP = _texture(2, 30, 110, 16) + np.array([-25, 20, 40], np.float32)


def _alpha(shift: float) -> np.ndarray:
    """Head, shoulders and some hair strands, drawn large and averaged down: exact coverage, slightly soft."""
    canvas = np.zeros((SIZE * 4, SIZE * 4), np.uint8)
    centre = round((128 + shift) * 4)
    cv2.ellipse(canvas, (centre, 110 * 4), (45 * 4, 60 * 4), 0, 0, 360, 255, -1)
    cv2.ellipse(canvas, (128 * 4, 270 * 4), (105 * 4, 90 * 4), 0, 0, 360, 255, -1)
    cv2.rectangle(canvas, (108 * 4, 140 * 4), (148 * 4, 200 * 4), 255, -1)
    for angle in np.linspace(-1.2, 1.2, 9):
        tip = (round(centre + 260 * np.sin(angle)), round((110 - 72 * np.cos(angle)) * 4))
        cv2.line(canvas, (centre, 110 * 4), tip, 255, 6)
    small = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 0.8)


def _scene(n_frames: int, sway: float = 8.0) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(3)
    frames, coarse, truth = [], [], []
    for index in range(n_frames):
        alpha = _alpha(sway * np.sin(index / 2))
        share = alpha[..., None].astype(np.float32) / 255
        frame = share * PERSON + (1 - share) * BACKDROP + random.normal(0, 1.5, PERSON.shape)
        # The coarse matte knows no strands, has a wobbling contour and soft doubt at it.
        body = cv2.morphologyEx(alpha, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
        wobble = np.array([[1, 0, random.integers(-1, 2)], [0, 1, random.integers(-1, 2)]], np.float32)
        body = cv2.warpAffine(body, wobble, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        frames.append(frame.clip(0, 255).astype(np.uint8))
        coarse.append(cv2.GaussianBlur(cv2.resize(body, (128, 128), interpolation=cv2.INTER_AREA), (0, 0), 1.2))
        truth.append(alpha)
    return frames, coarse, truth


@pytest.fixture(scope="module")
def scene() -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], Plate]:
    frames, coarse, truth = _scene(16)
    return frames, coarse, truth, estimate_plate(frames, coarse)


def test_alpha_matches_the_truth(scene) -> None:
    frames, coarse, truth, plate = scene
    found = list(refine_mattes(frames, coarse, plate))
    for alpha, real, rough in zip(found, truth, coarse, strict=True):
        inside, real_inside = alpha > 127, real > 127
        overlap = (inside & real_inside).sum() / (inside | real_inside).sum()
        assert overlap >= 0.97
        near = cv2.dilate(((real > 5) & (real < 250)).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        error = np.abs(alpha[near].astype(float) - real[near]).mean() / 255
        rough_error = np.abs(cv2.resize(rough, (SIZE, SIZE))[near].astype(float) - real[near]).mean() / 255
        # Measured worst: 0.05; the coarse matte alone has 0.13 to 0.14.
        assert error < 0.09 and error < 0.6 * rough_error


def test_no_holes_and_no_islands(scene) -> None:
    frames, coarse, _, plate = scene
    coarse = [mask.copy() for mask in coarse]
    for mask in coarse:
        mask[50:56, 60:66] = 0  # a hole inside the head
        mask[5:15, 5:15] = 255  # an island in the corner
    for alpha in refine_mattes(frames, coarse, plate):
        assert cv2.connectedComponents((alpha >= 40).astype(np.uint8))[0] == 2
        assert alpha[95:120, 115:140].min() == 255
        assert alpha[:40, :40].max() == 0


def test_a_still_contour_does_not_flicker() -> None:
    frames, coarse, _ = _scene(12, sway=0.0)
    plate = estimate_plate(frames, coarse)
    found = np.stack(list(refine_mattes(frames, coarse, plate))).astype(float)
    rough = np.stack([cv2.resize(mask, (SIZE, SIZE)) for mask in coarse]).astype(float)
    flicker, rough_flicker = (np.abs(np.diff(stack, axis=0)).mean() for stack in (found, rough))
    assert flicker < 0.35 * rough_flicker


def test_frames_are_streamed() -> None:
    frames, coarse, _ = _scene(4)
    taken = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal taken
        for frame in frames:
            taken += 1
            yield frame

    mattes = refine_mattes(counted(), coarse, estimate_plate(frames, coarse))
    next(mattes)
    assert taken == 1


def test_nobody_in_the_picture_and_wrong_size(scene) -> None:
    frames, coarse, _, plate = scene
    assert next(refine_mattes(frames[:1], [np.zeros_like(coarse[0])], plate)).max() == 0
    with pytest.raises(InputError, match="differ in size"):
        next(refine_mattes([frames[0][:100]], coarse[:1], plate))


def test_straight_foreground_takes_the_backdrop_out(scene) -> None:
    frames, _, truth, _ = scene
    found = straight_foreground(frames[0], truth[0], BACKDROP.clip(0, 255).astype(np.uint8)).astype(float)
    soft = (truth[0] > 25) & (truth[0] < 230)
    before = np.abs(frames[0][soft] - PERSON[soft]).mean()
    assert np.abs(found[soft] - PERSON[soft]).mean() < 0.4 * before
    solid = truth[0] == 255
    np.testing.assert_array_equal(found[solid], frames[0][solid])


def test_segmenter_finds_the_person(assets: Path, data: Path) -> None:
    capture = cv2.VideoCapture(str(data / "talking" / "studio_8s.mp4"))
    frame = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    with PersonSegmenter(assets / "selfie_segmentation.tflite") as segmenter:
        person = segmenter.segment(frame)
    assert person.shape == (256, 256) and person.dtype == np.uint8
    assert person[140, 128] > 240 and person[20, 20] < 10
    with pytest.raises(ValueError, match="closed"):
        segmenter.segment(frame)


def test_segmenter_rejects_a_missing_and_a_wrong_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        PersonSegmenter(tmp_path / "none.tflite")
    pytest.importorskip("mediapipe")
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(b"no model" * 20)
    with pytest.raises(InputError, match="not an image segmentation model"):
        PersonSegmenter(wrong)


def test_closing_waits_for_a_picture_in_work(assets: Path) -> None:
    segmenter, events, begun = PersonSegmenter(assets / "selfie_segmentation.tflite"), [], threading.Event()
    network = segmenter._segmenter

    class Slow:
        def segment(self, picture: object) -> object:
            events.append("begins")
            begun.set()
            time.sleep(0.2)
            result = network.segment(picture)
            events.append("ends")
            return result

        def close(self) -> None:
            events.append("closes")
            network.close()

    segmenter._segmenter = Slow()
    worker = threading.Thread(target=segmenter.segment, args=(np.zeros((32, 32, 3), np.uint8),))
    worker.start()
    assert begun.wait(5)
    segmenter.close()
    worker.join()
    assert events == ["begins", "ends", "closes"]
