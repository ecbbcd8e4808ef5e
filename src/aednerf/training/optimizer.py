"""Adam over the field's parameters, each kind with its own rate, and the schedule that lowers them together."""

from __future__ import annotations

import torch

from aednerf.render.model import AvatarModel
from aednerf.training.config import LearningRates, Preset


def make_optimizer(model: AvatarModel, rates: LearningRates) -> torch.optim.Adam:
    """Return Adam over all parameters; on a GPU it can be captured in a CUDA graph."""
    head, torso = model.head, model.torso
    code = [] if head.encoder is None else list(head.encoder.parameters())
    apart = {id(p) for p in [*head.warp.parameters(), *code]}
    groups = [
        ([head.grid.table], rates.head_grid),
        ([p for p in head.parameters() if p is not head.grid.table and id(p) not in apart], rates.head_mlp),
        ([grid.basis for grid in head.warp.learned], rates.warp),
        ([grid.mix for grid in head.warp.learned], rates.mix),
        (code, rates.code),
        ([torso.grid.table], rates.torso_grid),
        ([p for p in torso.parameters() if p is not torso.grid.table], rates.torso_mlp),
    ]
    is_cuda = model.device.type == "cuda"
    parameters = [
        # A captured step reads its rate from the device.
        {"params": params, "lr": torch.tensor(rate, device=model.device) if is_cuda else rate, "initial_lr": rate}
        for params, rate in groups
        if params
    ]
    return torch.optim.Adam(parameters, betas=(0.9, 0.99), eps=1e-15, capturable=is_cuda, fused=is_cuda or None)


def set_rates(optimizer: torch.optim.Optimizer, preset: Preset, step: int) -> None:
    """Set the rates of a step: an exponential fall to `final_factor` at the last step."""
    factor = preset.rate.final_factor ** (step / preset.n_steps)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(group["initial_lr"] * factor)
        else:
            group["lr"] = group["initial_lr"] * factor


def sample_scale(preset: Preset, step: int) -> float:
    """Return how many times coarser than at the end the samples lie: early rays must reach through the whole head."""
    stages = (6.5, 3.3, 1.7)
    place = step / max(1.0, preset.warm_up_share * preset.n_steps) * len(stages)
    return stages[int(place)] if place < len(stages) else 1.0
