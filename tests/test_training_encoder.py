"""Training the bundled encoder: labels lie at their times, variations keep them there, and training can be resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.speech.phone_network import PhoneNetworkConfig
from aednerf.speech.phones import PHONES
from aednerf.training.encoder import EncoderTraining, Pool, measure, taken_for_lips, train_encoder
from aednerf.training.encoder_data import STEP_S, Heard, Spoken, heard, in_a_room, in_noise, nobody, varied

TINY = PhoneNetworkConfig(n_hidden=16, dilations=(1, 2))
QUICK = EncoderTraining(steps=12, batch=2, rows=20, save_every=6)
S, E = PHONES.index("s"), PHONES.index("i")


def sequence(n: int = 24, seed: int = 0) -> Spoken:
    """A hiss for `s`, a low tone for `i`, a fifth of a second each, in turns after silence."""
    rng = np.random.default_rng(seed)
    part = SAMPLE_RATE_HZ // 5
    times = np.arange(part) / SAMPLE_RATE_HZ
    hiss = lambda: np.diff(rng.standard_normal(part + 1)) * 0.05  # noqa: E731
    tone = lambda: sum(np.sin(2 * np.pi * 150 * k * times) for k in (1, 2, 15)) * 0.05  # noqa: E731
    phones = [0] + [S, E] * (n // 2)
    sounds = [np.zeros(part)] + [hiss() if phone == S else tone() for phone in phones[1:]]
    return Spoken(np.concatenate(sounds).astype(np.float32), np.arange(len(phones)) / 5, np.array(phones))


def test_each_step_has_the_phone_of_its_middle():
    utterance = heard(sequence(4))
    assert len(utterance.phones) == 2 * len(utterance.rows) == 50
    assert utterance.phones.tolist() == [0] * 10 + ([S] * 10 + [E] * 10) * 2


def test_variations_keep_sounds_at_their_times():
    spoken = sequence()
    for seed in range(12):
        other = varied(spoken, [spoken.samples], np.random.default_rng(seed))
        ratio = len(other.samples) / len(spoken.samples)
        assert 0.79 < ratio < 1.26 and np.isfinite(other.samples).all() and np.abs(other.samples).max() <= 1
        np.testing.assert_allclose(other.starts_s, spoken.starts_s * ratio, atol=1e-3)
        assert other.phones is spoken.phones


def test_a_room_answers_after_the_direct_sound():
    click = np.zeros(4000)
    click[500] = 1.0
    answer = in_a_room(click, np.random.default_rng(0))
    np.testing.assert_allclose(answer[:501], click[:501], atol=1e-9)
    assert np.abs(answer[501:]).sum() > 0.1


def test_noise_is_as_loud_as_asked():
    rng = np.random.default_rng(0)
    voice, noise = rng.standard_normal(16_000), rng.standard_normal(16_000)
    added = in_noise(voice, noise, 10.0) - voice
    loud = np.sqrt(np.sort(voice**2)[8000:].mean())
    assert 20 * np.log10(loud / added.std()) == pytest.approx(10, abs=0.1)


def test_nobody_says_nothing():
    for seed in range(6):
        utterance = heard(nobody(1.0, np.random.default_rng(seed)))
        assert len(utterance.rows) == 25 and not utterance.phones.any()


def test_the_network_learns_sounds(tmp_path: Path):
    pool = Pool([heard(sequence(seed=seed)) for seed in range(3)])
    config = replace(TINY, n_hidden=32)
    network, record = train_encoder(pool, config, replace(QUICK, steps=150, rate=1e-2), 0, tmp_path / "w.safetensors")
    figures = measure(network, [heard(sequence(seed=9))])
    assert figures["phone"] > 0.85 and record["steps"] == 150


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path):
    pool = Pool([heard(sequence())])
    whole, _ = train_encoder(pool, TINY, QUICK, 0, tmp_path / "a.safetensors")

    class Interrupted(Exception):
        pass

    def interrupt(step: str, done: int, total: int, note: str = "") -> None:
        if done == 10:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_encoder(pool, TINY, QUICK, 0, tmp_path / "b.safetensors", progress=interrupt)
    resumed, _ = train_encoder(pool, TINY, QUICK, 0, tmp_path / "b.safetensors")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)
    with pytest.raises(InputError):
        train_encoder(pool, TINY, QUICK, 1, tmp_path / "b.safetensors")


def test_figures_count_what_they_say():
    class Fixed(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            wanted = torch.tensor([0, 0, PHONES.index("b"), PHONES.index("b"), PHONES.index("e"), S])
            return torch.nn.functional.one_hot(wanted, len(PHONES)).float()[None]

    said = np.array([0, S, PHONES.index("p"), PHONES.index("b"), PHONES.index("i"), PHONES.index("m")])
    figures = measure(Fixed(), [Heard(np.zeros((3, 320), np.float16), said)])  # pyright: ignore
    assert figures["phone"] == 0.2 and figures["group"] == 0.6 and figures["silence"] == 1.0
    assert figures["lips closed, recall"] == round(2 / 3, 4) and figures["lips closed, precision"] == 1.0
    said = np.tile([0, S, S, PHONES.index("b"), PHONES.index("i"), PHONES.index("m")], 100)
    many = [Heard(np.zeros((3, 320), np.float16), said[:6])] * 100
    assert taken_for_lips(Fixed(), many)["s"] == 0.5  # pyright: ignore
    assert figures["speech_s"] == round(5 * STEP_S, 1)
