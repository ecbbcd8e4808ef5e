"""Whether torch.compile can build kernels on this machine."""

from __future__ import annotations

import importlib.util
import shutil

import torch


def can_compile(device: torch.device) -> bool:
    """Return whether torch.compile can build kernels for a device: a GPU, Triton and a C compiler.

    Triton compiles a small launcher at first use; `aednerf doctor` says what is missing.
    """
    has_compiler = any(shutil.which(name) for name in ("cc", "gcc", "clang"))
    return device.type == "cuda" and has_compiler and importlib.util.find_spec("triton") is not None
