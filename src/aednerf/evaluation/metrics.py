"""How close one picture is to another: pure functions of pictures and landmarks, in code values."""

from __future__ import annotations

import math
from importlib.util import find_spec

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.face.topology import LIPS_INNER, LIPS_OUTER

Picture = NDArray[np.uint8]

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # BT.709


def psnr(ours: Picture, real: Picture, mask: NDArray[np.bool_]) -> float:
    """Return the peak signal-to-noise ratio over a region, in dB; inf where the pictures are equal there.

    Args:
        ours: [H, W, 3] uint8.
        real: [H, W, 3] uint8.
        mask: [H, W] the region's pixels; NaN is returned where there are none.
    """
    if not mask.any():
        return math.nan
    difference = ours[mask].astype(np.float64) - real[mask].astype(np.float64)
    error = float(np.mean(difference**2))
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def pasted_psnr(ours: Picture, real: Picture, head: NDArray[np.bool_]) -> float:
    """Return the peak signal-to-noise ratio over the whole frame where all but the head is the real frame's, in dB.

    The figure of peers who render a head and paste it into the recording's own torso and background.

    Args:
        ours: [H, W, 3] uint8.
        real: [H, W, 3] uint8.
        head: [H, W] where ours is taken; NaN is returned where that is nowhere.
    """
    if not head.any():
        return math.nan
    return psnr(np.where(head[..., None], ours, real), real, np.ones_like(head))


def ssim(ours: Picture, real: Picture, device: str = "cpu") -> tuple[float, NDArray[np.float32]]:
    """Return the structural similarity (torchmetrics: Gaussian window of 11 pixels, sigma 1.5, RGB).

    Args:
        ours: [H, W, 3] uint8, at least 11 pixels a side.
        real: [H, W, 3] uint8.
        device: Where to compute.
    Returns:
        torchmetrics' own value of the whole picture, and the similarity [H, W] around every pixel, whose mean over a
        region is that region's.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = (torch.from_numpy(p.copy()).to(device).permute(2, 0, 1)[None].float() / 255.0 for p in (ours, real))
    value, everywhere = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
    return float(value), everywhere[0].mean(0).cpu().numpy()


def lmd(ours_px: NDArray[np.float32], real_px: NDArray[np.float32], width: int) -> float:
    """Return the landmark distance of the lips, in pixels at a width of 512.

    Outer and inner lips each lose their own mean, so that a shift of the whole mouth costs nothing (design, section 2).
    The field's figures use another detector (FAN) and cannot be compared.

    Args:
        ours_px: [478, 2] MediaPipe's landmarks in the rendered picture.
        real_px: [478, 2] those in the real one.
        width: of the pictures in pixels.
    """
    distances = []
    for lips in (list(LIPS_OUTER), list(LIPS_INNER)):
        a, b = (points[lips].astype(np.float64) for points in (ours_px, real_px))
        distances.append(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1))
    return float(np.concatenate(distances).mean() * 512 / width)


def gradient_energy(picture: Picture, mask: NDArray[np.bool_]) -> float:
    """Return the mean squared Sobel gradient of luma over a region, NaN where it is empty; luma in [0, 1]."""
    if not mask.any():
        return math.nan
    luma = picture.astype(np.float32) @ _LUMA / 255.0
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    return float(np.mean((across**2 + down**2)[mask]))


def score(
    ours: Picture, real: Picture, regions: dict[str, NDArray[np.bool_]], device: str = "cpu"
) -> dict[str, dict[str, float]]:
    """Return the figures of one frame by region: `psnr`, `ssim`, `gradient` and `real_gradient`.

    Args:
        ours: [H, W, 3] uint8.
        real: [H, W, 3] uint8.
        regions: Masks [H, W] by name; `full` is the whole picture.
        device: Where to compute the structural similarity.
    Returns:
        NaN as `ssim` where torchmetrics is not installed, and for everything of an empty region.
    """
    whole, everywhere = math.nan, np.full(real.shape[:2], np.nan, np.float32)
    if find_spec("torchmetrics") is not None:
        whole, everywhere = ssim(ours, real, device)
    figures = {}
    for name, mask in regions.items():
        figures[name] = {
            "psnr": psnr(ours, real, mask),
            "ssim": whole if name == "full" else float(everywhere[mask].mean()) if mask.any() else math.nan,
            "gradient": gradient_energy(ours, mask),
            "real_gradient": gradient_energy(real, mask),
        }
    return figures
