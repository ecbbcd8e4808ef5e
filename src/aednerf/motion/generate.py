"""From sound and emotion to motion, as the sound arrives: the one path of `speak`, `stream` and the live server."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, Array, Emotion, Motion
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, frames_for_samples
from aednerf.emotion.space import EmotionTrack
from aednerf.motion.channels import (
    CHEEK_SQUINT_COLUMNS,
    IDLE_COLUMNS,
    JAW_OPEN,
    MOUTH_CLOSE,
    SNEER_COLUMNS,
    SPEECH_COLUMNS,
)
from aednerf.motion.closing import Closing
from aednerf.motion.generic import GenericMouth
from aednerf.motion.idle import IdleMotion
from aednerf.motion.network import MotionConfig, MotionNetwork, MotionStream, MouthModel
from aednerf.motion.seal import REACH, Seal, sealing
from aednerf.motion.statistics import MotionStats
from aednerf.speech.encoder import find_encoder

N_EXPRESSION = len(ARKIT_NAMES)

_CHEEKS_S, _SNEER_S = 0.2, 0.08
"""Cheeks and the nose's wings are raised by feeling, not by speech: so slowly they follow what speech makes of them."""
SLOW_COLUMNS = np.concatenate([CHEEK_SQUINT_COLUMNS, SNEER_COLUMNS])
SLOW_SHARES = 1.0 - np.exp(-1 / (FPS * np.repeat(np.array([_CHEEKS_S, _SNEER_S], np.float32), 2)))
"""The part of the way that they go in a frame."""


@dataclass(frozen=True)
class MotionOptions:
    """What a user may change about the motion."""

    mouth_gain: float = 1.0
    """Scales the lower face's distance from the rest pose; 0 keeps the mouth at rest."""

    audio_offset_s: float = 0.0
    """Positive: the lips move earlier against the sound, by so many seconds."""

    blink: bool = True

    seed: int = 0
    """The same seed gives the same idle motion."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.mouth_gain <= 4.0:
            raise InputError(
                f"The mouth gain must lie in [0, 4] (1 leaves the mouth as learned), got {self.mouth_gain}."
            )
        if not (math.isfinite(self.audio_offset_s) and abs(self.audio_offset_s) <= 2.0):
            raise InputError(f"The audio offset must lie within 2 seconds either way, got {self.audio_offset_s}.")
        if self.seed < 0:
            raise InputError(f"The seed must be a whole number from 0 up, got {self.seed}.")


def make_mouth(config: MotionConfig) -> MotionNetwork | GenericMouth:
    """Return the mouth model of a configuration, its weights still to be loaded."""
    return (MotionNetwork(config) if config.kind == "network" else GenericMouth(config)).eval()


class MotionGenerator:
    """A person's way of moving: what turns sound and emotion into that person's motion."""

    def __init__(self, mouth: MouthModel, stats: MotionStats) -> None:
        if mouth.config.n_residual != stats.n_residual:
            raise InputError(
                f"The mouth model writes {mouth.config.n_residual} residual numbers, the statistics have "
                f"{stats.n_residual}: they belong to different avatars."
            )
        self.mouth, self.stats = mouth, stats

    @property
    def lookahead_s(self) -> float:
        """Seconds of sound after the end of a frame that must arrive before the frame comes out."""
        return find_encoder(self.mouth.config.encoder).lookahead_s + self.mouth.config.lookahead_s

    def stream(self, emotion: EmotionTrack, options: MotionOptions | None = None) -> SpokenMotion:
        """Begin a stream: push sound, get motion."""
        return SpokenMotion(self.mouth, self.stats, emotion, options or MotionOptions())

    def generate(
        self, chunks: Iterable[np.ndarray], emotion: EmotionTrack, *, blink: bool = True, seed: int = 0,
        mouth_gain: float = 1.0, audio_offset_s: float = 0.0,
    ) -> Iterator[Motion]:  # fmt: skip
        """Yield the motion of a sound as it settles, no piece empty.

        Args:
            chunks: samples [n] each, 16 kHz mono in [-1, 1].
            emotion: over time, from the beginning of the sound.
            blink: whether the lids blink.
            seed: of the idle motion.
            mouth_gain: as in `MotionOptions`.
            audio_offset_s: as in `MotionOptions`.
        """
        stream = self.stream(emotion, MotionOptions(mouth_gain, audio_offset_s, blink, seed))
        for chunk in chunks:
            if len(motion := stream.push(chunk)):
                yield motion
        if len(motion := stream.flush()):
            yield motion


class SpokenMotion:
    """One stream of sound that becomes motion: one frame per 640 samples, `frames_for_samples(total)` in all.

    Cutting the sound differently never changes a bit of the result.
    """

    def __init__(self, mouth: MouthModel, stats: MotionStats, emotion: EmotionTrack, options: MotionOptions) -> None:
        encoder = find_encoder(mouth.config.encoder)
        self._stats, self._emotion, self._options = stats, emotion, options
        self._speech_in, self._closed_lips_in = encoder.speech, encoder.closed_lips
        self._n_ahead, self._n_mouth = mouth.config.lookahead, mouth.config.n_mouth_residual
        self._encoder, self._mouth = encoder.stream(), MotionStream(mouth, encoder.silence)
        # The same sound as neutral speech tells where the lips close.
        has_emotion = any(each.vector()[0] < 1.0 for each in emotion.emotions)
        self._neutral_mouth = MotionStream(mouth, encoder.silence) if has_emotion else None
        self._seal = Seal(stats.low[:N_EXPRESSION], stats.high[:N_EXPRESSION])
        self._closing = Closing(stats, encoder.tells_speech)
        self._idle = IdleMotion(stats, options.seed, options.blink)
        self._to_skip = max(0, round(options.audio_offset_s * SAMPLE_RATE_HZ))
        self._delay = max(0, -round(options.audio_offset_s * SAMPLE_RATE_HZ))
        self._n_pushed = self._n_heard = self._n_rows = self._n_out = 0
        self._waiting: list[tuple[Array, ...]] = []
        self._speech: list[float] = []
        self._closed_lips: list[Array] = [np.zeros_like(encoder.closed_lips(encoder.silence))] * REACH
        self._slow: Array | None = None

    def push(self, samples: np.ndarray) -> Motion:
        """Take the next samples [n] (16 kHz mono) and return the motion of the frames that are now settled."""
        samples = np.asarray(samples, np.float32)
        if self._n_pushed == 0 and self._delay and len(samples):
            self._hear(np.zeros(self._delay, np.float32))
        self._n_pushed += len(samples)
        heard = samples[self._to_skip :]
        self._to_skip -= len(samples) - len(heard)
        self._n_heard += len(heard)
        self._hear(heard)
        return self._release()

    def flush(self) -> Motion:
        """End the sound and return the motion that is left."""
        self._hear(np.zeros(self._n_pushed - self._n_heard, np.float32))
        self._take_rows(self._encoder.flush())
        felt = self._mouth.flush()
        self._waiting += zip(*felt, *(self._neutral_mouth.flush() if self._neutral_mouth else felt), strict=True)
        return self._release()

    def _hear(self, samples: np.ndarray) -> None:
        self._take_rows(self._encoder.push(samples))

    def _take_rows(self, features: Array) -> None:
        times = (self._n_rows + np.arange(len(features))) / FPS
        self._n_rows += len(features)
        self._speech += map(self._speech_in, features)
        self._closed_lips += map(self._closed_lips_in, features)
        felt = plain = self._mouth.push(features, self._emotion.eased(times))
        if self._neutral_mouth is not None:
            plain = self._neutral_mouth.push(features, np.tile(Emotion().vector(), (len(features), 1)))
        self._waiting += zip(*felt, *plain, strict=True)

    def _release(self) -> Motion:
        """Return the frames that wait, but none beyond the sound so far: it may end here."""
        n = min(len(self._waiting), frames_for_samples(self._n_pushed) - self._n_out)
        frames = [self._compose(*parts) for parts in self._waiting[:n]]
        self._waiting = self._waiting[n:]
        shapes = ((N_EXPRESSION,), (self._stats.n_residual,), (3, 3), (3,))
        expression, residual, rotation, translation = (
            [np.stack(part) for part in zip(*frames, strict=True)] if frames
            else [np.zeros((0, *shape), np.float32) for shape in shapes]
        )  # fmt: skip
        return Motion(expression, residual, rotation, translation)

    def _compose(
        self, mouth: Array, residual: Array, plain_mouth: Array, plain_residual: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Put one frame together: mouth from speech, brows, eyes and pose from idle life, emotion on top of both."""
        stats, time_s = self._stats, self._n_out / FPS
        self._n_out += 1
        pose, idle = self._idle.frame()
        speech, sealed = self._next_heard()
        gain, n_mouth = np.float32(self._options.mouth_gain), self._n_mouth
        rest, rest_residual = stats.rest[SPEECH_COLUMNS], stats.rest[N_EXPRESSION : N_EXPRESSION + n_mouth]
        expression, plain = np.zeros((2, N_EXPRESSION), np.float32)
        for row, spoken in ((expression, mouth), (plain, plain_mouth)):
            row[SPEECH_COLUMNS] = rest + gain * (spoken[SPEECH_COLUMNS] - rest)
            row[IDLE_COLUMNS] = idle
        added = self._emotion.eased(time_s) @ stats.emotion_offset
        expression += added
        expression, plain = np.clip((expression, plain), np.float32(0.0), np.float32(1.0))
        expression, closed = self._closing(expression, plain, speech, added)
        # The model's mouthClose only means something against an open jaw.
        expression[MOUTH_CLOSE] = min(expression[MOUTH_CLOSE], expression[JAW_OPEN])
        expression = self._seal(expression, sealed * min(self._options.mouth_gain, 1.0))
        expression[SLOW_COLUMNS] = self._slowly(expression[SLOW_COLUMNS])
        low, high = stats.low[N_EXPRESSION:], stats.high[N_EXPRESSION:]
        code = np.zeros_like(low)
        code[:n_mouth] = residual[:n_mouth] + closed * (plain_residual - residual)[:n_mouth]
        code[:n_mouth] = rest_residual + gain * (code[:n_mouth] - rest_residual)
        rotation = Rotation.from_rotvec(pose[:3]).as_matrix() @ stats.mean_rotation
        return expression, np.clip(code, low, high), rotation.astype(np.float32), pose[3:]

    def _next_heard(self) -> tuple[float, float]:
        """Return for the next frame how surely somebody speaks, and how far an m, b or p closes the lips."""
        speech = float(np.mean(self._speech[: self._n_ahead + 1]))
        sealed = sealing(self._closed_lips[: REACH + 1 + min(REACH, self._n_ahead)], REACH)
        self._speech.pop(0)
        self._closed_lips.pop(0)
        return speech, sealed

    def _slowly(self, wanted: Array) -> Array:
        """Return the slow columns of this frame, which follow what is wanted."""
        before = wanted if self._slow is None else self._slow
        now = (before + SLOW_SHARES * (wanted - before)).astype(np.float32)
        self._slow = now
        return now
