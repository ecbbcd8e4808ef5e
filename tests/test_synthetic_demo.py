"""`aednerf demo`: swing, screen, video, sheet, training again; with stand-ins for the person and what is shipped."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aednerf import cli
from aednerf.avatar.avatar import Avatar
from aednerf.avatar.bundle import SYNTHETIC, Place, load_bundle
from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.media.audio import load_audio, write_wav
from aednerf.media.image import read_image
from aednerf.media.video import probe, read_video
from aednerf.synthetic import shipped
from aednerf.synthetic.demo import EMOTIONS, YAWS_DEG, Demo, Swing, demo, show, usual_preset
from aednerf.synthetic.painting import paint_evening
from aednerf.synthetic.screen import Screen
from fake_avatar import FakePerson, FakeVoice, fake_bundle
from test_training_field import TINY
from tiny_capture import make_tiny_capture

N_TAKES = len(EMOTIONS) + 1
"""The last one is the orbit."""

ROOT = Path(__file__).parents[1]


def make_demo_script():
    spec = importlib.util.spec_from_file_location("make_demo", ROOT / "scripts" / "make_demo.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_sentence(path: Path, seconds: float) -> Path:
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    write_wav(path, (0.3 * np.sin(2 * np.pi * 300 * time) * np.sin(2 * np.pi * 2 * time)).astype(np.float32))
    return path


def test_the_camera_swings_from_side_to_side():
    swing = Swing(3.0, 18.0)
    assert [round(swing.at(t).yaw_deg, 3) for t in (-1, 0, 1.5, 3, 4)] == [18, 18, 0, -18, -18]


def test_the_screen_shows_one_person_over_each_backdrop():
    backdrops = np.full((8, 8, 3), 40, np.uint8), paint_evening(8, 8)
    person = np.zeros((8, 8, 4), np.uint8)
    person[:, :4] = (200, 100, 50, 255)
    person[:, 4] = (100, 50, 25, 128)  # premultiplied
    screen = Screen(backdrops)
    shown = screen.show(person, "left", "right")
    assert shown.shape == (screen.height, screen.width, 3) == (8 + screen.strip, 16, 3)
    for number, backdrop in enumerate(backdrops):
        panel = shown[:8, 8 * number : 8 * number + 8].astype(int)
        assert (panel[:, :4] == (200, 100, 50)).all()
        assert np.array_equal(panel[:, 5:], backdrop[:, 5:])
        assert np.abs(panel[:, 4] - ((100, 50, 25) + backdrop[:, 4] * (127 / 255))).max() <= 1


def test_the_backdrop_is_the_same_each_time_and_smooth():
    picture = paint_evening(96, 64)
    assert picture.shape == (64, 96, 3) and np.array_equal(picture, paint_evening(96, 64))
    assert not np.array_equal(picture, paint_evening(96, 64, seed=4))
    assert picture[0].mean() < picture[-1].mean() - 50


def test_the_last_take_goes_around_once(tmp_path):
    class Watched(FakePerson):
        views = []

        def render(self, *args, view=None, **options):
            self.views.append(None if view is None else np.degrees(np.arctan2(-view[0, 2], view[0, 0])))
            return super().render(*args, view=view, **options)

    person = Watched()
    show(
        Avatar(fake_bundle(64), person, FakeVoice()), tmp_path / "me.aednerf",
        write_sentence(tmp_path / "sentence.wav", 1.0), tmp_path,
    )  # fmt: skip
    orbit = np.array([view or 0.0 for view in person.views[-25:]])
    assert person.views[-25] is None  # it begins at the front
    assert orbit.max() > 18 and orbit.min() < -18 and orbit.argmax() < 12 < orbit.argmin()
    swing = np.array([view or 0.0 for view in person.views[:25]])
    assert (np.diff(swing) < 0).all()


def test_a_video_with_sound_a_sheet_and_a_backdrop(tmp_path, monkeypatch):
    told = []
    sentence = write_sentence(tmp_path / "sentence.wav", 0.97)
    person = Avatar(fake_bundle(64), FakePerson(), FakeVoice())
    made = show(person, tmp_path / "me.aednerf", sentence, tmp_path / "out", lambda *told_now: told.append(told_now))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"demo.mp4", "demo.png", "evening.png"}

    screen_height = 64 + Screen((np.zeros((64, 64, 3), np.uint8),)).strip
    info = probe(made.video)
    assert (info.width, info.height, info.has_audio) == (128, screen_height, True)
    n_frames = 24 * N_TAKES  # a quarter of a frame's sound is left over
    assert made.n_frames == n_frames and info.duration_s == pytest.approx(n_frames / FPS, abs=0.01)
    assert told[0][:3] == ("render", 1, n_frames) and told[-1][:3] == ("render", n_frames, n_frames)
    heard, once = load_audio(made.video), load_audio(sentence)[: 24 * SAMPLES_PER_FRAME]
    for number in range(N_TAKES):
        first = number * 24 * SAMPLES_PER_FRAME
        assert np.corrcoef(heard[first : first + len(once)], once)[0, 1] > 0.97

    av = pytest.importorskip("av")
    with av.open(str(made.video)) as container:
        assert container.metadata["comment"] == SYNTHETIC
    pictures = list(read_video(made.video))
    assert np.abs(pictures[0][2:8, 2:60].astype(int) - (0, 0, 200)).max() < 25  # the plate is at the left
    sheet = read_image(made.sheet)
    assert sheet.shape == (screen_height * N_TAKES, 128 * len(YAWS_DEG), 3)
    assert np.array_equal(sheet[:4, 64:128], read_image(made.backdrop)[:4])

    monkeypatch.chdir(tmp_path)
    for line in made.suggestions():
        words = shlex.split(line)
        assert words[0] == "aednerf" and words[1] in cli.COMMANDS
    assert "--audio sentence.wav" in made.suggestions()[0] and "--background out/evening.png" in made.suggestions()[1]


def test_the_sheet_shows_each_view_with_an_open_mouth(tmp_path):
    made = show(
        Avatar(fake_bundle(64), FakePerson(), FakeVoice()), tmp_path / "me.aednerf",
        write_sentence(tmp_path / "sentence.wav", 2.0), tmp_path,
    )  # fmt: skip
    sheet = read_image(made.sheet)
    middle = [sheet[30, 128 * column + 32].astype(int) for column in range(len(YAWS_DEG))]
    assert all(green > 15 for _, green, _ in middle)  # the fake head is as green as its jaw is open


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A package's folder with a tiny capture and a short sentence in place of what is shipped."""
    place = tmp_path_factory.mktemp("package")
    make_tiny_capture(place / shipped.CAPTURE_NAME, size=64, n_frames=33)
    write_sentence(place / shipped.SENTENCE_NAME, 0.2)
    return place


@pytest.fixture(autouse=True)
def in_package(package, monkeypatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(shipped, "shipped_folder", lambda: package)


@pytest.fixture(scope="module")
def trained(package, tmp_path_factory) -> tuple[Demo, set[str]]:
    """A demonstration with training, and the steps that it told of."""
    steps = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "shipped_folder", lambda: package)
        out, preset = tmp_path_factory.mktemp("out"), replace(TINY, n_steps=150)
        before = listing(package)
        made = demo(out, preset, "cpu", progress=lambda step, *_: steps.add(step))
        assert listing(package) == before  # an installed package may be read-only
    return made, steps


def listing(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_training_again_writes_beside_the_video(trained):
    made, steps = trained
    assert {"loading frames", "training", "render"} <= steps
    assert made.avatar == made.video.parent / "mara.aednerf" and made.n_frames == 5 * N_TAKES
    assert load_bundle(made.avatar).place == Place("tiny0.mp4", 64, 64, 0, 0, 64, 0, 33)
    names = {path.name for path in made.avatar.parent.iterdir()}
    assert names == {"demo.mp4", "demo.png", "evening.png", "mara.aednerf"}


def test_what_is_finished_is_kept_and_what_is_not_goes_on(trained):
    made, _ = trained
    out, before = made.video.parent, made.avatar.stat().st_mtime_ns
    with pytest.raises(InputError, match="demo.mp4 exists already.*--force"):
        demo(out, TINY, "cpu")
    made.video.unlink()  # as if the rendering had been interrupted
    demo(out, TINY, "cpu")
    assert made.video.is_file() and made.avatar.stat().st_mtime_ns == before


def test_missing_data_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="mara.aednerf is missing.*make_demo.py"):
        demo(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file"):
        demo(tmp_path / "file")


def test_the_command_prints_where_the_results_are(trained, package, tmp_path, monkeypatch, capsys):
    place = tmp_path / "package"
    shutil.copytree(package, place)
    shutil.copyfile(trained[0].avatar, place / shipped.AVATAR_NAME)
    monkeypatch.setattr(shipped, "shipped_folder", lambda: place)
    monkeypatch.chdir(tmp_path)
    assert cli.run(["demo", "--device", "cpu", "-o", "my demo"]) == 0
    shown = capsys.readouterr().out
    assert "my demo/demo.mp4: " in shown and "my demo/demo.png: " in shown
    assert "aednerf speak package/mara.aednerf --audio package/sentence.wav -o 'my demo'/" in shown
    assert cli.run(["demo", "-o", "my demo"]) == 2


def test_a_processor_trains_the_small_preset():
    assert usual_preset("cpu") == "smoke"


def test_stripping_keeps_what_training_reads_and_nothing_else(tmp_path):
    whole = make_tiny_capture(tmp_path / "whole", size=64, n_frames=11, clips=2)
    for extra in ("report.html", "truth/truth.npz"):
        (whole.path / extra).parent.mkdir(exist_ok=True)
        (whole.path / extra).write_bytes(b"more")
    small = make_demo_script().strip(whole, tmp_path / "small")
    names = {str(path.relative_to(small.path)) for path in small.path.rglob("*") if path.is_file()}
    assert names == {*small.manifest.files, "capture.json"}
    assert sum(small.manifest.files.values()) < sum(whole.manifest.files.values())
    assert np.array_equal(small.tracking.landmarks_px, whole.tracking.landmarks_px)
    assert np.array_equal(small.face.deltas, whole.face.deltas) and small.manifest.consent == whole.manifest.consent
    for stream in (Capture.images, Capture.mattes, Capture.parts):
        assert all(np.array_equal(a, b) for a, b in zip(stream(small), stream(whole), strict=True))
