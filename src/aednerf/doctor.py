"""Examine this machine: what the program can do on it, what is missing, and how to get it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from aednerf import assets
from aednerf.core.errors import InputError

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """One thing examined."""

    name: str
    state: State
    text: str
    """What was found."""

    advice: str = ""
    """What to do about it; empty where nothing is wrong."""


def examine(folder: Path) -> list[Finding]:
    """Examine the machine.

    Args:
        folder: where results will be written; its disk is looked at.
    """
    findings = [_python(), _cores(), _memory(), _disk(folder), *_torch(), *_video(), _mediapipe()]
    findings += [_library(name) for name in ("cv2", "scipy", "safetensors", "torchmetrics")]
    return findings + [_asset(name) for name in assets.ASSETS]


def is_usable(findings: Iterable[Finding]) -> bool:
    """Tell whether the program works here, be it with warnings."""
    return all(finding.state != "failure" for finding in findings)


def _python() -> Finding:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", "ok", text)


def _cores() -> Finding:
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding("processor", "ok", f"{n} core{'s' if n != 1 else ''}")


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", "ok", "size unknown")
    gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    if gb < 4:
        return Finding("memory", "warning", f"{gb:.1f} GB", "Preparing a clip takes up to 4 GB: close other programs.")
    return Finding("memory", "ok", f"{gb:.1f} GB")


def _disk(folder: Path) -> Finding:
    gb = shutil.disk_usage(folder).free / 1e9
    if gb < 2:
        return Finding("disk", "warning", f"{gb:.1f} GB free", "A capture with its avatar takes up to 2 GB: free some.")
    return Finding("disk", "ok", f"{gb:.1f} GB free in {folder.resolve()}")


def _torch() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return [_broken("torch", error)]
    found = Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        advice = "Training and rendering run on the processor, small and slow; a CUDA build of PyTorch uses a GPU."
        return [found, Finding("cuda", "warning", "none", advice)]
    devices = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(f"{properties.name} ({properties.total_memory / 1e9:.0f} GB)")
    return [found, Finding("cuda", "ok", f"{torch.version.cuda}: {', '.join(devices)}"), _triton()]


def _triton() -> Finding:
    """Triton compiles a small launcher at first use: that needs a C compiler and Python's headers."""
    slow = "PyTorch's own compiler then cannot speed up the GPU's work, which runs slower but runs."
    try:
        version = importlib.import_module("triton").__version__
    except (ImportError, OSError):
        return Finding("triton", "warning", "missing", f"It comes with PyTorch's CUDA builds on Linux. {slow}")
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    lacking = [
        *([] if compiler else ["a C compiler (Debian: apt install gcc)"]),
        *([] if headers.is_file() else ["Python's headers (Debian: apt install python3-dev)"]),
    ]
    if lacking:
        return Finding("triton", "warning", f"{version}, unusable", f"Install {' and '.join(lacking)}. {slow}")
    return Finding("triton", "ok", f"{version}, compiler {compiler}")


def _video() -> list[Finding]:
    try:
        import av
    except (ImportError, OSError) as error:
        return [_broken("av", error)]
    needed = {
        "to read": ("r", ("h264", "hevc", "aac", "ffv1", "pcm_s16le")),
        "to write": ("w", ("libx264", "aac", "ffv1")),
    }
    lacking = [
        f"{codec} {purpose}"
        for purpose, (mode, codecs) in needed.items()
        for codec in codecs
        if not _has_codec(av, codec, mode)
    ]
    versions = ".".join(map(str, av.library_versions["libavcodec"]))
    text = f"PyAV {av.__version__}, libavcodec {versions}"
    if lacking:
        return [Finding("video", "failure", f"{text}, without {', '.join(lacking)}", "Reinstall it: pip install av")]
    return [Finding("video", "ok", text)]


def _has_codec(av: ModuleType, name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)
    except ValueError:  # av.codec.UnknownCodecError
        return False
    return True


def _mediapipe() -> Finding:
    try:
        version = importlib.import_module("mediapipe").__version__
        importlib.import_module("mediapipe.tasks.python.vision")
    except (ImportError, OSError) as error:
        return _broken("mediapipe", error)
    return Finding("mediapipe", "ok", version)


def _library(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.import_module(name).__version__)
    except (ImportError, OSError) as error:
        return _broken(name, error)


def _broken(name: str, error: Exception) -> Finding:
    package = {"cv2": "opencv-contrib-python"}.get(name, name)
    reason = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        return Finding(name, "failure", "missing", f"pip install {package}")
    return Finding(name, "failure", f"cannot be loaded: {reason}", f"Install what it names, or: pip install {package}")


def _asset(name: str) -> Finding:
    wanted = assets.ASSETS[name]
    try:
        path = assets.locate(name)
    except InputError as error:
        return Finding(name, "failure", "refused", str(error))
    if path:
        return Finding(name, "ok", str(path))
    advice = f"It is downloaded at first use; now: aednerf assets get. From: {wanted.url}"
    return Finding(name, "warning", f"missing ({wanted.purpose})", advice)
