"""Make what comes with the program, `src/aednerf/shipped/`: a capture, the avatar learned from it, and a sentence.

    python scripts/make_demo.py [--work avatars/demo] [--device cuda]

1. `aednerf synthesize demo`: the script `demo.toml` is acted, spoken and filmed. Needs the extra `synthetic`, OpenGL
   and ICT-FaceKit; nothing else in here needs more than PyTorch.
2. The capture is stripped to what training reads: without the truth and the reports, its tables compressed; no number
   and no picture is changed.
3. An avatar is trained on the stripped capture, by `PRESET` and seed `SEED`.
4. The voice of the script says `aednerf.synthetic.shipped.SENTENCE`.

Each part that is there already is kept, and one that was interrupted is continued, so that the parts may be made on
different machines: film on one, train on another with a GPU (`--device cuda`), or bring an avatar (`--avatar FILE`).
`--force` makes all of them again. Most of the time goes into the training; what the shipped avatar was trained by
stands in its bundle.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from tyro.conf import FlagCreatePairsOff, arg

from aednerf.avatar.bundle import load_bundle
from aednerf.capture.capture import Capture, data_files
from aednerf.capture.face_table import FACE_TABLE_NAME
from aednerf.capture.tracking import TRACKING_NAME
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_folder, atomic_path
from aednerf.core.progress import Progress
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.media.audio import write_wav
from aednerf.speech.bundled import WEIGHTS_NAME
from aednerf.synthetic import shipped
from aednerf.synthetic.recording import synthesize
from aednerf.synthetic.script import Script, load_script
from aednerf.synthetic.voice import Voice, speak
from aednerf.terminal import Steps
from aednerf.training.config import PRESETS, Preset, RayBatch
from aednerf.training.run import train

_SMOKE = PRESETS["smoke"]
PRESET = replace(
    _SMOKE, name="demo", n_steps=8000, rate=replace(_SMOKE.rate, warp=2e-4, mix=2e-3),
    field=replace(_SMOKE.field, n_paint=4, paint_m=0.003),
    loss=replace(_SMOKE.loss, warp_size=3e-2), backdrop_share=0.5,
    batch=RayBatch(n_frames=8, n_head=512, mouth_patch_px=16, n_eyes=256, n_picture=128, n_slots=24),
)  # fmt: skip
"""Of the field of `smoke`, so that a picture takes a processor no longer, but trained until little is gained, which
takes a GPU a minute; with so many steps the warp moves slower, or it folds where lids close under raised brows. Fewer
and coarser painted colours keep what is shipped small."""

SEED = 0
LEAD_S, TAIL_S = 0.12, 0.2
"""Silence around the sentence, so that cuts do not touch it."""

COMPRESSED = (TRACKING_NAME, FACE_TABLE_NAME)


def make_demo(
    *,
    script: str = "demo",
    work: Path = Path("avatars/demo"),
    out: Annotated[Path, arg(aliases=["-o"])] = Path(__file__).parents[1] / "src" / "aednerf" / "shipped",
    avatar: Annotated[Path | None, arg(metavar="FILE")] = None,
    steps: Annotated[int | None, arg(metavar="INT")] = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    force: bool = False,
) -> None:
    """Make the shipped data.

    Args:
        script: what is filmed: a TOML file, or the name of one that comes with the program.
        work: the folder of what is not shipped: the whole capture with its truth, and unfinished work.
        out: the folder of the shipped data.
        avatar: ship this avatar instead of training one.
        steps: of the training, instead of the preset's.
        device: where to train.
        force: make all again.
    """
    chosen = load_script(script)
    preset = PRESET if steps is None else replace(PRESET, n_steps=steps)
    with Steps() as progress:
        _capture(chosen, work / shipped.CAPTURE_NAME, out / shipped.CAPTURE_NAME, force, progress)
        _sentence(chosen.voice, out / shipped.SENTENCE_NAME, force)
        _avatar(work, out, avatar, preset, device, force, progress)
    _report(out)


def _capture(script: Script, work: Path, out: Path, force: bool, progress: Progress) -> None:
    if out.exists() and not force:
        return
    whole = Capture.open(work) if work.exists() and not force else synthesize(script, work, force, progress)
    strip(whole, out)


def strip(capture: Capture, out: Path) -> Capture:
    """Write a copy of a capture that holds what training reads and no more; it replaces `out`."""
    with atomic_folder(out) as folder:
        for name in data_files(capture.manifest):
            (folder / name).parent.mkdir(exist_ok=True)
            if name in COMPRESSED:
                with np.load(capture.path / name, allow_pickle=False) as arrays:
                    np.savez_compressed(folder / name, **arrays)
            else:
                shutil.copyfile(capture.path / name, folder / name)
        sizes = {name: (folder / name).stat().st_size for name in data_files(capture.manifest)}
        replace(capture.manifest, files=sizes, health={}).save(folder)
        Capture.open(folder)
    return Capture.open(out)


def _sentence(voice: Voice, out: Path, force: bool) -> None:
    if out.exists() and not force:
        return
    spoken = speak(shipped.SENTENCE, voice).samples
    lead, tail = (np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32) for seconds in (LEAD_S, TAIL_S))
    samples = np.concatenate([lead, spoken, tail])
    write_wav(out, np.pad(samples, (0, -len(samples) % SAMPLES_PER_FRAME)))


def _avatar(
    work: Path, out: Path, given: Path | None, preset: Preset, device: str, force: bool, progress: Progress
) -> None:
    path = out / shipped.AVATAR_NAME
    if given is None:
        if path.exists() and not force:
            return
        given = work / shipped.AVATAR_NAME
        if force or not given.exists():
            train(out / shipped.CAPTURE_NAME, given, preset, device, SEED, force=force, progress=progress)
    if given.is_dir():
        raise InputError(f"{given} is a folder, but one file is shipped: train to a name that ends in .aednerf.")
    load_bundle(given)
    with atomic_path(path) as temporary:
        shutil.copyfile(given, temporary)


def _report(out: Path) -> None:
    """Say what was made and how large it is.

    Raises:
        InputError: it is larger than may be shipped.
    """
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != WEIGHTS_NAME]
    sizes = {path.relative_to(out): path.stat().st_size for path in files}
    for path, size in sizes.items():
        print(f"{size:>10,}  {path}")
    print(f"{sum(sizes.values()):>10,}  of {shipped.MOST_BYTES:,} bytes that may be")
    if sum(sizes.values()) > shipped.MOST_BYTES:
        raise InputError(f"{out} is too large: shorten the script, or train a smaller avatar.")


if __name__ == "__main__":
    tyro.cli(make_demo, config=(FlagCreatePairsOff,))
