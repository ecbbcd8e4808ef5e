"""Build what draws and what speaks from a bundle's data, which may be a stranger's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from aednerf.avatar.bundle import Bundle
from aednerf.avatar.untrusted import broken
from aednerf.core.errors import InputError
from aednerf.field.config import FieldConfig
from aednerf.motion.generate import MotionGenerator, make_mouth
from aednerf.motion.network import MotionConfig
from aednerf.motion.statistics import MotionStats
from aednerf.render.model import AvatarModel
from aednerf.speech.encoder import find_encoder

Model = TypeVar("Model", bound=nn.Module)


def pick_device(name: str) -> torch.device:
    """Return the device that a user means: `auto` (the GPU where there is one), `cpu` or `cuda`.

    Raises:
        InputError: it is none of these, or there is no GPU that PyTorch can use.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"Unknown device {name!r}. Expected auto, cpu or cuda.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("There is no GPU that this PyTorch can use. Choose --device cpu; `aednerf doctor` says more.")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def restore_person(bundle: Bundle, device: torch.device, path: str | Path) -> AvatarModel:
    """Return the model that draws the person; on a GPU its kernels are compiled when the first picture is drawn.

    Raises:
        InputError: the configuration is out of range, or does not fit the weights.
    """
    config = FieldConfig.from_dict(bundle.field_config)
    model = _filled(lambda: AvatarModel(config), bundle.section("field"), path).to(device)
    model.accelerate()
    return model


def restore_voice(bundle: Bundle, path: str | Path) -> MotionGenerator | None:
    """Return what turns sound into the person's motion, or None where the bundle has no such part.

    Raises:
        InputError: the configuration is out of range, or does not fit the weights.
    """
    if bundle.motion_config is None:
        return None
    config = MotionConfig.from_dict(bundle.motion_config)
    try:
        stats = MotionStats.from_arrays({name: value.numpy() for name, value in bundle.section("stats").items()})
    except (TypeError, ValueError, IndexError) as error:
        raise broken(Path(path), f"motion statistics: {error}") from None
    if config.n_features != find_encoder(config.encoder).dim:
        raise broken(Path(path), f"the speech encoder {config.encoder} does not give {config.n_features} features")
    return MotionGenerator(_filled(lambda: make_mouth(config), bundle.section("motion"), path), stats)


def _filled(build: Callable[[], Model], tensors: dict[str, torch.Tensor], path: str | Path) -> Model:
    """Build a module and fill it with weights, after checking without any memory that they belong together."""
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if wanted != found:
        name = next(iter(sorted(set(wanted.items()) ^ set(found.items()))))[0]
        raise broken(Path(path), f"tensor {name[:80]!r} is {found.get(name)}, its settings ask for {wanted.get(name)}")
    model = build()
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)
