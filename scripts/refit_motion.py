"""Fit an avatar's motion again, to the capture that it was learned from; its field, and so its looks, stay as they are.

    python scripts/refit_motion.py src/aednerf/shipped/mara.aednerf src/aednerf/shipped/mara

For avatars that were made before the motion network changed: this takes seconds, the field's training hours.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import tempfile
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from aednerf.avatar.bundle import Bundle, load_bundle, save_bundle
from aednerf.avatar.restore import restore_person
from aednerf.capture.capture import Capture
from aednerf.training.motion import fit_motion
from aednerf.training.run import coded

PREVIEW = "preview.mp4"


def main() -> None:
    """Replace the motion in an avatar's file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, help="an .aednerf file; it is replaced")
    parser.add_argument("capture", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bundle, record = refitted(load_bundle(options.avatar), Capture.open(options.capture), options.seed)
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(options.avatar) as archive:
        video = archive.extract(PREVIEW, scratch) if PREVIEW in archive.namelist() else None
        save_bundle(options.avatar, bundle, preview_video=video, force=True)
    print(record)


def refitted(bundle: Bundle, capture: Capture, seed: int) -> tuple[Bundle, dict[str, Any]]:
    """Return an avatar with a motion that is fitted anew, and the record of the fit."""
    person = restore_person(bundle, torch.device("cpu"), "the avatar")
    mouth, stats, record = fit_motion(coded(capture, person), seed)
    fit = {
        **record, "refitted": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": platform.machine(), "torch": torch.__version__,
    }  # fmt: skip
    tensors = {name: value for name, value in bundle.tensors.items() if name.startswith("field.")}
    tensors |= {f"motion.{name}": value for name, value in mouth.state_dict().items()}
    tensors |= {f"stats.{name}": torch.as_tensor(value) for name, value in stats.to_arrays().items()}
    training = {**bundle.training, "motion": fit}
    return replace(bundle, motion_config=asdict(mouth.config), tensors=tensors, training=training), fit


if __name__ == "__main__":
    main()
