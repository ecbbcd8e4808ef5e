"""What the figures of a capture mean for the avatar, and what to do: one rule a warning, each with a stable code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aednerf.capture.manifest import ClipRecord, Manifest
from aednerf.capture.measures import ClipFigures
from aednerf.core.units import FPS

SEVERITIES = ("serious", "warning", "note")
"""`serious` spoils the avatar, a `warning` costs quality, a `note` is good to know."""

STILL_BACKDROP = 10.0
"""Code values of change above which a backdrop counts as moving."""


@dataclass(frozen=True)
class Finding:
    """One thing about a capture that its owner should know."""

    code: str
    """Stable name, for scripts."""

    severity: str
    """One of `SEVERITIES`."""

    clip: str | None
    """The clip concerned, or None for the whole capture."""

    measured: str
    """What was found, with its figure."""

    meaning: str
    """What it does to the avatar."""

    advice: str
    """What to do."""


def judge(manifest: Manifest, figures: Sequence[ClipFigures]) -> tuple[Finding, ...]:
    """Return the findings of a capture, the gravest first."""
    findings: list[Finding] = []
    for clip, record in zip(figures, manifest.clips, strict=True):
        for rules in (_of_source(record, manifest.size), _of_face(clip, record), _of_sound(clip)):
            findings += [Finding(code, severity, clip.name, *texts) for code, severity, *texts in rules]
    findings += [Finding(code, severity, None, *texts) for code, severity, *texts in _of_whole(manifest, figures)]
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


Rules = Iterator[tuple[str, str, str, str, str]]
"""code, severity, measured, meaning, advice."""


def _of_source(record: ClipRecord, size: int) -> Rules:
    source = record.source
    if source.is_variable_rate:
        yield (
            "variable-frame-rate", "note", f"The frame rate varies (about {source.fps:.1f} a second).",
            "Frames are taken at the nearest time, so motion is uneven by up to half a frame.",
            "Nothing has to be done. To avoid it, set the camera app to a constant rate.",
        )  # fmt: skip
    if 0 < source.fps < 23:
        yield (
            "low-frame-rate", "warning", f"The source has only {source.fps:.1f} frames a second.",
            "Frames are repeated, and fast mouth shapes are missing.", "Record with 25 frames a second or more.",
        )  # fmt: skip
    if source.is_hdr:
        yield (
            "hdr", "warning", "The source is HDR (PQ or HLG) video.",
            "It was tone-mapped to ordinary colours, which may look paler or darker than in a player.",
            "If the colours look wrong, switch HDR off in the camera app and record again.",
        )  # fmt: skip
    elif source.bit_depth > 8:
        yield (
            "high-bit-depth", "note", f"The source has {source.bit_depth} bits a channel.",
            "It was rounded to 8 bits.", "Nothing has to be done.",
        )  # fmt: skip
    if record.cuts:
        places = ", ".join(f"{(cut - record.first) / FPS:.1f} s" for cut in record.cuts[:8])
        more = f" and {len(record.cuts) - 8} more" if len(record.cuts) > 8 else ""
        yield (
            "cuts", "note" if len(record.cuts) <= 2 else "warning",
            f"{len(record.cuts)} cut{'s' * (len(record.cuts) > 1)} inside the clip, at {places}{more}.",
            "Shots of the same set-up are all used, frames of another scene are left out; motion jumps at each cut.",
            "One continuous take is best. Or give each scene as a clip of its own.",
        )  # fmt: skip
    if record.n_others:
        yield (
            "second-face", "warning",
            f"{record.n_others} more {'person is' if record.n_others == 1 else 'people are'} in the picture.",
            "One person was followed; the others become part of the background, or of the matte when they come close.",
            "If the wrong person was followed, prepare again with --face N (counted from the left).",
        )  # fmt: skip
    if record.crop.size * 1.5 < size:
        yield (
            "enlarged", "warning", f"The picture was enlarged from {record.crop.size:.0f} to {size} pixels.",
            "The avatar cannot show detail that the recording does not have.",
            f"Prepare with --size {max(64, round(record.crop.size / 64) * 64)}, or record closer.",
        )  # fmt: skip


def _of_face(clip: ClipFigures, record: ClipRecord) -> Rules:
    missing = 1 - clip.n_valid / clip.n_frames
    if missing > 0.02:
        yield (
            "missing-face", "serious" if missing > 0.3 else "warning",
            f"{missing:.0%} of the frames ({clip.n_frames - clip.n_valid}) show no usable face.",
            "These frames are left out of the training.",
            "Keep the face in the picture and hands away from it; look towards the camera.",
        )  # fmt: skip
    if clip.source_eyes_px < 70:
        yield (
            "small-face", "serious" if clip.source_eyes_px < 35 else "warning",
            f"The eyes are only {clip.source_eyes_px:.0f} pixels apart in the source.",
            "Teeth, lids and skin stay soft.", "Record closer or with more pixels: 90 pixels or more between the eyes.",
        )  # fmt: skip
    if abs(clip.yaw_deg[1]) > 15:
        side = "left" if clip.yaw_deg[1] > 0 else "right"
        yield (
            "side-view", "serious" if abs(clip.yaw_deg[1]) > 30 else "warning",
            f"The head is turned {abs(clip.yaw_deg[1]):.0f} degrees to the person's {side} most of the time.",
            "The far half of the face is hardly seen and will be guessed.", "Face the camera.",
        )  # fmt: skip
    if clip.sharpness < 50:
        yield (
            "blur", "serious" if clip.sharpness < 15 else "warning",
            f"The face is blurred (sharpness {clip.sharpness:.0f}; good recordings have 150 or more).",
            "The avatar will be as soft as the recording.",
            "More light, a clean lens, focus on the eyes, less compression.",
        )  # fmt: skip
    if clip.error_px[0] > 2:
        yield (
            "tracking-error", "serious" if clip.error_px[0] > 4 else "warning",
            f"The fitted face is off by {clip.error_px[0]:.1f} pixels (of 512) on average.",
            "Expressions are read wrongly, and the avatar's face swims.",
            "Even light, no hands or hair over the face; look at the mesh in the report's pictures.",
        )  # fmt: skip
    if {"no-flow", "sparse-flow"} & set(record.measured.flags):
        yield (
            "rough-pose", "note", "In some frames too few points could be followed on the skin and hair.",
            "There the head's pose comes from the landmarks alone and trembles a little.",
            "More light and a sharper picture help.",
        )  # fmt: skip
    if (record.measured.backdrop_motion or 0) > STILL_BACKDROP:
        yield (
            "moving-background", "warning",
            f"The background moves (by {record.measured.backdrop_motion:.0f} code values).",
            "The edge of the hair is less clean, and the learnt background is a blend.",
            "Put the camera on a stand, in front of something that does not move.",
        )  # fmt: skip


def _of_sound(clip: ClipFigures) -> Rules:
    if clip.peak is None or clip.loudness_db is None or clip.clipped is None:
        return
    if clip.clipped > 5e-4:
        yield (
            "clipped-sound", "warning", f"{clip.clipped:.2%} of the sound's samples are at full scale.",
            "Loud vowels are distorted, and the mouth learns from the distortion.", "Lower the microphone's level.",
        )  # fmt: skip
    if clip.loudness_db < -40:
        yield (
            "quiet-sound", "warning", f"The sound is very quiet (at most {clip.loudness_db:.0f} dB of full scale).",
            "Speech drowns in noise, and the mouth learns less from it.",
            "Move the microphone closer, or raise its level.",
        )  # fmt: skip
    sync = clip.sync
    if sync is not None and clip.n_valid >= 100 and sync.correlation >= 0.2 and abs(sync.lag_frames) >= 3.5:
        order = "after" if sync.lag_frames > 0 else "before"
        yield (
            "sound-offset", "warning",
            f"The mouth moves {abs(sync.lag_frames) / FPS * 1000:.0f} ms {order} the sound.",
            "The avatar will be out of sync by as much.",
            "Shift the sound in a video editor so that it fits the lips, and prepare again.",
        )  # fmt: skip


def _of_whole(manifest: Manifest, figures: Sequence[ClipFigures]) -> Rules:
    silent = [clip.name for clip in figures if clip.peak is None]
    if len(silent) == len(figures):
        yield (
            "no-sound", "warning", "There is no sound.",
            "The face can be learnt, but not how this person speaks: the mouth will follow a general rule.",
            "Add a clip of the person talking, with sound.",
        )  # fmt: skip
    elif silent:
        yield (
            "silent-clips", "note", f"{len(silent)} of {len(figures)} clips have no sound: {', '.join(silent[:6])}.",
            "The face is learnt from them, speech is not.", "Nothing has to be done.",
        )  # fmt: skip
    seconds = sum(clip.n_valid for clip in figures) * 10 / 11 / FPS
    if seconds < 45:
        severity = "serious" if seconds < 5 else "warning" if seconds < 20 else "note"
        yield (
            "short", severity, f"There are {seconds:.0f} s to train from.",
            "10 s serve the preset `smoke`; `fast` and `full` want a minute: with less, sounds and views that did not "
            "occur are guessed.",
            "Add clips of the same person, or record one to three minutes.",
        )  # fmt: skip
    turning = max(clip.yaw_deg[2] for clip in figures) - min(clip.yaw_deg[0] for clip in figures)
    if turning < 6:
        yield (
            "little-turning", "note", f"The head turns by only {turning:.0f} degrees from side to side.",
            "Views from the side will be poor, and the camera's focal length stays a usual one.",
            "For free views, turn the head slowly to both sides once.",
        )  # fmt: skip
    if max(clip.lip_gap[1] for clip in figures) < 0.08:
        yield (
            "jaw-never-opens", "warning", "The mouth hardly opens anywhere in the recording.",
            "The inside of the mouth stays unknown, and open vowels look wrong.", "Let the person speak clearly.",
        )  # fmt: skip
    if min(clip.lip_gap[0] for clip in figures) > 0.05:
        yield (
            "lips-never-close", "warning", "The lips never close in the recording.",
            "The sounds m, b and p have no closed mouth to show.", "Include a moment of silence with the mouth closed.",
        )  # fmt: skip
    if not manifest.consent:
        yield (
            "no-consent-note", "note", "The capture does not say what the person agreed to.",
            "The avatar made from it cannot say so either.", "Prepare with --consent TEXT.",
        )  # fmt: skip
