"""The table of speech sounds: every engine's names arrive in one small set."""

from __future__ import annotations

import pytest

from aednerf.speech.phones import _NEAREST, ENGINE_NAMES, GROUPS, PHONES, VOWELS, from_engine, from_ipa


def test_the_set_is_in_order():
    assert len(PHONES) == len(set(PHONES)) == 42 and len(VOWELS) == 17
    grouped = [phone for group in GROUPS.values() for phone in group]
    assert sorted(grouped) == sorted(PHONES), "each phone looks like one group"
    assert not set(_NEAREST) & set(PHONES)
    assert {phone for phones in _NEAREST.values() for phone in phones} <= set(PHONES)


@pytest.mark.parametrize("table", ENGINE_NAMES)
def test_every_name_of_every_engine_becomes_phones(table):
    for name, ipa in ENGINE_NAMES[table].items():
        assert set(from_engine(name, table)) <= set(PHONES) and (from_engine(name, table) or ipa == "ʔ"), name


@pytest.mark.parametrize(
    "ipa, phones",
    [
        ("ˈaɪɚ", "a ɪ ə ɹ"), ("oːɹ", "o ɹ"), ("pf", "p f"), ("tʃ", "t ʃ"), ("ʈʰ", "t"), ("ɑ̃", "ɑ"), ("õ", "o"),
        ("ã", "a"), ("ç", "x"), ("β", "v"), ("ɱ", "m"), ("bʲ", "b"), ("ɯᵝ", "ɨ"), ("ɡ", "ɡ"), ("g", "ɡ"), ("tt", "t"),
        ("ʔ", ""), ("", ""), ("_", "_"), ("y5", "y"),
    ],
)  # fmt: skip
def test_ipa_becomes_the_nearest_phones(ipa, phones):
    assert from_ipa(ipa) == tuple(phones.split())


def test_lips_stay_lips():
    """What closes, bites or rounds the lips in IPA does so in the set."""
    for symbols, group in {"pbmɓʙɱ": "lips closed", "fvɸβʋ": "lip on teeth", "uyøœoɔwʉɒʍɥ": "rounded"}.items():
        assert all(set(from_ipa(symbol)) <= set(GROUPS[group]) for symbol in symbols)


def test_what_no_table_knows_is_an_error():
    with pytest.raises(KeyError, match="U\\+0416"):
        from_ipa("Ж")
    with pytest.raises(KeyError):
        from_engine("qq", "arpabet")
