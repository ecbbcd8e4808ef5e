"""A small made-up person to test motion with: statistics, and a mouth model that answers to what it hears."""

from __future__ import annotations

import numpy as np
import torch

from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.motion.channels import IDLE_COLUMNS
from aednerf.motion.network import MotionConfig, MotionNetwork
from aednerf.motion.statistics import MotionStats

N_MOUTH, N_EYES = 3, 2
N_COLUMNS = len(ARKIT_NAMES) + N_MOUTH + N_EYES


def person(n_idle: int = 300, starts: tuple[int, ...] = (0, 130), seed: int = 0) -> MotionStats:
    """Statistics of a person who sways and looks about smoothly, and smiles when happy."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_idle)[:, None] / 25
    rate, phase = rng.uniform(0.5, 3, 6 + len(IDLE_COLUMNS)), rng.uniform(0, 6, 6 + len(IDLE_COLUMNS))
    idle = np.sin(rate * time + phase) * 0.05
    idle[:, 5] -= 1.2
    idle[:, 6:] = 0.2 + idle[:, 6:]
    offset = np.zeros((len(EMOTIONS), len(ARKIT_NAMES)))
    offset[EMOTIONS.index("happy"), ARKIT_NAMES.index("mouthSmileLeft")] = 0.5
    low, high = np.zeros(N_COLUMNS), np.full(N_COLUMNS, 0.6)
    low[len(ARKIT_NAMES) :] = -1.0
    arrays = {
        "rest": np.full(N_COLUMNS, 0.02), "low": low, "high": high, "emotion_offset": offset,
        "mean_rotation": np.eye(3),
        "mean_translation": np.array([0, 0, -1.2]), "idle": idle, "idle_starts": np.array(starts),
        "blink": np.array([20.0, 0.9, 0.8]),
    }  # fmt: skip
    return MotionStats.from_arrays(arrays)


def talkative(seed: int = 0) -> MotionNetwork:
    """A network with random weights, large enough for the mouth to move."""
    torch.manual_seed(seed)
    stats = person()
    config = MotionConfig(
        n_residual=N_MOUTH + N_EYES, n_mouth_residual=N_MOUTH, n_hidden=24, dilations=(1, 2, 1), ahead=(1, 2, 0),
        lookahead=3,
    )  # fmt: skip
    network = MotionNetwork(config)
    network.set_range(*(torch.from_numpy(value) for value in (stats.rest, stats.low, stats.high)))
    torch.nn.init.normal_(network.leave.weight, std=0.5)
    torch.nn.init.normal_(network.emotion.weight, std=0.5)
    return network.eval()


def babble(n_samples: int, seed: int = 0) -> np.ndarray:
    """Noise in syllables."""
    rng = np.random.default_rng(seed)
    loud = np.clip(np.sin(2 * np.pi * 3 * np.arange(n_samples) / SAMPLE_RATE_HZ), 0, 1)
    return (0.2 * loud * rng.standard_normal(n_samples)).astype(np.float32)
