"""Learn an avatar from a capture: the field, then the motion, then the bundle that holds both."""

from __future__ import annotations

import datetime
import importlib.util
import platform
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aednerf import __version__
from aednerf.avatar.avatar import Avatar
from aednerf.avatar.bundle import Bundle, Place, save_bundle
from aednerf.avatar.restore import pick_device
from aednerf.avatar.untrusted import MAX_BYTES
from aednerf.capture.capture import Capture, Shot
from aednerf.core.errors import InputError
from aednerf.core.files import require_absent
from aednerf.core.progress import Progress, silent
from aednerf.field.config import FieldConfig
from aednerf.media.image import resize
from aednerf.motion.generic import GenericMouth
from aednerf.motion.network import MotionNetwork
from aednerf.motion.statistics import MotionStats
from aednerf.render.model import AvatarModel
from aednerf.training.config import Preset, preset_named
from aednerf.training.field import fit_field
from aednerf.training.motion import fit_motion

_PREVIEW_FRAMES = 25
_FEWEST_FRAMES = 25


def train(
    capture: Capture | str | Path, out: str | Path, preset: str | Preset = "fast", device: str = "auto", seed: int = 0,
    resume: bool = False, force: bool = False, progress: Progress = silent,
) -> Avatar:  # fmt: skip
    """Learn an avatar from a capture.

    What is unfinished lies in a folder beside the output, `OUT.training`, and is continued by the next call.

    Args:
        capture: A capture or its folder.
        out: The avatar's folder, or its `.aednerf` file.
        preset: `smoke`, `fast`, `full`, or a preset of your own.
        device: `auto`, `cpu` or `cuda`.
        seed: Of all chance.
        resume: Fail where there is nothing to continue.
        force: Replace a finished avatar, and forget what is unfinished.
        progress: Told how far the training is.

    Returns:
        The avatar, loaded from its bundle.

    Raises:
        InputError: the output exists, the capture is unusable, the preset's field is larger than an avatar may be, or
            there is nothing to resume.
        MachineError: the training diverged.
    """
    out = require_absent(out, force)
    chosen = preset_named(preset) if isinstance(preset, str) else preset
    target = pick_device(device)
    capture = capture if isinstance(capture, Capture) else Capture.open(capture)
    if len(capture.train_frames) < _FEWEST_FRAMES:
        raise InputError(
            f"{capture.path} has {len(capture.train_frames)} usable training frames, expected at least "
            f"{_FEWEST_FRAMES}. Prepare a longer recording, or one where the face is seen."
        )
    _require_room(chosen.field)
    workspace = out.with_name(out.name + ".training")
    checkpoint = workspace / "field.safetensors"
    if force:
        shutil.rmtree(workspace, ignore_errors=True)
    if resume and not checkpoint.exists():
        raise InputError(f"There is nothing to resume: {checkpoint} does not exist. Train without --resume.")
    workspace.mkdir(parents=True, exist_ok=True)
    identity = {"preset": chosen.to_dict(), "capture": dict(capture.manifest.files), "seed": seed}
    model, field_record = fit_field(capture, chosen, target, seed, checkpoint, identity, progress)
    mouth, stats, motion_record = fit_motion(coded(capture, model), seed, target, progress)
    record = {
        "field": field_record, "motion": motion_record, "aednerf": __version__, "torch": torch.__version__,
        "device": torch.cuda.get_device_name(target) if target.type == "cuda" else platform.machine(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "preset": chosen.to_dict(),
    }  # fmt: skip
    bundle = _bundle(capture, chosen, model, mouth, stats, record)
    _save(bundle, model, capture, out, force, progress)
    shutil.rmtree(workspace, ignore_errors=True)
    return Avatar.load(out, device)


def coded(capture: Capture, model: AvatarModel) -> Capture:
    """Return a capture whose residual is the code that a person's field makes of what was read off the pictures."""
    return capture.with_residual(model.code(capture.tracking.residual))


def _require_room(config: FieldConfig) -> None:
    """Refuse a field that no bundle could hold before anybody waits for its training."""
    with torch.device("meta"):
        tensors = AvatarModel(config).state_dict().values()
    n_bytes = sum(each.numel() * min(each.element_size(), 2) for each in tensors)  # a bundle's large tensors are halves
    most = MAX_BYTES["weights.safetensors"]
    if n_bytes > most:
        raise InputError(
            f"A field of these sizes takes about {n_bytes:,} bytes, an avatar's weights at most {most:,}. Choose fewer "
            "or smaller bases, or a smaller log2_entries."
        )


def _bundle(
    capture: Capture, preset: Preset, model: AvatarModel, mouth: MotionNetwork | GenericMouth, stats: MotionStats,
    record: dict[str, Any],
) -> Bundle:  # fmt: skip
    """Gather what the avatar is; its camera, place and background are those of the shot that it shows."""
    shown = model.config.shown_shot
    shot, tracking, frames = capture.shots[shown], capture.tracking, capture.train_frames
    own = frames[(frames >= shot.first) & (frames < shot.end)]
    own = own if len(own) else frames
    middle = own[np.argmin(np.linalg.norm(tracking.translation[own] - tracking.translation[own].mean(0), axis=1))]
    tensors = {f"field.{name}": value.cpu() for name, value in model.state_dict().items()}
    tensors |= {f"motion.{name}": value.cpu() for name, value in mouth.state_dict().items()}
    tensors |= {f"stats.{name}": torch.as_tensor(value) for name, value in stats.to_arrays().items()}
    size = min(capture.size, preset.max_size)
    sources = {f"{item.source.file}: {item.source.licence or 'licence not stated'}" for item in capture.clips}
    return Bundle(
        preset=preset.name,
        field_config=model.config.to_dict(),
        motion_config=asdict(mouth.config),
        tensors=tensors,
        camera=capture.camera(shot.clip).resized(size, size),
        rotation=tracking.rotation[middle],
        translation=tracking.translation[own].mean(0),
        background=resize(capture.plate(shown), size, size),
        training=record,
        licences=tuple(sorted(sources)),
        consent=capture.manifest.consent,
        place=_place(capture, shot),
    )


def _place(capture: Capture, shot: Shot) -> Place | None:
    """Return where a shot's picture was in its video; None where the capture's square is not one of whole pixels."""
    clip = capture.clips[shot.clip]
    x, y, size = int(clip.crop.x), int(clip.crop.y), int(clip.crop.size)
    width, height = clip.source.width, clip.source.height
    if x < 0 or y < 0 or size < 16 or x + size > width or y + size > height:
        return None
    return Place(clip.source.file, width, height, x, y, size, shot.first - clip.first, shot.end - clip.first)


def _save(bundle: Bundle, model: AvatarModel, capture: Capture, out: Path, force: bool, progress: Progress) -> None:
    """Write the bundle with a preview of the person as recorded."""
    frames = capture.train_frames[:_PREVIEW_FRAMES]
    avatar = Avatar(bundle, model.eval().requires_grad_(False), None)
    motion = avatar.fitted(capture.motion(frames))
    picture = next(iter(avatar.render(motion[:1]).frames()))
    bundle = replace(bundle, preview=picture.rgba[..., :3])
    with tempfile.TemporaryDirectory() as scratch:
        video = None
        if importlib.util.find_spec("av") is not None:  # a GPU machine may lack it; the bundle is whole without
            video = avatar.render(motion).save(Path(scratch) / "preview.mp4", progress=progress)
        save_bundle(out, bundle, preview_video=video, force=force)
