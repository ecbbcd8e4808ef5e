"""The terms that a training step minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from aednerf.training.frame_store import HEAD_EDGE, HEAD_OVER_NECK, TORSO_SIDE

_C1, _C2 = 0.01**2, 0.03**2
_STRUCTURE_WINDOW = 5
_SOLID_PER_CM = 20.0
_LEAST_ENERGY = 1e-4
"""Squared steps of luma between neighbours: smooth skin has no gradients that could be missing."""


def colour_loss(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error of colours [..., 3] in [0, 1]."""
    return (picture - truth).square().mean()


def head_alpha_loss(alpha: Tensor, matte: Tensor, region: Tensor) -> Tensor:
    """Return how far the head's alpha [B, R] is from the matte on head pixels and from 0 elsewhere.

    Pixels at the edge between head and neck are left to the colour: no label is exact there.
    """
    target = torch.where(region == TORSO_SIDE, torch.zeros_like(matte), matte)
    return ((alpha - target).square() * (region != HEAD_EDGE)).mean()


def person_alpha_loss(alpha: Tensor, matte: Tensor) -> Tensor:
    """Return the squared error of head and torso's joint alpha [B, R] against the matte."""
    return (alpha - matte).square().mean()


def behind_jaw_loss(torso_alpha: Tensor, matte: Tensor, region: Tensor) -> Tensor:
    """Return how far the torso is from filling what lies right behind the jaw: no gap opens when the head lifts."""
    return ((torso_alpha - matte).square() * (region == HEAD_OVER_NECK)).mean()


def structure_loss(picture: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - SSIM of small patches [B, h, w, 3] in [0, 1] (Wang et al. 2004, with a box window)."""
    a, b = picture.permute(0, 3, 1, 2), truth.permute(0, 3, 1, 2)
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    variance_a, variance_b = _window_mean(a * a) - mean_a**2, _window_mean(b * b) - mean_b**2
    covariance = _window_mean(a * b) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    denominator = (mean_a**2 + mean_b**2 + _C1) * (variance_a.clamp(min=0) + variance_b.clamp(min=0) + _C2)
    return 1 - (numerator / denominator).mean()


def detail_loss(picture: Tensor, truth: Tensor, inside: Tensor) -> Tensor:
    """Return the squared relative error of the gradient energy of patches, all together.

    What cannot be known is blurred where the squared error of colours alone counts, and that error's least value hardly
    rises where all gradients grow a little.

    Args:
        picture: [B, h, w, 3] patches.
        truth: [B, h, w, 3].
        inside: [B, h, w] the pixels that count; where there are none, the loss is 0.
    """
    ours, real = _gradient_energy(picture, inside), _gradient_energy(truth, inside)
    return ((ours - real) / (real + _LEAST_ENERGY)).square()


def empty_space_loss(density: Tensor) -> Tensor:
    """Return the mean density at random points, so that what no ray supervises stays empty."""
    return torch.log1p(density).mean()


def surface_loss(before: Tensor, under: Tensor) -> Tensor:
    """Return how far densities [B, n] before the skin are from empty, and those under it from opaque.

    Opaque is what hides all behind a millimetre of it. No points, no loss.
    """
    cost = torch.log1p(before) + torch.log1p(_SOLID_PER_CM / (under + 1e-3))
    return cost.sum() / max(1, cost.numel())


def _gradient_energy(patches: Tensor, inside: Tensor) -> Tensor:
    luma = patches.mean(-1)
    energy = torch.zeros((), device=patches.device)
    for along in (1, 2):
        n = inside.shape[along] - 1
        both = inside.narrow(along, 0, n) & inside.narrow(along, 1, n)
        energy = energy + (luma.diff(dim=along).square() * both).sum() / both.sum().clamp(min=1)
    return energy


def _window_mean(x: Tensor) -> Tensor:
    return avg_pool2d(x, _STRUCTURE_WINDOW, stride=1)
