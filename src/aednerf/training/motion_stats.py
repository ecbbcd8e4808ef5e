"""Measure a person's `MotionStats` on the training frames of a capture."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation

from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Array, Motion
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.emotion import prior
from aednerf.motion.channels import BLINK_COLUMNS, IDLE_COLUMNS, JAW_OPEN, MOUTH_CLOSE, SPEECH_COLUMNS, mouth_opening
from aednerf.motion.statistics import MotionStats

N_EXPRESSION = len(ARKIT_NAMES)
MAX_IDLE_FRAMES = 60 * FPS
"""Enough of the recording to idle by; more would only make the avatar larger."""

LOOKS_AROUND_DEG, LOOKS_AROUND_S = 25.0, 1.0
"""A head turned further than this from where it mostly is shows its sides on purpose; that, and what is this close in
time, is no idling."""

MIN_BLINK_DEPTH = 0.15
DEFAULT_BLINK = (15.0, 0.8, 0.8)
"""Blinks a minute and depth of the lids for a recording in which nobody blinks."""


def measure(capture: Capture) -> MotionStats:
    """Return the person's statistics.

    Args:
        capture: of which only the training frames are looked at.
    """
    frames = capture.train_frames
    motion = capture.motion(frames)
    values = np.concatenate([motion.expression, motion.residual], axis=1)
    idle_frames = _without_looking_around(capture, _reference_frames(capture))[:MAX_IDLE_FRAMES]
    mean_rotation, mean_translation = _mean_pose(capture.motion(idle_frames))
    idle, starts, blink = _idle_pool(capture, idle_frames, mean_rotation)
    rest = values[_rest_frames(capture, frames)].mean(0)
    high = np.quantile(values, 0.998, axis=0).astype(np.float32)
    return MotionStats(
        rest=rest, low=np.quantile(values, 0.002, axis=0).astype(np.float32), high=high,
        emotion_offset=_emotion_offsets(capture, rest[:N_EXPRESSION]),
        mean_rotation=mean_rotation, mean_translation=mean_translation, idle=idle, idle_starts=starts, blink=blink,
    )  # fmt: skip


def _clip_frames(capture: Capture, index: int) -> np.ndarray:
    """Return the valid training frames of one clip."""
    frames, clip = capture.train_frames, capture.clips[index]
    return frames[(frames >= clip.first) & (frames < clip.end)]


def _reference_frames(capture: Capture) -> np.ndarray:
    """Return the frames of the clip that stands for the person as such: the longest neutral one, else the longest."""
    per_clip = [_clip_frames(capture, index) for index in range(len(capture.clips))]
    neutral = [i for i in range(len(per_clip)) if capture.clips[i].emotion == "neutral" and len(per_clip[i])]
    return per_clip[max(neutral or range(len(per_clip)), key=lambda i: len(per_clip[i]))]


def _without_looking_around(capture: Capture, frames: np.ndarray) -> np.ndarray:
    """Return the frames in which the head is not being shown from all sides; all, where less than a second is left."""
    rotation = Rotation.from_matrix(capture.motion(frames).rotation.astype(np.float64))
    turned = (rotation * rotation.mean().inv()).as_rotvec()
    away = np.linalg.norm(turned - np.median(turned, axis=0), axis=1) > np.deg2rad(LOOKS_AROUND_DEG)
    near = np.abs(frames[:, None] - frames[away]).min(1, initial=capture.n_frames) <= LOOKS_AROUND_S * FPS
    return frames[~near] if (~near).sum() >= FPS else frames


def _mean_pose(motion: Motion) -> tuple[Array, Array]:
    rotation = Rotation.from_matrix(motion.rotation.astype(np.float64)).mean().as_matrix()
    return rotation.astype(np.float32), motion.translation.mean(0)


def _rest_frames(capture: Capture, frames: np.ndarray) -> np.ndarray:
    """Return which of the frames show the silent face.

    They are quiet frames where the recording has some, and of these the fifth with the least open mouth: people
    breathe in, mouth open, just where they are quiet.
    """
    quiet = np.zeros(capture.n_frames, bool)
    for index, clip in enumerate(capture.clips):
        audio = capture.audio(index)
        if audio is not None:
            n_train = clip.train_end - clip.first
            quiet[clip.first : clip.train_end] = quiet_frames(audio, n_train, reach=2)
    candidates = np.flatnonzero(quiet[frames])
    if len(candidates) < FPS:
        candidates = np.arange(len(frames))
    opening = mouth_opening(capture.motion(frames[candidates]).expression)
    return candidates[np.argsort(opening, kind="stable")[: max(1, len(candidates) // 5)]]


def quiet_frames(audio: Array, n_frames: int, reach: int) -> np.ndarray:
    """Return [n_frames] whether a frame and `reach` frames each way are within 8 dB of the recording's noise floor."""
    samples = np.zeros(n_frames * SAMPLES_PER_FRAME, np.float32)
    samples[: len(audio)] = audio[: len(samples)]
    level_db = 10 * np.log10(np.square(samples.reshape(n_frames, -1)).mean(1) + 1e-10)
    floor_db, loud_db = np.quantile(level_db, (0.05, 0.95))
    is_quiet = maximum_filter1d(level_db, 2 * reach + 1, mode="nearest") < floor_db + 8
    # Where nothing is much louder than the floor, there is no speech to be quiet between.
    return is_quiet & bool(loud_db > floor_db + 15)


def _emotion_offsets(capture: Capture, rest: Array) -> Array:
    """Return [8, 52]: what each label at full intensity adds to the expression; neutral adds nothing.

    A label with clips adds what the person does: the clips' mean less that of the neutral ones (without these, less the
    mean over the labels). Labels whose clips have sound shape the mouth through the network, which takes the emotion as
    an input; here they move brows and eyes. A label without clips adds what people do (`emotion.prior`), mouth
    included: the network knows nothing of it. The mouth's opening is left to speech alone, so that no emotion keeps the
    lips from closing.

    Args:
        capture: of which only the training frames are looked at.
        rest: [52] the silent face.
    """
    recorded = _recorded_shifts(capture)
    heard = {clip.emotion for clip in capture.clips if clip.audio is not None}
    gain = prior.expressiveness(recorded)
    offsets = np.zeros((len(EMOTIONS), N_EXPRESSION), np.float32)
    for row, label in enumerate(EMOTIONS):
        if label == "neutral":
            continue
        if label in recorded:
            offsets[row] = recorded[label]
            if label in heard:
                offsets[row, SPEECH_COLUMNS] = 0
        else:
            offsets[row] = prior.for_person(label, rest, gain)
        offsets[row, [JAW_OPEN, MOUTH_CLOSE, *BLINK_COLUMNS]] = 0
    return offsets


def _recorded_shifts(capture: Capture) -> dict[str, Array]:
    """Return, for each label with clips but neutral, [52]: the clips' mean less the neutral one, at full intensity."""
    means: dict[str, tuple[Array, float]] = {}
    for label in EMOTIONS:
        clips = [i for i, clip in enumerate(capture.clips) if clip.emotion == label and len(_clip_frames(capture, i))]
        if clips:
            per_clip = [capture.motion(_clip_frames(capture, i)).expression.mean(0) for i in clips]
            intensity = float(np.mean([capture.clips[i].intensity for i in clips]))
            means[label] = np.mean(per_clip, axis=0), max(intensity, 1 / 3)
    if len(means) < 2:  # one emotion alone cannot be told from the person
        return {label: np.zeros(N_EXPRESSION, np.float32) for label in means if label != "neutral"}
    neutral = means["neutral"][0] if "neutral" in means else np.mean([mean for mean, _ in means.values()], axis=0)
    return {label: (mean - neutral) / intensity for label, (mean, intensity) in means.items() if label != "neutral"}


def _idle_pool(capture: Capture, frames: np.ndarray, mean_rotation: Array) -> tuple[Array, np.ndarray, Array]:
    """Return the pool [N, 6 + 19], the first row of each of its stretches, and the blinks [3].

    A stretch is a run of frames without a gap; runs under a second are left out unless there are no others.
    """
    runs = np.split(frames, _breaks(frames, capture.motion(frames)))
    runs = [run for run in runs if len(run) >= FPS] or [max(runs, key=len)]
    stretches, depths = [], []
    for run in runs:
        motion = capture.motion(run)
        face = motion.expression[:, IDLE_COLUMNS].copy()
        blinks = _blinks(motion.expression)
        depths += list(motion.expression[blinks][:, BLINK_COLUMNS])
        stretches.append(np.concatenate([_pose(motion, mean_rotation), _without_blinks(face, blinks)], axis=1))
    starts = np.cumsum([0, *(len(stretch) for stretch in stretches[:-1])])
    minutes = sum(len(stretch) for stretch in stretches) / FPS / 60
    blink = DEFAULT_BLINK
    if depths:
        left, right = np.quantile(depths, 0.9, axis=0)
        blink = (len(depths) / minutes, left, right)
    return np.concatenate(stretches).astype(np.float32), starts.astype(np.int32), np.array(blink, np.float32)


def _breaks(frames: np.ndarray, motion: Motion) -> np.ndarray:
    """Return where a new stretch begins: after a gap, and where the head jumps as no head does (at a cut).

    A jump is a step of over 1.2 degrees or 8 mm that is also six times the steps around it; a fast nod has fast
    neighbours.
    """
    turned = Rotation.from_matrix(motion.rotation[1:] @ motion.rotation[:-1].transpose(0, 2, 1)).magnitude()
    moved = np.linalg.norm(np.diff(motion.translation, axis=0), axis=1)
    jumps = np.diff(frames) != 1
    for step, limit in ((turned, np.deg2rad(1.2)), (moved, 0.008)):
        jumps |= (step > limit) & (step > 6 * median_filter(step, 9, mode="nearest"))
    return np.flatnonzero(jumps) + 1


def _pose(motion: Motion, mean_rotation: Array) -> np.ndarray:
    """Return [T, 6] the rotation against the mean as a vector, and the translation."""
    relative = motion.rotation.astype(np.float64) @ mean_rotation.astype(np.float64).T
    return np.concatenate([Rotation.from_matrix(relative).as_rotvec(), motion.translation], axis=1)


def _blinks(expression: Array) -> np.ndarray:
    """Return the frames in which a blink is deepest."""
    lids = expression[:, BLINK_COLUMNS].mean(1)
    depth = max(MIN_BLINK_DEPTH, 0.4 * float(np.quantile(lids, 0.995) - np.median(lids)))
    return find_peaks(np.pad(lids, 1), prominence=depth, width=(None, 12))[0] - 1


def _without_blinks(face: Array, blinks: np.ndarray) -> np.ndarray:
    """Return the idle columns [T, 19] with each blink bridged by a straight line, and the flicker smoothed."""
    times = np.arange(len(face))
    kept = np.ones(len(face), bool)
    for blink in blinks:
        kept[max(0, blink - 5) : blink + 8] = False
    if kept.sum() < 2:
        return np.broadcast_to(np.median(face, axis=0), face.shape)
    bridged = np.stack([np.interp(times, times[kept], column[kept]) for column in face.T], axis=1)
    # The median keeps a saccade's edge; the narrow Gaussian rounds what is left of the jitter.
    return gaussian_filter1d(median_filter(bridged, size=(5, 1), mode="nearest"), 0.7, axis=0, mode="nearest")
