"""The guess at a voice's emotion: it hears pitch, follows its rules, stays weak, and says what it is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.avatar import Avatar
from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.emotion.prosody import MOST_INTENSITY, NOTICE, estimate, listen, strongest
from fake_avatar import FakePerson, FakeVoice, fake_bundle


def hum(seconds: float, hz: float, range_st: float = 0.0, loud: float = 0.1, per_s: float = 4.0) -> np.ndarray:
    """Syllables of a buzzing voice whose pitch swings by a deviation of `range_st` semitones."""
    t = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = hz * 2 ** (np.sqrt(2) * range_st * np.sin(2 * np.pi * 0.7 * t) / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(k * phase) / k for k in range(1, 9))
    return (loud * buzz * (0.55 - 0.45 * np.cos(2 * np.pi * per_s * t))).astype(np.float32)


@pytest.mark.parametrize("hz", [90.0, 200.0, 380.0])
def test_pitch_is_heard_within_a_quarter_of_a_semitone(hz: float) -> None:
    pitch = listen(hum(2.0, hz)).pitch
    assert np.isfinite(pitch).mean() > 0.6
    assert np.nanmedian(pitch) == pytest.approx(12 * np.log2(hz / 100), abs=0.4)


def test_noise_and_silence_are_no_voice() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    assert np.isfinite(listen(noise).pitch).mean() < 0.1
    track = estimate(np.zeros(2 * SAMPLE_RATE_HZ, np.float32))
    assert strongest(track) == "neutral"


def test_the_rules() -> None:
    assert strongest(estimate(hum(6.0, 180.0, range_st=5.0))) == "happy"
    assert strongest(estimate(hum(6.0, 110.0, range_st=0.2, per_s=1.5))) == "sad"
    for track in (estimate(hum(6.0, 180.0, range_st=8.0)), estimate(hum(6.0, 110.0, per_s=1.0))):
        vectors = track.at(np.linspace(0, 6, 30))
        assert vectors[:, 1:].sum(1).max() <= MOST_INTENSITY + 1e-6
        assert not vectors[:, [EMOTIONS.index(each) for each in ("contempt", "disgusted", "surprised")]].any()
    weak, strong = estimate(hum(4.0, 180.0, 5.0), 0.5).at(2.0), estimate(hum(4.0, 180.0, 5.0)).at(2.0)
    np.testing.assert_allclose(weak[1:], 0.5 * strong[1:], atol=1e-6)


def test_an_avatar_takes_auto_for_whole_sounds_only() -> None:
    avatar = Avatar(fake_bundle(32), FakePerson(), FakeVoice())
    assert len(avatar.speak(hum(2.0, 150.0), "auto").motion) == 50
    with pytest.raises(InputError, match="a stream"):
        avatar.speak(iter([hum(2.0, 150.0)]), "auto")
    with pytest.raises(InputError, match="at least 1 s"):
        avatar.speak(hum(0.5, 150.0), "auto")
    with pytest.raises(InputError, match="intensity must lie"):
        avatar.speak(hum(2.0, 150.0), "auto", 1.5)


def test_what_it_is_worth_is_said_alike_everywhere() -> None:
    page = (Path(__file__).parents[1] / "docs" / "speech.md").read_text(encoding="utf-8")
    assert "no better than chance" in NOTICE.lower() and "no better than chance" in page.lower()
