"""The voices that the bundled encoder learns from: phones with times, closures of stops, and what is held out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from aednerf.core.errors import MachineError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.media.codec import CODECS, through_codec
from aednerf.speech.phones import PHONES
from aednerf.synthetic import chorus, engines
from aednerf.synthetic.engines import Order, Utterance, say
from aednerf.synthetic.voice import Voice, speak
from espeak import needs_espeak

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
TEXTS = chorus.Texts(Path(__file__).parents[1] / "scripts" / "encoder_texts.toml")


def spelled(spoken: Utterance | None) -> str:
    assert spoken is not None
    return " ".join(PHONES[p] for p in spoken.phones if p)


def durations(spoken: Utterance, phone: str) -> np.ndarray:
    ends = np.append(spoken.starts_s[1:], len(spoken.samples) / SAMPLE_RATE_HZ)
    return (ends - spoken.starts_s)[spoken.phones == PHONES.index(phone)]


@needs_espeak
def test_espeak_names_sounds_in_ipa():
    names = [p.name for p in speak("A choir of bees.", Voice("en-us"), ipa=True).phonemes]
    assert {"k", "w", "b", "z"} <= set(names) and any("iː" in name for name in names)
    assert any(p.is_stressed for p in speak("Bees.", Voice("en-us"), ipa=True).phonemes)


@needs_espeak
def test_espeak_says_phones_and_stops_have_their_closure():
    (spoken,) = say([Order("espeak-ng", "en-us", "My baby will keep a paper.")])
    assert spoken is not None and spelled(spoken).startswith("m a ɪ b e ɪ b i w")
    assert spoken.starts_s[0] == 0 and (np.diff(spoken.starts_s) >= 0).all()
    assert durations(spoken, "p").min() > 0.06 and durations(spoken, "p").max() < 0.25
    assert 0.03 < durations(spoken, "b").mean() < 0.15


@needs_espeak
def test_what_is_spoken_in_unknown_sounds_is_left_out(monkeypatch):
    def refuse(name: str):
        raise KeyError(name)

    monkeypatch.setattr(engines, "from_ipa", refuse)
    assert say([Order("espeak-ng", "en-us", "Hello.")]) == [None]


@needs_flite
def test_flite_says_phones():
    (spoken,) = say([Order("flite", "slt", "Bob buys a pipe")])
    assert spelled(spoken) == "b ɑ b b a ɪ z ə p a ɪ p"


def test_festival_names_become_phones():
    ends = [("#", 0.1), ("d", 0.2), ("a:", 0.3), ("c~", 0.5), ("#", 0.6)]
    spoken = engines._of_ends(np.zeros(9600, np.float32), ends, "czech")
    assert spoken is not None and spelled(spoken) == "d a t ʃ"
    np.testing.assert_allclose(spoken.starts_s, [0, 0.1, 0.2, 0.3, 0.41, 0.5])
    assert engines._of_ends(np.zeros(9600, np.float32), [("nonsense", 0.6)], "czech") is None


def test_a_missing_program_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MachineError, match="apt install flite"):
        say([Order("flite", "slt", "Hello")])


def test_training_and_judging_share_no_voice_language_or_sentence():
    train, tests = chorus.training_orders(TEXTS, 400, 30, 0), chorus.held_out_orders(TEXTS)
    assert {order.engine for order in train} == {"espeak-ng", "flite"}
    assert {order.engine for order in tests["held-out engine"]} == {"festival"}
    voices = {order.voice for order in train}
    assert not any(voice.partition("+")[2] in chorus.HELD_OUT_VARIANTS for voice in voices)
    assert not any(voice.partition("+")[0] in chorus.HELD_OUT_LANGUAGES for voice in voices)
    said = {order.text for order in train}
    assert not said & {order.text for orders in tests.values() for order in orders}
    assert set(chorus.FESTIVAL_LANGUAGES) <= set(engines.FESTIVAL_VOICES)
    assert train == chorus.training_orders(TEXTS, 400, 30, 0) != chorus.training_orders(TEXTS, 400, 30, 1)


def test_a_corpus_survives_the_file(tmp_path):
    rng = np.random.default_rng(0)
    made = [
        Utterance(rng.uniform(-1, 1, n).astype(np.float32), np.array([0, 0.01, 0.02]), np.array([0, 5, k]))
        for k, n in ((7, 500), (8, 900))
    ]
    orders = [Order("flite", voice, "") for voice in ("a", "lost", "b")]
    chorus.save_corpus(tmp_path / "c.npz", orders, [made[0], None, made[1]])
    found = list(chorus.load_corpus(tmp_path / "c.npz"))
    assert [voice for voice, _ in found] == ["flite a", "flite b"]
    for (_, loaded), spoken in zip(found, made, strict=True):
        np.testing.assert_allclose(loaded.samples, spoken.samples, atol=1e-4)
        np.testing.assert_array_equal(loaded.phones, spoken.phones)
    padded = chorus.silent_ends(made[0], 0.5, 0.25)
    assert padded.phones.tolist() == [0, 0, 5, 7, 0] and padded.starts_s[2] == pytest.approx(0.51)


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_neither_shifts_nor_stretches(codec):
    times = np.arange(24_000) / SAMPLE_RATE_HZ
    voice = np.sin(2 * np.pi * 140 * times + 3 * np.sin(9 * times)) * (np.sin(17 * times) > -0.3)
    voice = (0.2 * voice * (1 + 0.5 * np.sin(2 * np.pi * 700 * times))).astype(np.float32)
    decoded = through_codec(voice, codec, 24_000)
    assert decoded.shape == voice.shape and decoded.dtype == np.float32
    # Worst seen 0.96 (Opus).
    assert np.corrcoef(decoded, voice)[0, 1] > 0.9
