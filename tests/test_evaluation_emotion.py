"""The protocol emotion, with a voice that smiles and a reader of the picture's colour: what is true is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Motion
from aednerf.emotion.space import EmotionTrack
from aednerf.evaluation.emotion_report import EmotionReport
from aednerf.evaluation.evaluate import evaluate
from aednerf.evaluation.reading import Reading
from aednerf.evaluation.recognition import Judge
from fake_avatar import FakePerson, FakeVoice, fake_bundle
from tiny_capture import make_tiny_capture

SMILE = [ARKIT_NAMES.index("mouthSmileLeft"), ARKIT_NAMES.index("mouthSmileRight")]
HAPPY = EMOTIONS.index("happy")


class Moody(FakeVoice):
    """The jaw says how happy the person is, so that the picture tells."""

    def generate(self, chunks: Iterable[np.ndarray], emotion: EmotionTrack, **options: object) -> Iterator[Motion]:
        for motion in super().generate(chunks, EmotionTrack.constant(emotion.emotions[0])):
            expression = np.zeros_like(motion.expression)
            expression[:, ARKIT_NAMES.index("jawOpen")] = 0.9 * emotion.at(0.0)[HAPPY]
            yield replace(motion, expression=expression)


class Colour:
    """Reads a smile from the green in the middle of the avatar's pictures, and from the mouth of the tiny person's."""

    reason = ""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, rgb: np.ndarray) -> Reading | None:
        scores = np.zeros(len(ARKIT_NAMES), np.float32)
        middle = rgb[self.size // 2 - 2 : self.size // 2 + 2, self.size // 2 - 2 : self.size // 2 + 2]
        scores[SMILE] = middle[..., 1].mean() / 255
        return Reading(scores, float(middle[..., 1].mean()))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("emotion") / "capture", size=32, n_frames=40, clips=6)


@pytest.fixture
def avatar() -> Avatar:
    return Avatar(fake_bundle(32), FakePerson(), Moody())


def test_a_report_says_which_emotion_shows(avatar: Avatar, capture: Capture, tmp_path: Path) -> None:
    out = tmp_path / "report"
    report = evaluate(avatar, capture, out, "emotion", max_frames=30, reader=Colour(32))
    found = json.loads((out / "report.json").read_text())
    assert [row["label"] for row in found["rows"]] == list(EMOTIONS[1:]) and len(found["intensities"]) == 11
    rows = {row["label"]: row for row in found["rows"]}
    assert rows["happy"]["n_frames"] == 30 and rows["happy"]["n_without_face"] == 0
    assert abs(rows["happy"]["spearman"]) == 1.0  # the sign is that of a few levels of the tiny person's skin
    assert rows["happy"]["sync"]["correlation"] is None, "30 frames are too few"
    assert rows["sad"]["is_recorded"] is False and rows["sad"]["cosine"] is None and rows["sad"]["spearman"] is None
    assert rows["angry"]["length_ratio"] == pytest.approx(0, abs=0.02), "nothing moves when angry"
    assert "| happy |" in (out / "report.md").read_text() and "sad (not recorded)" in report.markdown()
    assert (out / "emotions.png").is_file() and not (out / "confusion.png").exists()


def test_other_people_judge(avatar: Avatar, capture: Capture, tmp_path: Path) -> None:
    out = tmp_path / "report"
    evaluate(avatar, capture, out, "emotion", max_frames=30, reader=Colour(32), others=[capture])
    found = json.loads((out / "report.json").read_text())["confusion"]
    assert set(found) == {"avatar", "recording"} and found["avatar"]["taken_for"] == list(EMOTIONS[:6])
    assert np.sum(found["avatar"]["counts"]) == 8 and (out / "confusion.png").is_file()


def test_others_stand_in_for_what_the_recording_does_not_show(avatar: Avatar, capture: Capture, tmp_path: Path) -> None:
    neutral = make_tiny_capture(tmp_path / "neutral", size=32, n_frames=40)
    beside = evaluate(
        avatar, neutral, tmp_path / "beside", "emotion", max_frames=30, reader=Colour(32), others=[capture]
    )
    alone = evaluate(avatar, neutral, tmp_path / "alone", "emotion", max_frames=30, reader=Colour(32))
    assert isinstance(beside, EmotionReport) and isinstance(alone, EmotionReport)
    happy = beside.row("happy")
    assert not happy.is_recorded and abs(happy.cosine) == pytest.approx(1), "one score is read: the shifts are parallel"
    assert "| happy (others') |" in beside.markdown() and "sad (not recorded)" in beside.markdown()
    assert np.isnan(alone.row("happy").cosine) and "happy (not recorded)" in alone.markdown()


def test_the_judge_takes_the_nearest_and_counts() -> None:
    rng = np.random.default_rng(0)

    def person(strength: float) -> dict[str, np.ndarray]:
        shifts = {}
        for label, column in (("neutral", -1), ("happy", SMILE[0]), ("surprised", ARKIT_NAMES.index("browInnerUp"))):
            shifts[label] = rng.normal(0, 0.03, (9, 52))
            if column >= 0:
                shifts[label][:, column] += strength
        return shifts

    judge = Judge.of([person(0.8), person(0.5)])
    assert judge.labels == ("neutral", "happy", "surprised")
    confusion = judge.confusion(person(0.6))
    assert confusion.accuracy == 1 and (confusion.counts == 9 * np.eye(3)).all()
    mixed = judge.confusion({"neutral": person(0.6)["happy"], "happy": person(0.6)["happy"]})
    assert mixed.accuracy == 0.5 and mixed.shown == ("neutral", "happy")
    with pytest.raises(InputError, match="fewer than two emotions"):
        Judge.of([{"neutral": np.zeros((2, 52)), "happy": np.ones((2, 52))}])


def test_mistakes_are_told(avatar: Avatar, capture: Capture, tmp_path: Path) -> None:
    reader = Colour(32)
    with pytest.raises(InputError, match="add --protocol emotion"):
        evaluate(avatar, capture, tmp_path / "a", "self", others=[capture])
    with pytest.raises(InputError, match="no every"):
        evaluate(avatar, capture, tmp_path / "b", "emotion", every=2, reader=reader)
    with pytest.raises(InputError, match="expected at least 1 s"):
        evaluate(avatar, capture, tmp_path / "c", "emotion", max_frames=10, reader=reader)
    with pytest.raises(InputError, match="no motion network"):
        evaluate(Avatar(fake_bundle(32), FakePerson(), None), capture, tmp_path / "d", "emotion", reader=reader)
    reader.reason = "MediaPipe is not installed"
    with pytest.raises(InputError, match="cannot be read from pictures here"):
        evaluate(avatar, capture, tmp_path / "e", "emotion", reader=reader)
    assert not any(tmp_path.iterdir())
