"""The protocol cross: lips from a motion, their delay and closures against a sound, and the report of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from aednerf import cli
from aednerf.avatar.avatar import Avatar
from aednerf.avatar.bundle import save_bundle
from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FaceTable
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.evaluation.articulation import Articulation, count_closures, wide_gap
from aednerf.evaluation.cross_report import RECORDING, CrossReport
from aednerf.evaluation.evaluate import evaluate
from aednerf.evaluation.lip_gap import LipGap
from aednerf.face.model import FaceModel
from aednerf.face.topology import LEFT_EYE, LIPS_LOWER_INNER, LIPS_UPPER_INNER, RIGHT_EYE
from aednerf.media.audio import write_wav
from aednerf.speech.phoneme import Phoneme, load_phonemes, phoneme_file, save_phonemes
from aednerf.synthetic.lips import Lips
from aednerf.synthetic.performance import perform
from aednerf.synthetic.person import PEOPLE
from aednerf.synthetic.script import Line, Script
from espeak import needs_espeak
from fake_avatar import FakePerson, FakeVoice, fake_bundle
from test_avatar_load import make
from tiny_capture import make_tiny_capture

JAW = ARKIT_NAMES.index("jawOpen")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("cross") / "capture", size=64, n_frames=66)


@pytest.fixture
def avatar() -> Avatar:
    return Avatar(fake_bundle(), FakePerson(), FakeVoice())


def syllables(seconds: float, rate_hz: float = 2.5) -> np.ndarray:
    """A tone of 800 Hz that swells and fades."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    loud = np.clip(np.sin(2 * np.pi * rate_hz * time) * np.sin(2 * np.pi * 0.4 * time), 0.001, 1)
    return (0.6 * loud * np.sin(2 * np.pi * 800 * time)).astype(np.float32)


def test_the_gap_of_a_face_table_is_that_of_the_whole_mesh(assets: Path) -> None:
    model = FaceModel.load(assets / "ict_facekit_light.npz")
    rng = np.random.default_rng(0)
    spoken = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("jawOpen", "mouth"))]
    expression = np.zeros((500, len(ARKIT_NAMES)), np.float32)
    expression[:, spoken] = rng.uniform(0, 0.4, (500, len(spoken)))
    for person in PEOPLE.values():
        face = model.person(person.weights())
        ours = LipGap.of(FaceTable(*model.face_table(face)))(expression)
        exact = np.maximum(Lips.of(face).gap(expression), 0)
        assert np.corrcoef(ours, exact)[0, 1] > 0.99 and np.abs(ours - exact).max() < 0.003


def test_the_gap_opens_with_the_jaw_and_is_unknown_where_the_expression_is(capture: Capture) -> None:
    expression = np.zeros((3, 52), np.float32)
    expression[:, JAW] = (0, 0.5, np.nan)
    closed, open_, unknown = LipGap.of(capture.face)(expression)
    assert open_ > closed + 0.002 and math.isnan(unknown)
    table = capture.face
    with pytest.raises(InputError, match="no lips"):
        LipGap.of(FaceTable(table.points, np.zeros_like(table.deltas), table.part))


def test_closures_are_looked_for_where_the_lips_touch() -> None:
    gap = np.full(100, 10.0)
    at = [Phoneme(name, t, t + 0.1, False) for name, t in (("m", 0.4), ("p", 1.0), ("b", 2.0), ("a", 3.0), ("m", 9.0))]
    assert count_closures(gap, at, 1.0) == (3, 0)  # the last m lies beyond the end
    gap[[11 + 2, 25 - 2]] = 0.5  # m: its middle, 0.45 s; p: its start, 1.0 s
    assert count_closures(gap, at, 1.0) == (3, 2)
    gap[50 + 4] = 0.5  # too late for b
    assert count_closures(gap, at, 1.0) == (3, 2)
    gap[46:55] = np.nan
    assert count_closures(gap, at, 1.0) == (2, 2)


@pytest.mark.parametrize("late", [0, 2])
def test_late_lips_are_found(late: int) -> None:
    sound = syllables(8)
    loud = np.abs(sound.reshape(-1, SAMPLES_PER_FRAME)).mean(1)
    gap = 0.01 * np.log1p(200 * np.concatenate([np.zeros(late), loud[: len(loud) - late]]))
    found = Articulation.of(gap, sound, (), 2 * wide_gap(gap))
    assert found.lag_frames == pytest.approx(late, abs=0.3) and found.correlation > 0.9 > 0.7 > found.chance
    assert found.wide == pytest.approx(0.5) and found.n_bilabials == 0 and math.isnan(found.closure_rate)
    assert math.isnan(Articulation.of(gap[:20], sound, (), 1.0).correlation)  # too short to tell


@needs_espeak
def test_the_lips_of_one_who_speaks_well_close(assets: Path) -> None:
    model = FaceModel.load(assets / "ict_facekit_light.npz")
    face = model.person(PEOPLE["mara"].weights())
    performance = perform(Script("short", "mara", (Line("Bob and Pam may be home. My papa jumps up."),)), face)
    gap = LipGap.of(FaceTable(*model.face_table(face)))(performance.motion.expression)
    found = Articulation.of(gap, performance.samples, performance.phonemes, wide_gap(gap))
    assert found.n_bilabials >= 10 and found.closure_rate == 1.0
    assert abs(found.lag_frames) < 1.5 and found.correlation > 0.2


def run(avatar: Avatar, capture: Capture, folder: Path, **options) -> CrossReport:
    report = evaluate(avatar, capture, folder / "report", "cross", **options)
    assert isinstance(report, CrossReport)
    return report


def test_the_report_compares_every_sound_with_the_recording(avatar: Avatar, capture: Capture, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", syllables(6))
    write_wav(tmp_path / "b.wav", syllables(4, 3.1))
    save_phonemes(phoneme_file(tmp_path / "a.wav"), [Phoneme("m", 2.45, 2.55, True), Phoneme("b", 0.1, 0.2, False)])
    report = run(avatar, capture, tmp_path, audio=[tmp_path / "a.wav", tmp_path / "b.wav"])
    rows = report.rows["mesh"]
    assert list(rows) == [RECORDING, "a.wav", "b.wav"] and list(report.rows) == ["mesh"]
    assert rows[RECORDING].wide == pytest.approx(1.0) and rows[RECORDING].correlation > 0.5
    assert rows["a.wav"].n_frames == 150 and rows["a.wav"].correlation > 0.8 and abs(rows["a.wav"].lag_frames) < 1
    assert rows["a.wav"].n_bilabials == 2 and rows["b.wav"].n_bilabials == 0
    mean = report.mean("mesh")
    assert mean.correlation == pytest.approx((rows["a.wav"].correlation + rows["b.wav"].correlation) / 2)
    assert mean.closure_rate == rows["a.wav"].closure_rate and mean.n_frames == 250
    text = (tmp_path / "report" / "report.json").read_text()
    saved = json.loads(text)
    first = saved["mesh"]["rows"][1]
    assert "NaN" not in text and saved["mesh"]["rows"][2]["closure_rate"] is None
    difference = rows["a.wav"].lag_frames - rows[RECORDING].lag_frames
    assert first["lag_minus_recording"] == pytest.approx(difference)
    assert saved["sounds"]["a.wav"].keys() == {"sha256", "motion_s"} and saved["settings"]["protocol"] == "cross"
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert "| a.wav | 150 |" in markdown and "mean over the sounds" in markdown and "n/a |" in markdown


class Lens:
    """Sees the lips of `FakePerson`: its green is how far the jaw is open."""

    reason = ""

    def find(self, rgb: np.ndarray) -> np.ndarray | None:
        points = np.zeros((478, 2), np.float32)
        points[list(LEFT_EYE)], points[list(RIGHT_EYE)] = (20, 10), (10, 10)
        points[list(LIPS_UPPER_INNER)], points[list(LIPS_LOWER_INNER)] = (15, 20), (15, 20 + rgb[..., 1].max() / 25)
        return points


def test_lips_can_be_looked_for_in_pictures(avatar: Avatar, capture: Capture, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", syllables(6))
    sound = [tmp_path / "a.wav"]
    report = run(avatar, capture, tmp_path, audio=sound, retrack=True, landmarks=Lens(), max_frames=100)
    assert list(report.rows) == ["mesh", "seen"] and report.rows["seen"]["a.wav"].n_frames == 100
    mesh, seen = (report.rows[way]["a.wav"] for way in ("mesh", "seen"))
    assert seen.lag_frames == pytest.approx(mesh.lag_frames, abs=0.1) and seen.correlation > 0.8
    assert "seen" in (tmp_path / "report" / "report.md").read_text()
    blind = Lens()
    blind.reason = "no detector"
    with pytest.raises(InputError, match="no detector"):
        evaluate(avatar, capture, tmp_path / "blind", "cross", audio=sound, retrack=True, landmarks=blind)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"protocol": "cross"}, "add --audio"),
        ({"protocol": "cross", "audio": ["x/a.wav", "y/a.wav"]}, "same name"),
        ({"protocol": "cross", "audio": ["nowhere.wav"]}, "nowhere.wav"),
        ({"protocol": "cross", "audio": ["a.wav"], "every": 2}, "no every"),
        ({"protocol": "cross", "audio": ["a.wav"], "max_frames": 0}, "at least 1"),
        ({"protocol": "self", "audio": ["a.wav"]}, "protocol cross"),
        ({"protocol": "view", "retrack": True}, "protocol cross"),
        ({"protocol": "crossed"}, "measures: self, cross, view"),
    ],
)
def test_mistakes_are_told(avatar: Avatar, capture: Capture, tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluate(avatar, capture, tmp_path / "report", **options)
    assert not (tmp_path / "report").exists()


def test_an_avatar_without_a_voice_is_told(capture: Capture, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", syllables(1))
    with pytest.raises(InputError, match="cannot speak"):
        run(Avatar(fake_bundle(), FakePerson(), None), capture, tmp_path, audio=[tmp_path / "a.wav"])


def test_the_command_measures_and_prints(capture: Capture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me = save_bundle(tmp_path / "me.aednerf", make()[0])
    write_wav(tmp_path / "a.wav", syllables(3))
    words = ["evaluate", str(me), str(capture.path), "-o", str(tmp_path / "r"), "--protocol", "cross"]
    assert cli.run(words) == 2 and "add --audio" in capsys.readouterr().err
    assert cli.run([*words, "--audio", str(tmp_path / "a.wav"), "--max-frames", "50"]) == 0
    assert "| a.wav | 50 |" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"report.json", "report.md"}


def test_phonemes_go_through_their_file(tmp_path: Path) -> None:
    path = phoneme_file(tmp_path / "hello.wav")
    assert path.name == "hello.phonemes.json"
    sounds = (Phoneme("m", 0.125, 0.25, True), Phoneme("aI", 0.25, 0.5, False))
    save_phonemes(path, sounds)
    assert load_phonemes(path) == sounds
    path.write_text('[{"name": "m", "start_s": 0, "end_s": 1}]')
    assert load_phonemes(path) == (Phoneme("m", 0.0, 1.0, False),)
    for text, says in (
        ("{}", "list of sounds"), ('[{"name": "m"}]', "sound 0 must have"), ("[3]", "sound 0 must have"),
        ('[{"name": "m", "start_s": 1, "end_s": 0.5}]', "end after it starts"),
        ('[{"name": "m", "start_s": "x", "end_s": 0.5}]', "sound 0 must have"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(InputError, match=says):
            load_phonemes(path)
