"""A script filmed with a stand-in for the studio: a whole capture, its truth, its views, and going on after a stop."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture.capture import Capture
from aednerf.capture.held_out import HeldOutViews
from aednerf.capture.truth import Truth
from aednerf.core.errors import InputError
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.media.audio import load_audio
from aednerf.media.image import read_image
from aednerf.media.video import decode_frames, probe
from aednerf.speech.phoneme import SILENCE
from aednerf.synthetic import recording
from aednerf.synthetic.script import Line, Script
from aednerf.synthetic.views import CAMERAS
from aednerf.synthetic.voice import Voice
from aednerf.training.run import train
from espeak import needs_espeak
from stand_in_stage import StandInStage
from test_training_field import TINY

SCRIPT = Script(
    "short", "mara", (Line("My baby saw a map above the moon.", "happy", 0.8), Line("Bob may move.", "sad")),
    Voice("en-us+f3"), seed=2, size=64,
)  # fmt: skip

pytestmark = [needs_espeak, pytest.mark.usefixtures("assets")]


@pytest.fixture(scope="module")
def capture(tmp_path_factory, assets) -> Capture:
    return recording.synthesize(SCRIPT, tmp_path_factory.mktemp("synthetic") / "mara", build=StandInStage)


def digests(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".html")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_it_is_a_capture(capture):
    assert [(clip.emotion, clip.intensity) for clip in capture.clips] == [("happy", 0.8), ("sad", 1.0)]
    assert capture.tracking.valid.all() and capture.tracking.residual.shape == (capture.n_frames, 0)
    assert "computer-generated" in capture.manifest.consent
    assert len(list(capture.images())) == len(list(capture.mattes())) == len(list(capture.parts())) == capture.n_frames
    for index, clip in enumerate(capture.clips):
        sound = capture.audio(index)
        assert sound is not None and len(sound) == clip.n_frames * SAMPLES_PER_FRAME
    assert not list(capture.path.parent.glob("*.unfinished"))
    assert {path.name for path in capture.path.iterdir()} == {
        "capture.json", "frames.mp4", "matte.mkv", "parts.mkv", "background", "audio", "tracking.npz", "face.npz",
        "report.html", "report.png", "truth",
    }  # fmt: skip


def test_pictures_show_the_moments_that_the_tracking_says(capture, assets):
    lips = capture.tracking.landmarks_px[:, [13, 14]].mean(1)
    images = list(capture.images())
    for frame in (0, 49, 50, capture.clips[0].end - 1, capture.clips[0].end, capture.n_frames - 1):
        x, y = lips[frame].astype(int)
        red, green, _ = images[frame][y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
        assert red > 1.3 * green, frame  # a mouth, not skin or backdrop


def test_the_truth_fits_the_capture(capture):
    truth = Truth.load(capture.path)
    assert np.array_equal(truth.expression, capture.tracking.expression)
    assert np.array_equal(truth.rotation, capture.tracking.rotation)
    assert truth.ibug68_px.shape == (capture.n_frames, 68, 2)
    # The mesh's and MediaPipe's idea of the corners of the mouth are about the same place.
    corners = truth.ibug68_px[:, [48, 54]] - capture.tracking.landmarks_px[:, [61, 291]]
    assert np.abs(corners).max() < 2
    assert truth.phonemes[0].name == SILENCE
    assert truth.phonemes[-1].end_s == pytest.approx(capture.n_frames / FPS)
    assert truth.camera.tolist() == [capture.camera(0).focal_px, 32, 32]


def test_the_foreground_over_the_plate_is_the_picture(capture):
    foreground = list(decode_frames(capture.path / "truth" / "foreground.mp4"))
    assert len(foreground) == capture.n_frames
    for frame, (image, matte) in enumerate(zip(capture.images(), capture.mattes(), strict=True)):
        alpha = matte[..., None] / 255
        composite = foreground[frame] * alpha + capture.plate(capture.shot_of(frame)) * (1 - alpha)
        assert np.abs(composite - image).mean() < 8


def test_the_bare_videos_are_the_clips_with_sound(capture):
    for index, clip in enumerate(capture.clips):
        path = capture.path / "truth" / "video" / f"{clip.name}.mp4"
        info = probe(path)
        assert info.has_audio and not info.is_variable_rate and info.duration_s == pytest.approx(clip.n_frames / FPS)
        images = list(decode_frames(path))
        assert len(images) == clip.n_frames
        assert np.array_equal(images[-1], list(capture.images(clip.end - 1, clip.end))[0])
        heard, written = load_audio(path), capture.audio(index)
        assert len(heard) == len(written) and np.corrcoef(heard, written)[0, 1] > 0.97
        assert clip.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_held_out_views_are_there(capture):
    views = HeldOutViews.load(capture.path)
    assert [view.name for view in views.views] == [name for name, _, _ in CAMERAS]
    assert views.frames.tolist() == list(range(12, capture.n_frames, 25))
    for view in views.views:
        assert np.allclose(view.motion[:, :3] @ view.motion[:, :3].T, np.eye(3), atol=1e-5)
        for frame in views.frames:
            picture, parts = views.image(view, int(frame)), views.parts(view, int(frame))
            assert picture.shape == (64, 64, 4) and set(np.unique(parts)) == {0, 1, 2, 3}
            assert (picture[..., 3][parts > 0] > 0).mean() > 0.95  # labels and alpha show the same person
    left, right = (views.image(views.views[i], 12).astype(int) for i in (2, 3))
    assert np.abs(left - right).mean() > 3


class Stopped(Exception):
    """The machine went away."""


class StoppingStage(StandInStage):
    """Breaks off at a given shot."""

    last = 0

    def shoot(self, moment, view=None):
        if self.n_shots == self.last:
            raise Stopped
        return super().shoot(moment, view)


@pytest.mark.parametrize("last", [20, 95])
def test_a_stopped_run_goes_on_and_ends_the_same(capture, tmp_path, last):
    out = tmp_path / "mara"
    with pytest.raises(Stopped):
        recording.synthesize(SCRIPT, out, build=type("Breaking", (StoppingStage,), {"last": last}))
    assert not out.exists() and (tmp_path / "mara.unfinished").is_dir()
    stages = []

    def build(*arguments):
        stages.append(StandInStage(*arguments))
        return stages[0]

    again = recording.synthesize(SCRIPT, out, build=build)
    n_pictures = capture.n_frames + len(CAMERAS) * len(range(12, capture.n_frames, 25))
    assert stages[0].n_shots <= n_pictures - (last // 50) * 50
    assert digests(again.path) == digests(capture.path)


def test_a_changed_script_starts_again(capture, tmp_path):
    out = tmp_path / "mara"
    with pytest.raises(Stopped):
        recording.synthesize(SCRIPT, out, build=type("Breaking", (StoppingStage,), {"last": 60}))
    other = replace(SCRIPT, seed=SCRIPT.seed + 1, views=False)
    assert len(list((tmp_path / "mara.unfinished" / "pieces").iterdir())) >= 4
    again = recording.synthesize(other, out, build=StandInStage)
    assert not np.array_equal(again.tracking.rotation, capture.tracking.rotation)
    assert not (out / "truth" / "views").exists()


def test_finished_captures_are_kept_without_force(capture, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(capture.path, out)
    with pytest.raises(InputError, match="--force"):
        recording.synthesize(SCRIPT, out, build=StandInStage)
    short = replace(SCRIPT, lines=SCRIPT.lines[1:], views=False)
    replaced = recording.synthesize(short, out, force=True, build=StandInStage)
    assert [clip.emotion for clip in replaced.clips] == ["sad"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(InputError, match="no capture"):
        recording.synthesize(SCRIPT, tmp_path / "other", force=True, build=StandInStage)


def test_an_unknown_person_is_named(tmp_path):
    with pytest.raises(InputError, match="mara, theo"):
        recording.synthesize(replace(SCRIPT, identity="nobody"), tmp_path / "x", build=StandInStage)


def test_an_avatar_can_be_trained_on_it(capture, tmp_path):
    avatar = train(capture, tmp_path / "avatar", replace(TINY, n_steps=4))
    assert "computer-generated" in avatar.bundle.consent
    speech = avatar.speak(np.zeros(16000, np.float32))
    assert next(iter(speech.frames())).rgba.shape == (64, 64, 4)


def test_progress_counts_every_picture(tmp_path):
    told = []
    short = replace(SCRIPT, lines=SCRIPT.lines[1:])
    recording.synthesize(short, tmp_path / "x", build=StandInStage,
                         progress=lambda step, done, total, note="": told.append((step, done, total)))  # fmt: skip
    film = [(done, total) for step, done, total in told if step == "film"]
    assert film[-1][0] == film[-1][1] and [done for done, _ in film] == sorted(done for done, _ in film)
    assert read_image(next((tmp_path / "x" / "truth" / "views").rglob("*2.png"))).shape == (64, 64, 4)
