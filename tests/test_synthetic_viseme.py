"""Phonemes to mouth shapes: closures at every phase of the frames, rounding that spreads, no jumps."""

from __future__ import annotations

import numpy as np
import pytest

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import FPS
from aednerf.speech.phoneme import SILENCE, Phoneme
from aednerf.synthetic.viseme import TARGETS, shape_mouth, viseme_of

JAW, PUCKER = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthPucker")


def spoken(names: str, seconds: float = 0.09, offset: float = 0.0) -> list[Phoneme]:
    sounds = [Phoneme(SILENCE, 0.0, 0.3 + offset, False)]
    for name in names.split():
        sounds.append(Phoneme(name, sounds[-1].end_s, sounds[-1].end_s + seconds, False))
    return [*sounds, Phoneme(SILENCE, sounds[-1].end_s, sounds[-1].end_s + 0.5, False)]


def times(sounds: list[Phoneme]) -> np.ndarray:
    return (np.arange(int(sounds[-1].end_s * FPS)) + 0.5) / FPS


@pytest.mark.parametrize("closing", ["m", "b", "p"])
@pytest.mark.parametrize("offset", np.linspace(0, 0.04, 5))
def test_some_frame_falls_into_every_closure(closing, offset):
    sounds = spoken(f"A {closing} A", seconds=0.08, offset=float(offset))
    closure = shape_mouth(sounds, times(sounds)).closure
    start = next(p.start_s for p in sounds if p.name == closing)
    near = np.abs(times(sounds) - start) < 0.1
    assert closure[near].max() == 1
    assert closure[~near].max() < 0.5


def test_a_sound_against_the_teeth_bites():
    sounds = spoken("A v A")
    mouth = shape_mouth(sounds, times(sounds))
    assert mouth.bite.max() == 1 and mouth.closure.max() == 0


def test_vowels_differ_as_they_do():
    jaw, pucker = {}, {}
    for vowel in ("A", "i", "u"):
        sounds = spoken(vowel, seconds=0.2)
        shape = shape_mouth(sounds, times(sounds)).expression
        jaw[vowel], pucker[vowel] = shape[:, JAW].max(), shape[:, PUCKER].max()
    assert jaw["A"] > 2 * jaw["i"] and jaw["A"] > 2 * jaw["u"]
    assert pucker["u"] > 0.5 and pucker["A"] < 0.1 and pucker["i"] < 0.1


def test_rounding_passes_through_a_consonant_but_not_through_a_spread_vowel():
    rounded = {}
    for before in ("t", "i"):
        sounds = spoken(f"{before} u")
        at = next(p for p in sounds if p.name == before)
        middle = np.argmin(np.abs(times(sounds) - (at.start_s + at.end_s) / 2))
        rounded[before] = shape_mouth(sounds, times(sounds)).expression[middle, PUCKER]
    assert rounded["t"] > 2 * rounded["i"]


def test_long_silence_rests():
    sounds = spoken("A o")
    shape = shape_mouth(sounds, times(sounds)).expression
    assert shape[-1].max() < 0.03
    assert shape[:, JAW].max() <= TARGETS["a"]["jawOpen"] * 1.1 + 1e-9


def test_no_name_is_without_a_shape():
    for name in ("m-", "n-", "aI@", "tS", "t#", "I2", "O2", "i:", "@L", "??", "ö"):
        assert set(viseme_of(name)) <= set(TARGETS)
