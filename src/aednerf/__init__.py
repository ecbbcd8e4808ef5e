"""Talking avatars of a person from a short video: dynamic radiance fields driven by speech and emotion.

The names below are what a program needs; each is imported when it is first used, so that `import aednerf` stays
quick and loads neither PyTorch nor MediaPipe.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aednerf.avatar.avatar import Avatar
    from aednerf.capture.capture import Capture
    from aednerf.capture.clip import Clip
    from aednerf.capture.steps import prepare
    from aednerf.core.errors import AednerfError, InputError, MachineError
    from aednerf.core.records import Camera, Emotion, Frame, Motion
    from aednerf.emotion.space import EmotionTrack
    from aednerf.motion.files import load_motion, save_motion
    from aednerf.training.run import train

__version__ = "0.1.0"

__all__ = [
    "AednerfError", "Avatar", "Camera", "Capture", "Clip", "Emotion", "EmotionTrack", "Frame", "InputError",
    "MachineError", "Motion", "load_motion", "prepare", "save_motion", "train",
]  # fmt: skip

_HOME = {
    "AednerfError": "core.errors",
    "Avatar": "avatar.avatar",
    "Camera": "core.records",
    "Capture": "capture.capture",
    "Clip": "capture.clip",
    "Emotion": "core.records",
    "EmotionTrack": "emotion.space",
    "Frame": "core.records",
    "InputError": "core.errors",
    "MachineError": "core.errors",
    "Motion": "core.records",
    "load_motion": "motion.files",
    "prepare": "capture.steps",
    "save_motion": "motion.files",
    "train": "training.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aednerf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"aednerf.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
