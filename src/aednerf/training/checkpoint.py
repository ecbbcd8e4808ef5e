"""Training checkpoints: one safetensors file, written whole or not at all, with the optimiser's state and the step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path


class Progressed(NamedTuple):
    """How far a training had come."""

    step: int
    seconds: float
    """Time spent in all sessions."""


def save_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, progressed: Progressed, identity: dict[str, Any]
) -> None:
    """Write the state of a training.

    Args:
        path: the file.
        module: its parameters and all its buffers are kept.
        optimizer: its moments are kept, in the order of its parameters.
        progressed: the step and the time.
        identity: what makes another training's checkpoint unusable here (preset, capture, seed); compared on loading.
    """
    tensors = {f"model.{name}": value.contiguous() for name, value in _named_tensors(module).items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value.contiguous() for name, value in state.items()}
    notes = {"step": progressed.step, "seconds": progressed.seconds, "identity": identity}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"aednerf": json.dumps(notes, sort_keys=True)})


def load_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, Any]
) -> Progressed:
    """Put a saved state back in place.

    Raises:
        InputError: the file is damaged, or is of another preset, capture, seed or version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {})["aednerf"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        reason = f"{path} is no usable checkpoint ({error})."
        raise InputError(f"{reason} Delete it, or add --force to start again.") from None
    ours, theirs = json.loads(json.dumps(identity)), notes["identity"]
    if theirs != ours:
        differing = [name for name in ours if theirs.get(name) != ours[name]]
        raise InputError(
            f"{path} is of a training with another {', '.join(differing) or 'version'}."
            " Repeat the command that began it, or add --force to start again."
        )
    with torch.no_grad():
        for name, value in _named_tensors(module).items():
            value.copy_(tensors[f"model.{name}"])
    _restore_optimizer(optimizer, tensors)
    return Progressed(int(notes["step"]), float(notes["seconds"]))


def _named_tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in [*module.named_parameters(), *module.named_buffers()]}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    # Only the moments are taken: the rates belong to the schedule.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
