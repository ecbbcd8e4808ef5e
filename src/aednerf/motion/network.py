"""The motion network: speech features and an emotion in, the lower face out.

A short stack of dilated convolutions over time without any padding: an output frame depends on a fixed window of rows,
`past` before it and `lookahead` after it, and on nothing else. The past is long and the future short, as live speech
needs it: the first layers look both ways, the others only back, and the way around each layer keeps to the row of the
frame itself. Streaming is a window that slides, and `MotionStream` computes every frame alone, on arrays of the same
shapes, so that the numbers never depend on how the sound was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Array
from aednerf.core.units import FPS
from aednerf.motion.channels import SPEECH_COLUMNS
from aednerf.ops.threads import one_thread

N_EXPRESSION = len(ARKIT_NAMES)


@dataclass(frozen=True)
class MotionConfig:
    """Sizes of a mouth model: enough, with its weights, to build it again."""

    kind: str = "network"
    """`network` (learned from the recording) or `generic` (for recordings without sound)."""

    encoder: str = "log-mel"
    """The speech encoder whose rows it reads."""

    n_features: int = 320
    n_residual: int = 0
    n_mouth_residual: int = 0
    """The first so many residual numbers belong to the mouth and are driven by speech."""

    n_hidden: int = 128
    dilations: tuple[int, ...] = (1, 1, 2, 2)
    ahead: tuple[int, ...] = (1, 1, 0, 0)
    """Rows after its own that each layer reads, of the two dilations that it spans. They add up to `lookahead`, so that
    the way around the layers leads from a frame's own row to its face."""

    lookahead: int = 2
    """Rows after a frame that it depends on (80 ms)."""

    dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("dilations", "ahead"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        # An avatar may come from strangers: sizes are bounded before anything of that size is made.
        limits = {
            "n_features": (1, 8192),
            "n_residual": (0, 32),
            "n_mouth_residual": (0, self.n_residual),
            "n_hidden": (1, 1024),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"Motion settings: {name} must lie in [{low}, {high}], got {getattr(self, name)}.")
        if self.kind not in ("network", "generic"):
            raise InputError(f"Motion settings: unknown kind {self.kind!r}, expected network or generic.")
        if not 1 <= len(self.dilations) <= 16 or not all(1 <= dilation <= 32 for dilation in self.dilations):
            raise InputError(f"Motion settings: expected up to 16 dilations from 1 to 32, got {self.dilations}.")
        if len(self.ahead) != len(self.dilations) or not all(
            0 <= rows <= 2 * dilation for rows, dilation in zip(self.ahead, self.dilations, strict=True)
        ):
            raise InputError(
                f"Motion settings: layers of dilations {self.dilations} cannot look {self.ahead} rows ahead."
            )
        if not 1 <= self.lookahead < self.window - 1:
            raise InputError(
                f"Motion settings: a window of {self.window} rows cannot look {self.lookahead} rows ahead."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"Motion settings: dropout must lie in [0, 1), got {self.dropout}.")

    @staticmethod
    def from_dict(settings: Mapping[str, Any]) -> MotionConfig:
        """Build the configuration from what `dataclasses.asdict` gave, as JSON keeps it.

        Raises:
            InputError: a name is unknown, a value is of another type or out of range.
        """
        if "ahead" not in settings and "dilations" in settings:  # older avatars look as far ahead as back
            settings = {**settings, "ahead": settings["dilations"]}
        lists = ("dilations", "ahead")
        kinds = {"kind": str, "encoder": str, **dict.fromkeys(lists, list | tuple), "dropout": int | float}
        names = {entry.name for entry in fields(MotionConfig)}
        for name, value in settings.items():
            if name not in names:
                raise InputError(
                    f"Motion settings: unknown name {name[:80]!r}. Was the avatar made by a newer version?"
                )
            parts = value if name in lists and isinstance(value, list | tuple) else []
            if not isinstance(value, kinds.get(name, int)) or not all(type(part) is int for part in parts):
                raise InputError(f"Motion settings: {name} has the wrong type {type(value).__name__}.")
        return MotionConfig(**settings)

    @property
    def window(self) -> int:
        """Rows that one output frame depends on."""
        return 1 + 2 * sum(self.dilations)

    @property
    def past(self) -> int:
        """Rows before a frame that it depends on."""
        return self.window - 1 - self.lookahead

    @property
    def lookahead_s(self) -> float:
        """Seconds of features after a frame that it depends on; the encoder's own look-ahead comes on top."""
        return self.lookahead / FPS


class MouthModel(Protocol):
    """What turns a window of features into the lower face of its frame."""

    config: MotionConfig

    def frame(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """Return expression [52] and residual [K] of the frame of a window [W, D + 8]."""
        ...


class MotionNetwork(nn.Module):
    """Predict the lower face, each coefficient inside the person's own range.

    Emotion columns start at zero weight: a label that the recording never shows leaves the mouth as it is.
    """

    rest: Tensor
    low: Tensor
    high: Tensor
    centre: Tensor
    gain: Tensor

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config
        n_columns = N_EXPRESSION + config.n_residual
        columns = [*SPEECH_COLUMNS.tolist(), *range(N_EXPRESSION, N_EXPRESSION + config.n_mouth_residual)]
        self.columns = columns
        self.register_buffer("rest", torch.zeros(n_columns))
        self.register_buffer("low", torch.zeros(n_columns))
        self.register_buffer("high", torch.ones(n_columns))
        self.register_buffer("centre", torch.zeros(len(columns)))
        self.register_buffer("gain", torch.ones(len(columns)))
        self.enter = nn.Linear(config.n_features, config.n_hidden)
        self.emotion = nn.Linear(len(EMOTIONS), config.n_hidden, bias=False)
        nn.init.zeros_(self.emotion.weight)
        self.layers = nn.ModuleList(
            _Layer(config.n_hidden, dilation, ahead, config.dropout)
            for dilation, ahead in zip(config.dilations, config.ahead, strict=True)
        )
        self.leave = nn.Linear(config.n_hidden, len(columns))
        self.mood = nn.Parameter(torch.zeros(len(EMOTIONS), len(columns)))
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)

    def set_range(self, rest: Tensor, low: Tensor, high: Tensor) -> None:
        """Take the person's rest pose and range, each [52 + K], and start from the rest pose."""
        for name, value in (("rest", rest), ("low", low), ("high", high)):
            getattr(self, name).copy_(value)
        low, span = self._bounds()
        share = ((rest[self.columns] - low) / span).clamp(0.02, 0.98)
        with torch.no_grad():
            self.leave.bias.copy_(torch.logit(share))

    def set_moods(self, moods: Tensor) -> None:
        """Start from the mouth that the person makes with each emotion.

        Args:
            moods: [8, C] what an emotion at full intensity adds to the rest pose.
        """
        low, span = self._bounds()
        rest = self.rest[self.columns]
        share, rest_share = (((pose - low) / span).clamp(0.02, 0.98) for pose in (rest + moods, rest))
        with torch.no_grad():
            self.mood.copy_(torch.logit(share) - torch.logit(rest_share))

    def forward(self, rows: Tensor) -> Tensor:
        """Predict the driven columns of every frame whose window lies inside the rows, before calibration.

        Args:
            rows: [B, L, D + 8] features followed by the emotion vector.

        Returns:
            [B, L - window + 1, C] the speech columns, then the mouth's residual numbers.
        """
        features, emotion = rows.split([self.config.n_features, len(EMOTIONS)], dim=-1)
        x = (self.enter(features) + self.emotion(emotion)).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        low, span = self._bounds()
        own = emotion[:, self.config.past : emotion.shape[1] - self.config.lookahead]
        return low + span * torch.sigmoid(self.leave(x.transpose(1, 2)) + own @ self.mood)

    def calibrated(self, driven: Tensor) -> Tensor:
        """Stretch [..., C] about the centre, so that it moves as much as the person does, and keep it in range."""
        low, high = self.low[self.columns], self.high[self.columns]
        return torch.maximum(low, torch.minimum(high, self.centre + self.gain * (driven - self.centre)))

    @torch.no_grad()
    def frame(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """Return expression [52] and residual [K] of the frame of a window [W, D + 8]; the rest is at rest."""
        full = self.rest.clone()
        full[self.columns] = self.calibrated(self(window[None])[0, 0])
        return full[:N_EXPRESSION], full[N_EXPRESSION:]

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Return the lower bound and the span [C] of the sigmoid: a tenth wider than the person's range each way."""
        low, high = self.low[self.columns], self.high[self.columns]
        margin = 0.1 * (high - low) + 1e-4
        return low - margin, high - low + 2 * margin


class _Layer(nn.Module):
    """A residual convolution of three taps, the last one `ahead` rows after the output's own row.

    The output is shorter by twice the dilation.
    """

    def __init__(self, n_hidden: int, dilation: int, ahead: int, dropout: float) -> None:
        super().__init__()
        self.past = 2 * dilation - ahead
        self.norm = nn.LayerNorm(n_hidden)
        self.taps = nn.Conv1d(n_hidden, n_hidden, 3, dilation=dilation)
        self.mix = nn.Conv1d(n_hidden, n_hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x.transpose(1, 2)).transpose(1, 2)
        y = self.mix(self.dropout(nn.functional.gelu(self.taps(y))))
        return x[..., self.past : self.past + y.shape[-1]] + y


class MotionStream:
    """A sliding window over the rows: push rows, get the lower face of every frame whose look-ahead is complete."""

    def __init__(self, model: MouthModel, silence: Array) -> None:
        self._model = model
        self._silence = torch.from_numpy(silence)
        self._rows: list[Tensor] = []

    def push(self, features: Array, emotion: Array) -> tuple[Array, Array]:
        """Take rows and return expression [m, 52] and residual [m, K].

        Args:
            features: [n, D] the encoder's next rows.
            emotion: [n, 8] the emotion vector of each of these rows' frames.
        """
        rows = np.concatenate([features, emotion], axis=1).astype(np.float32)
        new = [torch.from_numpy(row) for row in rows]
        return self._slide(new)

    def flush(self) -> tuple[Array, Array]:
        """End the stream: return the frames that were waiting for their look-ahead, as if silence followed."""
        if not self._rows:
            return self._stack([])
        return self._slide([self._silent(self._rows[-1])] * self._model.config.lookahead)

    def _slide(self, new: list[Tensor]) -> tuple[Array, Array]:
        config = self._model.config
        if not self._rows and new:
            self._rows = [self._silent(new[0])] * config.past
        self._rows += new
        frames = []
        with one_thread():
            while len(self._rows) >= config.window:
                frames.append(self._model.frame(torch.stack(self._rows[: config.window])))
                self._rows.pop(0)
        return self._stack(frames)

    def _silent(self, like: Tensor) -> Tensor:
        """Return a row of silence with the emotion of another row."""
        return torch.cat([self._silence, like[len(self._silence) :]])

    def _stack(self, frames: list[tuple[Tensor, Tensor]]) -> tuple[Array, Array]:
        n_residual = self._model.config.n_residual
        if not frames:
            return np.zeros((0, N_EXPRESSION), np.float32), np.zeros((0, n_residual), np.float32)
        return torch.stack([e for e, _ in frames]).numpy(), torch.stack([r for _, r in frames]).numpy()
