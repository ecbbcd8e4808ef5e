"""Emotions leave speech its closed lips: on synthesised English of known phonemes, however the emotion came."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from aednerf import assets
from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.core.units import FPS, SAMPLE_RATE_HZ
from aednerf.emotion.prior import for_person
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.face.model import FaceModel
from aednerf.motion.channels import JAW_OPEN
from aednerf.motion.closing import ADDED_MEMORY_FRAMES, DEAF_MEMORY_FRAMES, GAP_BY, MEMORY_FRAMES, Closing
from aednerf.motion.generate import MotionGenerator
from aednerf.motion.network import MotionNetwork
from aednerf.speech.phoneme import Phoneme
from aednerf.synthetic import shipped
from aednerf.synthetic.lips import Lips
from aednerf.synthetic.voice import Speech, Voice, speak
from espeak import needs_espeak
from motion_parts import person

TEXT = (
    "Bob maybe bought five new vans for Pam before the film. My mother prefers a very big apple pie. "
    "People from Europe often move above the bay in February. Please put my blue map back behind the pump."
)
FIRST_TEXTS = ("My mother.", "Bob bought it.", "Please go.", "Mary sang.")
PAUSE_SAMPLES = round(1.2 * SAMPLE_RATE_HZ)
PARTING = ("contempt", "disgusted", "happy")
"""Emotions that part the lips in a pause."""

CLOSED_SHARES = (0.1, 0.15, 0.2)
"""Of the 95th percentile of the recording's own gap between the lips: the shipped avatar's neutral mouth is below
them in 0.85, 0.91 and 0.94 of the closures."""

SNEER = [ARKIT_NAMES.index("noseSneerLeft"), ARKIT_NAMES.index("noseSneerRight")]


@pytest.fixture(scope="module")
def voice() -> MotionGenerator:
    found = restore_voice(load_bundle(shipped.shipped(shipped.AVATAR_NAME)), "the shipped avatar")
    assert found is not None
    return found


def face(jaw: float, sneer: float = 0.0) -> np.ndarray:
    row = np.zeros(len(ARKIT_NAMES), np.float32)
    row[JAW_OPEN], row[SNEER] = jaw, sneer
    return row


NOTHING = face(0.0)


def test_the_table_of_gaps_is_the_face_models() -> None:
    lips = Lips.of(FaceModel.load(assets.find("ict_facekit")).person())
    exact_mm, listed = 1e3 * lips.gap_by, GAP_BY != 0
    np.testing.assert_allclose(GAP_BY[listed], exact_mm[listed], rtol=0, atol=0.0501)  # rounded to 0.1 mm
    assert np.abs(exact_mm[~listed]).max() < 0.2


def test_a_closed_mouth_stays_closed_and_an_open_one_is_left_alone() -> None:
    closing = Closing(person(), hears_speech=True)
    closing(face(0.5), face(0.5), 0.0, NOTHING)  # the person is speaking
    held, share = closing(face(0.15, sneer=0.8), face(0.02), 0.0, NOTHING)
    assert share > 0.99 and held @ GAP_BY == pytest.approx(face(0.02) @ GAP_BY, abs=0.05)
    wide = face(0.6, sneer=0.8)
    np.testing.assert_array_equal(closing(wide, face(0.5), 0.0, NOTHING)[0], wide)
    pressed = face(0.0)
    np.testing.assert_array_equal(closing(pressed, face(0.02), 0.0, NOTHING)[0], pressed)


@pytest.mark.parametrize(
    ("hears_speech", "is_added", "frames"),
    [
        (True, False, MEMORY_FRAMES), (True, True, ADDED_MEMORY_FRAMES),
        (False, False, DEAF_MEMORY_FRAMES), (False, True, DEAF_MEMORY_FRAMES),
    ],
)  # fmt: skip
def test_in_a_long_pause_the_emotion_has_the_mouth(hears_speech: bool, is_added: bool, frames: int) -> None:
    closing, felt = Closing(person(), hears_speech), face(0.15, sneer=0.8)
    added = face(0.0, sneer=0.8) if is_added else NOTHING
    closing(face(0.5), face(0.5), 0.0, added)
    shares = [closing(felt, face(0.02), 0.0, added)[1] for _ in range(frames + 1)]
    assert shares[0] > 0.99 and shares[-1] < 1e-3
    assert (np.diff(shares) <= 0).all()
    # Half of the memory at full share, then the way down: its steepest part is 1.5 times the mean.
    assert np.abs(np.diff(shares)).max() < 1.5 / (frames / 2) + 0.01


def test_lips_that_close_first_after_a_pause_are_speech_when_something_is_heard() -> None:
    closing, felt = Closing(person(), hears_speech=True), face(0.15, sneer=0.8)
    shares = [closing(felt, face(0.02), speech, NOTHING)[1] for speech in (0.0, 0.0, 1 / 3, 2 / 3, 1.0)]
    assert shares[1] < 1e-3 and shares[-1] > 0.99
    assert (np.diff(shares[1:]) >= 0).all() and 0.5 < shares[2] < 0.9, "it does not jump"


@needs_espeak
def test_the_first_closure_after_a_long_pause_survives_emotions(voice: MotionGenerator) -> None:
    lips = lips_of(Capture.open(shipped.shipped(shipped.CAPTURE_NAME)))
    said = [speak(text, Voice("en-us+f3")) for text in FIRST_TEXTS]
    sound = np.concatenate([part for each in said for part in (np.zeros(PAUSE_SAMPLES, np.float32), each.samples)])
    ends = np.cumsum([PAUSE_SAMPLES + len(each.samples) for each in said])
    spans = []
    for each, end in zip(said, ends, strict=True):
        first = next(phoneme for phoneme in each.phonemes if phoneme.name in ("m", "b", "p"))
        begin = (end - len(each.samples)) / SAMPLE_RATE_HZ
        spans.append(closed_span(first, begin))
    gaps = {label: lips.gap(spoken_face(voice, sound, label)) for label in ("neutral", *PARTING)}
    least = {label: 1e3 * np.array([gap[span].min() for span in spans]) for label, gap in gaps.items()}
    for label in PARTING:
        # Millimetres; worst 0.5. Were nothing heard, 2.4 to 4.
        assert (least[label] - least["neutral"]).max() < 1.0, (label, least)


@needs_espeak
@pytest.mark.parametrize("source", ["recorded", "prior"])
def test_closures_survive_every_emotion(voice: MotionGenerator, source: str) -> None:
    spoken, capture = speak(TEXT, Voice("en-us+f3")), Capture.open(shipped.shipped(shipped.CAPTURE_NAME))
    lips = lips_of(capture)
    recorded = capture.motion(capture.train_frames).expression
    wide = float(np.quantile(lips.gap(recorded.astype(np.float64)), 0.95))
    generator = voice if source == "recorded" else with_priors(voice)
    rates = {label: closure_rates(generator, spoken, label, lips, wide) for label in EMOTIONS}
    assert (rates["neutral"] > (0.75, 0.85, 0.9)).all(), "speech itself should close the lips"
    for label, rate in rates.items():
        lost = rates["neutral"] - rate
        assert lost.mean() <= 0.05 and lost.max() <= 0.07, (label, rate, rates["neutral"])  # worst: 0.007, 0.021


def with_priors(voice: MotionGenerator) -> MotionGenerator:
    """The person as if no emotion had been recorded: the network ignores emotions, offsets are the prior's."""
    network, stats = copy.deepcopy(voice.mouth), voice.stats
    assert isinstance(network, MotionNetwork)
    network.emotion.weight.data.zero_()
    network.mood.data.zero_()
    offsets = np.stack([for_person(label, stats.rest[:52]) for label in EMOTIONS])
    return MotionGenerator(network, replace(stats, emotion_offset=offsets))


def closure_rates(voice: MotionGenerator, spoken: Speech, label: str, lips: Lips, wide: float) -> np.ndarray:
    """Return the shares of m, b, p, f and v with a gap below each of `CLOSED_SHARES` of `wide`."""
    gap = lips.gap(spoken_face(voice, spoken.samples, label))
    spans = [closed_span(each) for each in spoken.phonemes if each.name in ("m", "b", "p", "f", "v")]
    assert len(spans) > 40
    least = np.array([gap[span].min() for span in spans])
    return np.array([(least < share * wide).mean() for share in CLOSED_SHARES])


def lips_of(capture: Capture) -> Lips:
    return Lips.of(FaceModel.load(assets.find("ict_facekit")).person(capture.tracking.identity))


def spoken_face(voice: MotionGenerator, sound: np.ndarray, label: str) -> np.ndarray:
    """Return the expressions [T, 52] that a sound becomes in an emotion at full intensity."""
    motions = voice.generate([sound], EmotionTrack.constant(parse(label, 1.0)), blink=False)
    return np.concatenate([motion.expression for motion in motions]).astype(np.float64)


def closed_span(sound: Phoneme, begin_s: float = 0.0) -> slice:
    """Return the frames of a sound of closed lips, and one more each way."""
    # espeak-ng counts the silence of a stop to the sound before.
    start_s, end_s = begin_s + sound.start_s - 0.05 * (sound.name in "bp"), begin_s + sound.end_s
    return slice(max(0, int(start_s * FPS) - 1), int(np.ceil(end_s * FPS)) + 1)
