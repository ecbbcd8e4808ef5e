"""Make the weights of the bundled speech encoder, `src/aednerf/shipped/encoder.safetensors`, and measure them.

    python scripts/train_encoder.py [--work captures/encoder] [--steps 7000] [--device cuda]

1. The voices of espeak-ng, flite and festival say the sentences of `encoder_texts.toml` (Debian: `apt install espeak-ng
   flite festival festvox-kdlpc16k festvox-italp16k festvox-itapc16k festvox-ca-ona-hts festvox-czech-dita
   festvox-czech-krb festvox-czech-machac festvox-czech-ph festvox-suopuhe-lj festvox-suopuhe-mv`). Which voices train
   and which only judge, `aednerf.synthetic.chorus` says.
2. Copies of what is said go through rooms, microphones, noise and codecs, and become log-mel rows with phones.
3. The network learns to tell the phones apart.
4. It is measured on the voices and languages that it never heard, clean and in noise, and written.

Each part that is in `--work` already is kept, and a training that was interrupted is continued: once all is done, the
same command only measures again.
"""

from __future__ import annotations

import datetime
import itertools
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from tyro.conf import FlagCreatePairsOff, arg

from aednerf.core.files import atomic_path, write_json
from aednerf.core.progress import Progress
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.media.codec import CODECS, through_codec
from aednerf.speech.bundled import load_bundled, save_weights, weights_path
from aednerf.speech.encoder import encode
from aednerf.speech.phone_network import PhoneNetwork, PhoneNetworkConfig
from aednerf.synthetic.chorus import Texts, held_out_orders, load_corpus, save_corpus, silent_ends, training_orders
from aednerf.synthetic.engines import Order, say
from aednerf.terminal import Steps
from aednerf.training.encoder import EncoderTraining, Pool, measure, taken_for_lips, train_encoder
from aednerf.training.encoder_data import Heard, Spoken, heard, in_noise, nobody, varied
from aednerf.training.motion_data import coloured_noise

WEIGHTS, RESULTS = weights_path(), Path(__file__).parents[1] / "benchmarks" / "results" / "encoder.json"
CODEC_SHARE = 0.2
COPIES = {"espeak-ng": 3, "flite": 6}
"""Of each utterance: flite's voices are built from recordings and few, espeak-ng's are many and alike."""

NOBODY_SHARE = 0.06
SNRS_DB = (20, 10, 5, 0)


def main(
    *,
    work: Path = Path("captures/encoder"),
    out: Annotated[Path, arg(aliases=["-o"])] = WEIGHTS,
    results: Path = RESULTS,
    n_espeak: int = 2600,
    n_flite: int = 350,
    steps: int = EncoderTraining.steps,
    batch: int = EncoderTraining.batch,
    hidden: int = PhoneNetworkConfig.n_hidden,
    seed: int = 0,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Make and measure the weights.

    Args:
        work: the folder of the corpus and of unfinished work.
        out: the weights.
        results: the figures.
        n_espeak: sentences by espeak-ng in training.
        n_flite: sentences by each of flite's voices.
        steps: of the training.
        batch: sequences of 8 s a step.
        hidden: width of the network.
        seed: of texts, variations, weights and batches.
        device: where to train.
    """
    texts = Texts(Path(__file__).with_name("encoder_texts.toml"))
    work.mkdir(parents=True, exist_ok=True)
    with Steps() as progress:
        tests = held_out_orders(texts)
        speak(work / "training.npz", training_orders(texts, n_espeak, n_flite, seed), progress)
        for name, orders in tests.items():
            speak(work / f"{name}.npz", orders, progress)
        pool = pool_of(work / "training.npz", work / "rows.npz", seed, progress)
        config = PhoneNetworkConfig(n_hidden=hidden)
        settings = EncoderTraining(steps=steps, batch=batch)
        checkpoint = work / "network.safetensors"
        network, record = train_encoder(pool, config, settings, seed, checkpoint, device, progress)
        figures = {name: judged(work / f"{name}.npz", network) for name in tests}
        figures["training voices"] = on_training_voices(work / "training.npz", network)
    save_weights(network, out)
    speed = times_real_time(out, work / "held-out engine.npz")
    arguments = f"--n-espeak {n_espeak} --n-flite {n_flite} --steps {steps} --batch {batch} --hidden {hidden}"
    write_json(results, {
        "command": f"python scripts/train_encoder.py {arguments} --seed {seed} --device {device}",
        "commit": commit(), "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {device}",
        "what": "share of the time in which the network is right, in steps of 20 ms, on voices and languages "
        "that it never heard in training; by signal-to-noise ratio in dB, in noise of falling spectrum",
        "training": {**record, "hours": round(len(pool.rows) / 25 / 3600, 2), "bytes": out.stat().st_size},
        "times real time, one thread": speed,
        **figures,
    })  # fmt: skip
    for name, figure in figures.items():
        print(name, {key: value["phone"] for key, value in figure.items() if "phone" in value})


def speak(path: Path, orders: list[Order], progress: Progress) -> None:
    """Have the orders said, unless the file is there."""
    if path.exists():
        return
    spoken, said = [], []
    for engine in dict.fromkeys(order.engine for order in orders):
        its = [order for order in orders if order.engine == engine]
        for first in range(0, len(its), 50):
            spoken += say(its[first : first + 50])
            said += its[first : first + 50]
            progress(path.stem, len(said), len(orders))
    with atomic_path(path) as temporary:
        save_corpus(temporary, said, spoken)


def pool_of(corpus: Path, path: Path, seed: int, progress: Progress) -> Pool:
    """Return the training utterances as the network gets them, from `path` if that is there."""
    if not path.exists():
        entries = list(load_corpus(corpus))
        babble = [u.samples for _, u in entries[:: max(1, len(entries) // 200)]]
        rng = np.random.default_rng([seed, 2])
        copies = [index for index, (voice, _) in enumerate(entries) for _ in range(COPIES[voice.split()[0]])]
        found: list[Heard] = []
        for done, index in enumerate(rng.permutation(copies), start=1):
            utterance = silent_ends(entries[index][1], *rng.uniform(0, 0.5, 2))
            sounding = varied(Spoken(*utterance), babble, rng)
            if rng.random() < CODEC_SHARE:
                name = str(rng.choice(list(CODECS)))
                samples = through_codec(sounding.samples, name, int(rng.choice([8000, 12000, 16000, 24000, 32000])))
                sounding = Spoken(samples, sounding.starts_s, sounding.phones)
            found.append(heard(sounding))
            if rng.random() < NOBODY_SHARE:
                found.append(heard(nobody(rng.uniform(1, 5), rng)))
            progress("rows", done, len(copies))
        with atomic_path(path) as temporary:
            rows, phones = (np.concatenate(part) for part in zip(*[(h.rows, h.phones) for h in found], strict=True))
            np.savez(temporary, rows=rows, phones=phones)
    with np.load(path, allow_pickle=False) as file:
        return Pool([Heard(file["rows"], file["phones"])])


def judged(path: Path, network: PhoneNetwork) -> dict[str, Any]:
    """Measure the network on a corpus: all of it, each voice, and in noise."""
    entries = [(voice, Spoken(*silent_ends(u, 0.2, 0.2))) for voice, u in load_corpus(path)]
    clean = [heard(spoken) for _, spoken in entries]
    figures: dict[str, Any] = {"clean": measure(network, clean)}
    figures["taken for closed lips"] = taken_for_lips(network, clean)
    for snr_db in SNRS_DB:
        rng = np.random.default_rng(snr_db)
        noisy = [
            heard(Spoken(
                in_noise(s.samples.astype(np.float64), coloured_noise(len(s.samples), rng), snr_db).astype(np.float32),
                s.starts_s, s.phones,
            ))
            for _, s in entries
        ]  # fmt: skip
        figures[f"{snr_db} dB"] = measure(network, noisy)
    voices = {
        voice: measure(network, [h for (v, _), h in zip(entries, clean, strict=True) if v == voice])
        for voice in dict.fromkeys(voice for voice, _ in entries)
    }
    figures["voices"] = {voice: {key: value[key] for key in ("phone", "group")} for voice, value in voices.items()}
    return figures


def on_training_voices(path: Path, network: PhoneNetwork) -> dict[str, Any]:
    """Measure the network on clean sentences that it was trained on: of espeak-ng, and of each of flite's voices."""
    entries = list(load_corpus(path))
    voices = dict.fromkeys("espeak-ng" if voice.startswith("espeak-ng") else voice for voice, _ in entries)
    figures = {}
    for kind in voices:
        its = [u for voice, u in entries if voice.startswith(kind)][:60]
        figures[kind] = measure(network, [heard(Spoken(*silent_ends(u, 0.2, 0.2))) for u in its])
    return figures


def times_real_time(weights: Path, corpus: Path) -> float:
    """Return how many times faster than real time sound becomes rows, from samples on, by processor time."""
    samples = np.concatenate([u.samples for _, u in itertools.islice(load_corpus(corpus), 10)])
    encoder = load_bundled(weights)
    encode(encoder, samples[:SAMPLE_RATE_HZ])
    start = time.process_time()
    encode(encoder, samples)
    return round(len(samples) / SAMPLE_RATE_HZ / (time.process_time() - start), 1)


def commit() -> str:
    """Return the commit that is checked out, or `unknown`."""
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    tyro.cli(main, config=(FlagCreatePairsOff,))
