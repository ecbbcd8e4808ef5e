"""The speech sounds that the bundled encoder tells apart: one small set for all languages, by their IPA symbols.

Every engine that speaks names its sounds differently; a name becomes IPA (`ENGINE_NAMES`), and IPA becomes phones of
this set (`from_ipa`): the nearest one, as a mouth goes, where the set lacks a sound. Length, stress, tone, nasality
and secondary articulation are dropped; diphthongs and affricates become two phones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from aednerf.speech.phoneme import SILENCE

PHONES: tuple[str, ...] = (
    SILENCE,
    "i", "ɪ", "e", "ɛ", "æ", "a", "ɑ", "ɔ", "o", "ʊ", "u", "y", "ø", "ɨ", "ə", "ʌ", "ɜ", "p", "b", "m", "f", "v", "w",
    "θ", "ð", "t", "d", "n", "s", "z", "ʃ", "ʒ", "l", "r", "ɹ", "j", "k", "ɡ", "ŋ", "x", "h",
)  # fmt: skip
"""Silence, 17 vowels and 24 consonants: the columns of the encoder's probabilities."""

VOWELS = frozenset(PHONES[1:18])

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "silence": (SILENCE,),
    "lips closed": ("p", "b", "m"),
    "lip on teeth": ("f", "v"),
    "rounded": ("u", "ʊ", "o", "ɔ", "y", "ø", "w"),
    "spread": ("i", "ɪ", "e", "j"),
    "open": ("ɛ", "æ", "a", "ɑ", "ʌ"),
    "central": ("ə", "ɜ", "ɨ", "ɹ"),
    "hushing": ("ʃ", "ʒ"),
    "hissing": ("s", "z"),
    "tongue": ("θ", "ð", "t", "d", "n", "l", "r"),
    "back": ("k", "ɡ", "ŋ", "x", "h"),
})  # fmt: skip
"""Phones that look alike on a mouth; each phone stands in one group."""

_NEAREST: Mapping[str, tuple[str, ...]] = MappingProxyType({
    # vowels
    "ʏ": ("y",), "œ": ("ø",), "ɶ": ("ø",), "ɵ": ("ø",), "ʉ": ("u",), "ɯ": ("ɨ",), "ɤ": ("ʌ",), "ɘ": ("ə",), "ɐ": ("ʌ",),
    "ɒ": ("ɔ",), "ɞ": ("ɜ",), "ɝ": ("ɜ", "ɹ"), "ɚ": ("ə", "ɹ"), "ᵻ": ("ɪ",), "ᵿ": ("ʊ",), "ɿ": ("ɨ",), "ʅ": ("ɨ",),
    # lips
    "ɓ": ("b",), "ɸ": ("f",), "β": ("v",), "ʋ": ("v",), "ⱱ": ("v",), "ɱ": ("m",), "ʙ": ("b",), "ʍ": ("w",),
    "ɥ": ("y",), "ɰ": ("ɡ",),
    # tongue
    "ɗ": ("d",), "ʈ": ("t",), "ɖ": ("d",), "c": ("k",), "ɟ": ("ɡ",), "ɲ": ("n",), "ɳ": ("n",), "ɾ": ("r",), "ɽ": ("r",),
    "ɺ": ("l",), "ɻ": ("ɹ",), "ɭ": ("l",), "ʎ": ("l",), "ʟ": ("l",), "ɫ": ("l",), "ɬ": ("l",), "ɮ": ("l",),
    "ʂ": ("ʃ",), "ʐ": ("ʒ",), "ɕ": ("ʃ",), "ʑ": ("ʒ",), "ɧ": ("ʃ",), "ʦ": ("t", "s"), "ʣ": ("d", "z"),
    "ʧ": ("t", "ʃ"), "ʤ": ("d", "ʒ"), "ʨ": ("t", "ʃ"), "ʥ": ("d", "ʒ"), "ř": ("r",),
    # throat
    "g": ("ɡ",), "ɠ": ("ɡ",), "q": ("k",), "ɢ": ("ɡ",), "ʛ": ("ɡ",), "ɴ": ("ŋ",), "ç": ("x",), "ʝ": ("j",), "ɣ": ("ɡ",),
    "χ": ("x",), "ʁ": ("r",), "ʀ": ("r",), "ħ": ("h",), "ɦ": ("h",), "ʕ": ("h",), "ʜ": ("h",), "ʢ": ("h",),
})  # fmt: skip
"""IPA symbols outside the set, as phones of the set."""

_DROPPED = frozenset("ˈˌːˑ.|‖‿͜͡ᵝʰʲʷˠˤʼˀ˞~̃'`,;:-–^*!?0123456789_ʔ˥˦˧˨˩→↗↘↑↓ⁿˡⁱʴ()[]{}\"")
"""Marks that change no phone of the set; a glottal stop is part of the vowel beside it."""


def from_ipa(name: str) -> tuple[str, ...]:
    """Return the phones of a sound written in IPA, in their order; none for what is no sound of its own.

    >>> from_ipa("ˈaɪ"), from_ipa("tʃ"), from_ipa("ɚ"), from_ipa("bʲ"), from_ipa("_")
    (('a', 'ɪ'), ('t', 'ʃ'), ('ə', 'ɹ'), ('b',), ('_',))

    Raises:
        KeyError: it has a symbol that is neither in the set nor in the table.
    """
    if name == SILENCE:
        return (SILENCE,)
    phones: list[str] = []
    for symbol in unicodedata.normalize("NFC", name):
        # What NFC leaves combined (an õ, an ã) is a letter with a mark that does not count.
        if symbol not in _NEAREST and symbol not in PHONES:
            symbol = unicodedata.normalize("NFD", symbol)[0]
        if symbol in _DROPPED or unicodedata.combining(symbol):
            continue
        found = _NEAREST.get(symbol) or ((symbol,) if symbol in PHONES else None)
        if found is None:
            raise KeyError(f"No phone stands for {symbol!r} (U+{ord(symbol):04X}) of {name!r}.")
        phones += [phone for phone in found if not phones or phone != phones[-1]]
    return tuple(phones)


_ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n", "er": "ɝ", "ey": "eɪ", "f": "f",
    "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ", "ix": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n",
    "ng": "ŋ", "nx": "n", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "pau": SILENCE, "h#": SILENCE, "r": "ɹ", "s": "s",
    "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}  # fmt: skip
_ROMANCE = {
    "#": SILENCE, "pau": SILENCE, "a": "a", "ax": "ə", "e": "e", "E": "ɛ", "i": "i", "o": "o", "O": "ɔ", "u": "u",
    "uax": "ə", "j": "j", "y": "j", "w": "w", "p": "p", "b": "b", "B": "β", "t": "t", "d": "d", "D": "ð", "k": "k",
    "g": "ɡ", "G": "ɣ", "f": "f", "v": "v", "s": "s", "z": "z", "S": "ʃ", "Z": "ʒ", "th": "θ", "x": "x", "ts": "ts",
    "dz": "dz", "tS": "tʃ", "tZ": "dʒ", "dZ": "dʒ", "m": "m", "n": "n", "J": "ɲ", "N": "ŋ", "ng": "ŋ", "nf": "ɱ",
    "l": "l", "L": "ʎ", "r": "ɾ", "rr": "r", "h": "h",
}  # fmt: skip
_CZECH = {
    "#": SILENCE, "_": "ʔ", "a": "a", "e": "ɛ", "i": "ɪ", "o": "o", "u": "u", "b": "b", "c": "ts", "c~": "tʃ",
    "ch": "x", "d": "d", "d~": "ɟ", "dz": "dz", "dz~": "dʒ", "f": "f", "g": "ɡ", "h": "ɦ", "j": "j", "k": "k",
    "l": "l", "m": "m", "n": "n", "n*": "ŋ", "n~": "ɲ", "p": "p", "r": "r", "r~": "rʒ", "r~*": "rʃ", "s": "s",
    "s~": "ʃ", "t": "t", "t~": "c", "v": "v", "z": "z", "z~": "ʒ",
}  # fmt: skip
_FINNISH = {
    "#": SILENCE, "_": SILENCE, "a": "ɑ", "e": "e", "i": "i", "o": "o", "u": "u", "y": "y", "&": "æ", "@": "æ",
    "7": "ø", "##": SILENCE, "T": "θ", "D": "ð", "L": "l", "Z": "ʒ", "b": "b", "d": "d", "f": "f", "g": "ɡ", "h": "h",
    "j": "j", "k": "k", "l": "l", "m": "m", "n": "n", "N": "ŋ", "ng": "ŋ", "p": "p", "r": "r", "s": "s", "S": "ʃ",
    "t": "t", "v": "ʋ", "w": "ʋ", "z": "z",
}  # fmt: skip

ENGINE_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"arpabet": _ARPABET, "romance": _ROMANCE, "czech": _CZECH, "finnish": _FINNISH}
)
"""The names that flite (`arpabet`) and festival's voices give to sounds, in IPA."""


def from_engine(name: str, table: str) -> tuple[str, ...]:
    """Return the phones of a sound by an engine's name for it; its length and stress marks are dropped.

    >>> from_engine("aw", "arpabet"), from_engine("a1", "romance"), from_engine("r~", "czech")
    (('a', 'ʊ'), ('a',), ('r', 'ʒ'))

    Raises:
        KeyError: the table has no such name.
    """
    names = ENGINE_NAMES[table]
    ipa = names[name] if name in names else names[name.rstrip("0123456789:")]
    return from_ipa(ipa)
