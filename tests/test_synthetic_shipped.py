"""What comes with the program is whole, small, free, true to itself, and all that speaking and the demo need."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FacePart
from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.evaluation.metrics import psnr
from aednerf.face.landmarks import FaceDetector
from aednerf.face.segmenter import PersonSegmenter
from aednerf.face.topology import RIGID
from aednerf.media.audio import load_audio, write_wav
from aednerf.media.video import probe
from aednerf.speech.bundled import MOST_BYTES, WEIGHTS_NAME
from aednerf.synthetic import demo as demo_module
from aednerf.synthetic import shipped
from aednerf.training.motion_stats import measure

FOLDER = shipped.shipped_folder()
SMILE = [ARKIT_NAMES.index("mouthSmileLeft"), ARKIT_NAMES.index("mouthSmileRight")]
FROWN = [ARKIT_NAMES.index("browDownLeft"), ARKIT_NAMES.index("browDownRight")]
JAW_OPEN = ARKIT_NAMES.index("jawOpen")


@pytest.fixture(scope="module")
def capture() -> Capture:
    return Capture.open(shipped.shipped(shipped.CAPTURE_NAME))


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load(shipped.shipped(shipped.AVATAR_NAME), "cpu")


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    return load_audio(shipped.shipped(shipped.SENTENCE_NAME))


def test_it_is_small_and_nothing_else_lies_there(capture):
    files = {path.relative_to(FOLDER).as_posix(): path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()}
    listed = {f"mara/{name}" for name in (*capture.manifest.files, "capture.json")}
    assert files.pop(WEIGHTS_NAME) <= MOST_BYTES, "the speech encoder has a limit of its own"
    assert set(files) == listed | {shipped.AVATAR_NAME, shipped.SENTENCE_NAME}
    assert sum(files.values()) <= shipped.MOST_BYTES


def test_the_capture_shows_every_emotion_and_says_that_it_is_nobody(capture):
    assert {clip.emotion for clip in capture.clips} == set(EMOTIONS)
    assert capture.size == 256 and 20 <= capture.n_frames / FPS <= 30
    assert capture.tracking.valid.all() and capture.tracking.residual.shape[1] == 0
    assert capture.manifest.consent.startswith("computer-generated")
    for index, clip in enumerate(capture.clips):
        assert "ICT-FaceKit (MIT)" in clip.source.licence
        sound = capture.audio(index)
        assert sound is not None and len(sound) == clip.n_frames * SAMPLES_PER_FRAME


def test_the_avatar_says_what_it_is(avatar, capture):
    bundle = avatar.bundle
    assert bundle.consent == capture.manifest.consent and bundle.synthetic
    assert bundle.licences and all("ICT-FaceKit (MIT)" in licence for licence in bundle.licences)
    assert (bundle.camera.width, bundle.camera.height) == (256, 256) and avatar.n_residual == 0


def test_the_sentence_is_short_and_whole_frames(sentence):
    assert 2.5 < len(sentence) / SAMPLE_RATE_HZ < 3.6 and len(sentence) % SAMPLES_PER_FRAME == 0
    assert np.abs(sentence[: SAMPLE_RATE_HZ // 20]).max() < 0.02 and 0.03 < sentence.std() < 0.2


def test_pictures_mattes_labels_and_pose_agree(capture):
    """The surface under the tracked pose lies on the person, rigid landmarks on the head, labels in the matte."""
    skin = capture.face.part == FacePart.SKIN
    for frame in range(5, capture.n_frames, 97):
        matte, parts = (next(stream(frame, frame + 1)) for stream in (capture.mattes, capture.parts))
        assert (matte[parts > 0] > 100).mean() > 0.99 and (matte[parts == 0] < 155).mean() > 0.99
        t, camera = capture.tracking, capture.camera(capture.clip_of(frame))
        placed = capture.face.deformed(t.expression[frame])[skin] @ t.rotation[frame].T + t.translation[frame]
        column, row = np.clip(camera.project(placed).T, 0, capture.size - 1).astype(int)
        assert (parts[row, column] > 0).mean() > 0.98
        inside = t.landmarks_px[frame][list(RIGID)].astype(int)
        assert (parts[inside[:, 1], inside[:, 0]] == 1).all()


def test_the_detector_sees_the_face_where_it_is(capture, assets):
    errors = []
    with FaceDetector(assets / "face_landmarker.task") as detector:
        for frame in range(20, capture.n_frames, 83):
            (face,) = detector.detect(next(capture.images(frame, frame + 1)))
            errors.append(np.linalg.norm(face.points_px - capture.tracking.landmarks_px[frame], axis=-1)[list(RIGID)])
    assert np.median(errors) < 2.5  # pixels of 256; 1.9 at worst in any one frame of a trial recording


def test_the_segmenter_sees_the_person_where_she_is(capture, assets):
    shares = []
    with PersonSegmenter(assets / "selfie_segmentation.tflite") as segmenter:
        for frame in range(20, capture.n_frames, 151):
            found = cv2.resize(segmenter.segment(next(capture.images(frame, frame + 1))), (256, 256)) > 127
            real = next(capture.mattes(frame, frame + 1)) > 127
            shares.append((found & real).sum() / (found | real).sum())
    assert np.median(shares) > 0.97  # 0.989 at worst in a trial recording


def test_the_avatar_looks_like_the_recording(avatar, capture):
    """The test frames were never trained on."""
    torch.set_num_threads(2)
    frames = capture.test_frames[4::10][:5]
    values = []
    for frame, shown in zip(frames, avatar.render(capture.motion(frames)).frames(), strict=True):
        head = next(capture.parts(frame, frame + 1)) == 1
        values.append(psnr(shown.rgba[..., :3], next(capture.images(frame, frame + 1)), head))
    assert np.mean(values) > 24


def test_she_speaks_with_the_sound_and_shows_what_she_feels(avatar, sentence):
    motions = {emotion: avatar.speak(sentence, emotion).motion.expression for emotion in demo_module.EMOTIONS}
    loud = np.abs(sentence).reshape(-1, SAMPLES_PER_FRAME).mean(1)
    assert np.corrcoef(motions["neutral"][:, JAW_OPEN], loud)[0, 1] > 0.2
    assert motions["happy"][:, SMILE].mean() > 0.1 + max(motions[e][:, SMILE].mean() for e in ("angry", "sad"))
    assert motions["angry"][:, FROWN].mean() > 0.1 + motions["happy"][:, FROWN].mean()


def test_training_needs_no_face_model(capture, monkeypatch, tmp_path):
    monkeypatch.delenv("AEDNERF_ASSETS", raising=False)
    monkeypatch.setenv("AEDNERF_CACHE", str(tmp_path / "cache"))
    assert capture.face.deltas.shape[0] == len(ARKIT_NAMES)
    assert len(capture.train_frames) > 500 and measure(capture) is not None
    assert not (tmp_path / "cache").exists()


def test_the_demo_needs_nothing_but_the_package(tmp_path, monkeypatch, sentence):
    monkeypatch.delenv("AEDNERF_ASSETS", raising=False)
    monkeypatch.setenv("AEDNERF_CACHE", str(tmp_path / "cache"))
    for name in ("moderngl", "glcontext", "espeakng_loader", "mediapipe", "pooch"):
        monkeypatch.setitem(sys.modules, name, None)

    def refuse(*_, **__):
        raise OSError("the network is cut")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    short = tmp_path / "short.wav"
    write_wav(short, sentence[SAMPLE_RATE_HZ // 2 :][: 3 * SAMPLES_PER_FRAME])
    paths = {shipped.SENTENCE_NAME: short, shipped.AVATAR_NAME: shipped.shipped(shipped.AVATAR_NAME)}
    monkeypatch.setattr(shipped, "shipped", lambda name: paths[name])
    before = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    made = demo_module.demo(tmp_path / "out", device="cpu")
    info = probe(made.video)
    assert (info.width, info.height, info.has_audio) == (512, 280, True) and made.n_frames == 15
    assert not (tmp_path / "cache").exists() and not list(Path(tmp_path / "out").glob("*.training"))
    assert {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")} == before
