"""Who says what, so that the bundled speech encoder hears many voices; and voices that it never hears in training.

Trained on: espeak-ng in every variant but `HELD_OUT_VARIANTS` and many languages, and flite. Never heard in training:
festival, an engine of its own, with its voices of English, Italian, Czech, Finnish and Catalan, languages that no
voice speaks in training; and espeak-ng's held-out variants, saying held-out sentences. Festival's voices of the
speakers whom flite has as well (kal, slt) are left out of both.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.speech.phoneme import SILENCE
from aednerf.speech.phones import PHONES
from aednerf.synthetic.engines import Order, Utterance

VARIANTS: tuple[str, ...] = (
    "", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee",
    "Marco", "Mario", "Michael", "Mike", "Nguyen", "RicishayMax", "Storm", "adam", "anika", "announcer", "antonio",
    "aunty", "belinda", "benjamin", "boris", "caleb", "croak", "david", "ed", "edward", "edward2", "f1", "f2", "f3",
    "f4", "f5", "grandma", "grandpa", "gustave", "iven", "iven2", "iven3", "john", "kaukovalta", "klatt", "klatt2",
    "klatt3", "klatt4", "klatt5", "klatt6", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "max",
    "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph",
    "steph2", "steph3", "travis", "victor", "whisper", "whisperf", "zac",
)  # fmt: skip
"""espeak-ng's variants of its voices that sound like people; "" is the plain voice."""

HELD_OUT_VARIANTS: tuple[str, ...] = ("f4", "m5", "klatt3", "Andrea", "michel", "steph2", "boris", "iven2")
HELD_OUT_LANGUAGES: tuple[str, ...] = ("it", "cs", "fi", "ca", "et")
N_HELD_OUT_ENGLISH = 15
"""The last so many American sentences are said by held-out voices only."""

FLITE_VOICES: tuple[str, ...] = ("kal16", "awb", "rms", "slt")
FESTIVAL_LANGUAGES: dict[str, str] = {
    "ked_diphone": "en-us", "lp_diphone": "it", "pc_diphone": "it", "upc_ca_ona_hts": "ca", "czech_dita": "cs",
    "czech_krb": "cs", "czech_machac": "cs", "czech_ph": "cs", "suo_fi_lj_diphone": "fi", "hy_fi_mv_diphone": "fi",
}  # fmt: skip

_WITH_MEANINGLESS_WORDS = ("en-us", "en", "de", "fr", "es", "pt-br", "nl", "sv", "pl", "id", "ro", "sw", "hu", "tr")
_ENGLISH_SHARE = 0.25


class Texts:
    """The sentences and syllables of `scripts/encoder_texts.toml`."""

    def __init__(self, path: str | Path) -> None:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        self.sentences: dict[str, list[str]] = content["sentences"]
        self._syllables: dict[str, list[str]] = content["syllables"]

    def training(self, language: str) -> list[str]:
        """Return the sentences of a language that are said in training."""
        sentences = self.sentences[language]
        return sentences[:-N_HELD_OUT_ENGLISH] if language == "en-us" else sentences

    def held_out(self, language: str) -> list[str]:
        """Return the sentences of a language that only held-out voices say."""
        return self.sentences[language][-N_HELD_OUT_ENGLISH:]

    def meaningless(self, rng: np.random.Generator) -> str:
        """Return a sentence of words that mean nothing."""
        words = []
        for _ in range(int(rng.integers(5, 10))):
            syllables = ["".join(rng.choice(self._syllables[k]) for k in ("onsets", "vowels", "codas"))
                         for _ in range(int(rng.integers(1, 4)))]  # fmt: skip
            words.append("".join(syllables))
        return " ".join(words) + "."


def training_orders(texts: Texts, n_espeak: int, n_flite: int, seed: int) -> list[Order]:
    """Return what is said in training: `n_espeak` sentences, and `n_flite` by each of flite's voices."""
    rng = np.random.default_rng([seed, 1])
    variants = [v for v in VARIANTS if v not in HELD_OUT_VARIANTS]
    others = [lang for lang in texts.sentences if lang not in HELD_OUT_LANGUAGES and not lang.startswith("en")]
    orders = []
    for _ in range(n_espeak):
        is_english = rng.random() < _ENGLISH_SHARE
        language = str(rng.choice(["en-us", "en"] if is_english else others))
        variant = str(rng.choice(variants))
        voice = f"{language}+{variant}" if variant else language
        text = _text(texts, language, rng)
        pitch, pitch_range = int(rng.integers(5, 95)), int(rng.integers(20, 90))
        orders.append(Order("espeak-ng", voice, text, pitch, pitch_range, float(rng.uniform(0.75, 1.45))))
    for voice in FLITE_VOICES:
        for _ in range(n_flite):
            orders.append(Order("flite", voice, _text(texts, "en-us", rng), rate=float(rng.uniform(0.8, 1.3))))
    return orders


def _text(texts: Texts, language: str, rng: np.random.Generator) -> str:
    """Return a sentence, the halves of two, or words without meaning."""
    kind = rng.random()
    if kind < 0.35 and language in _WITH_MEANINGLESS_WORDS:
        return texts.meaningless(rng)
    first, second = (str(rng.choice(texts.training(language))).split() for _ in range(2))
    if kind < 0.7 and min(len(first), len(second)) > 3:
        return " ".join(first[: len(first) // 2] + second[len(second) // 2 :])
    return " ".join(first)


def held_out_orders(texts: Texts) -> dict[str, list[Order]]:
    """Return what voices say that are never heard in training, by the name of the test."""
    engine = [
        Order("festival", voice, text)
        for voice, language in FESTIVAL_LANGUAGES.items()
        for text in texts.held_out(language)
    ]  # fmt: skip
    rng = np.random.default_rng(2)
    variants = [
        Order("espeak-ng", f"{language}+{variant}", text, int(rng.integers(20, 80)), 50, float(rng.uniform(0.9, 1.2)))
        for variant in HELD_OUT_VARIANTS
        for language in ("en-us", "et")
        for text in texts.held_out(language)[:6]
    ]  # fmt: skip
    return {"held-out engine": engine, "held-out variants": variants}


def save_corpus(path: Path, orders: Sequence[Order], spoken: Sequence[Utterance | None]) -> None:
    """Write the utterances that were spoken as one `.npz` file of 16-bit samples."""
    pairs = [(order, u) for order, u in zip(orders, spoken, strict=True) if u is not None and len(u.phones) > 2]
    np.savez(
        path,
        samples=np.concatenate([np.round(np.clip(u.samples, -1, 1) * 32767).astype(np.int16) for _, u in pairs]),
        n_samples=np.array([len(u.samples) for _, u in pairs]),
        starts_s=np.concatenate([u.starts_s for _, u in pairs]).astype(np.float32),
        phones=np.concatenate([u.phones for _, u in pairs]).astype(np.uint8),
        n_phones=np.array([len(u.phones) for _, u in pairs]),
        voices=np.array([f"{order.engine} {order.voice}" for order, _ in pairs]),
        names=np.array(PHONES),
    )


def load_corpus(path: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield the voice and the utterance of each entry of a corpus."""
    with np.load(path, allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}
    ends, phone_ends = np.cumsum(content["n_samples"]), np.cumsum(content["n_phones"])
    for i, voice in enumerate(content["voices"]):
        samples = content["samples"][ends[i] - content["n_samples"][i] : ends[i]]
        part = slice(phone_ends[i] - content["n_phones"][i], phone_ends[i])
        starts, phones = content["starts_s"][part].astype(np.float64), content["phones"][part].astype(np.int64)
        yield str(voice), Utterance(samples.astype(np.float32) / 32767, starts, phones)


def silent_ends(spoken: Utterance, before_s: float, after_s: float) -> Utterance:
    """Return the utterance with silence around it."""
    ends: list[NDArray[np.float32]] = [np.zeros(round(s * SAMPLE_RATE_HZ), np.float32) for s in (before_s, after_s)]
    duration = len(spoken.samples) / SAMPLE_RATE_HZ
    starts = np.concatenate([[0.0], spoken.starts_s + before_s, [before_s + duration]])
    silent = PHONES.index(SILENCE)
    return Utterance(
        np.concatenate([ends[0], spoken.samples, ends[1]]), starts, np.concatenate([[silent], spoken.phones, [silent]])
    )
