"""Speech: phonemes in time with the sound, and the same sound for the same text."""

from __future__ import annotations

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.speech.phoneme import SILENCE
from aednerf.synthetic.viseme import viseme_of
from aednerf.synthetic.voice import Voice, speak
from espeak import needs_espeak

TEXT = "Peter, my friend, bought five big maps. Who would believe it?"

pytestmark = needs_espeak


def test_phonemes_fill_the_sound_without_gaps():
    speech = speak(TEXT, Voice("en-us+f3"))
    assert speech.samples.dtype == np.float32 and np.abs(speech.samples).max() < 1
    assert speech.phonemes[0].start_s == 0
    assert speech.phonemes[-1].end_s == pytest.approx(len(speech.samples) / SAMPLE_RATE_HZ)
    for one, following in zip(speech.phonemes[:-1], speech.phonemes[1:], strict=True):
        assert one.start_s < one.end_s == following.start_s
    assert sum(p.is_stressed for p in speech.phonemes) >= 6


def test_pauses_are_quiet_and_vowels_are_not():
    speech = speak(TEXT, Voice())

    def level(phoneme) -> float:
        first, end = (round(t * SAMPLE_RATE_HZ) for t in (phoneme.start_s + 0.03, phoneme.end_s - 0.03))
        return float(np.sqrt(np.square(speech.samples[first:end]).mean())) if end - first > 100 else np.nan

    pauses = [level(p) for p in speech.phonemes if p.name == SILENCE]
    vowels = [level(p) for p in speech.phonemes if p.is_stressed]
    assert np.nanmax(pauses) < 0.1 * np.nanmedian(vowels)


@pytest.mark.parametrize("voice", ["en-us+f3", "en-gb-x-rp+m3"])
def test_every_sound_of_english_has_a_mouth_shape(voice):
    text = (
        "The quick brown fox jumps over a lazy dog while she sings. Boys joined the measure of thin air, near poor "
        "fire and our church; a bottle of good food, half eaten, for you."
    )
    names = {phoneme.name for phoneme in speak(text, Voice(voice)).phonemes}
    assert len(names) > 30
    shapes = {name: viseme_of(name) for name in names}
    unknown = [name for name, shape in shapes.items() if shape == ("schwa",) and not name.startswith(("@", "a#"))]
    assert not unknown


def test_the_same_text_sounds_the_same_whatever_was_said_before():
    first = speak(TEXT, Voice("en-us+f3"))
    speak("Something else entirely.", Voice("en-us+m3", pitch=20))
    second = speak(TEXT, Voice("en-us+f3"))
    assert np.array_equal(first.samples, second.samples) and first.phonemes == second.phonemes


def test_emotions_change_the_voice():
    plain = Voice(pitch=50)
    assert plain.with_emotion("neutral", 1.0) == plain
    sad, happy = plain.with_emotion("sad", 1.0), plain.with_emotion("happy", 1.0)
    assert sad.pitch < plain.pitch < happy.pitch and sad.words_per_minute < happy.words_per_minute
    assert len(speak(TEXT, sad).samples) > 1.1 * len(speak(TEXT, happy).samples)


def test_bad_voices_and_empty_texts_are_refused():
    with pytest.raises(InputError, match="no voice"):
        speak(TEXT, Voice("klingonish"))
    with pytest.raises(InputError, match="nothing that can be spoken"):
        speak(" ", Voice())
