"""`aednerf demo`: the shipped avatar says the shipped sentence with four emotions, then in an orbit, twice at once.

The camera swings from the person's one side to the other while she speaks, and back with the next emotion; the last
time it goes around once. Each picture is rendered once, without a background, and laid over two. Nothing but the
package is needed: no network, no third-party model, no OpenGL, no espeak-ng.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.background import cover
from aednerf.avatar.camera import Orbit, View
from aednerf.avatar.output import check_output, open_output
from aednerf.avatar.restore import pick_device
from aednerf.core.errors import InputError
from aednerf.core.progress import Progress, silent
from aednerf.core.records import Motion
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.media.audio import load_audio
from aednerf.media.image import write_image
from aednerf.motion.channels import BLINK_COLUMNS, JAW_OPEN
from aednerf.synthetic import shipped
from aednerf.synthetic.painting import paint_evening
from aednerf.synthetic.screen import Screen
from aednerf.training.config import Preset
from aednerf.training.run import train

VIDEO_NAME, SHEET_NAME, BACKDROP_NAME, TRAINED_NAME = "demo.mp4", "demo.png", "evening.png", "mara.aednerf"

EMOTIONS = ("neutral", "happy", "angry", "sad")
ORBIT_EMOTION = "happy"
"""Of the last time that the sentence is said, while the camera goes around once."""

YAWS_DEG = (18.0, 0.0, -18.0)
"""The three views of the contact sheet, from the person's left to her right: the ends and the middle of the swing."""

_NEAR_DEG = 5.0
_NOTICE = "computer-generated"


@dataclass(frozen=True)
class Swing:
    """A camera that goes from one side to the other in so many seconds, and dwells at both ends."""

    seconds: float
    from_deg: float
    """Where it begins, yaw > 0 towards the person's left; it ends as far on the other side."""

    def at(self, time_s: float) -> View:
        """Return the viewpoint at a time from the start."""
        return View(yaw_deg=self.from_deg * math.cos(math.pi * min(max(time_s / self.seconds, 0.0), 1.0)))


@dataclass(frozen=True)
class Demo:
    """What a demonstration made."""

    video: Path
    sheet: Path
    backdrop: Path
    """The painted picture that stands behind the person on the right."""

    avatar: Path
    """The avatar that was shown."""

    sentence: Path
    n_frames: int
    seconds: float
    """How long the rendering took."""

    def suggestions(self) -> tuple[str, ...]:
        """Return commands to try next."""
        avatar, sentence, backdrop, folder = map(_typed, (self.avatar, self.sentence, self.backdrop, self.video.parent))
        return (
            f"aednerf speak {avatar} --audio {sentence} -o {folder}/surprise.mp4 --emotion happy:0.4,surprised:0.6",
            f"aednerf speak {avatar} --audio {sentence} -o {folder}/orbit.mp4 --camera orbit --background {backdrop}",
            f"aednerf demo --train -o {folder}/trained",
            "aednerf prepare me.mp4 -o captures/me",
            "aednerf train captures/me -o avatars/me",
        )


def demo(
    out: str | Path, retrain: str | Preset | None = None, device: str = "auto", force: bool = False,
    progress: Progress = silent,
) -> Demo:  # fmt: skip
    """Let the shipped avatar show what the program does.

    Args:
        out: the folder of the results.
        retrain: the preset by which an avatar is first trained from the shipped capture; None shows the shipped one.
            A training that was interrupted is continued, the avatar of a finished one shown.
        device: `auto`, `cpu` or `cuda`.
        force: replace results that exist, a trained avatar among them.
        progress: told how far training and rendering are.

    Raises:
        InputError: the results exist already, or this copy of the program lacks the shipped data.
        MachineError: the training diverged.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; expected a folder for the results. Choose another name.")
    check_output(out / VIDEO_NAME, transparent=False, force=force)
    sentence = shipped.shipped(shipped.SENTENCE_NAME)
    if retrain is None:
        path = shipped.shipped(shipped.AVATAR_NAME)
    else:
        path = out / TRAINED_NAME
        if force or not path.exists():
            train(shipped.shipped(shipped.CAPTURE_NAME), path, retrain, device, force=force, progress=progress)
    return show(Avatar.load(path, device), path, sentence, out, progress)


def usual_preset(device: str) -> str:
    """Return the preset that takes minutes on a device: `fast` on a GPU, else `smoke`."""
    return "fast" if pick_device(device).type == "cuda" else "smoke"


def show(avatar: Avatar, path: Path, sentence: Path, out: Path, progress: Progress = silent) -> Demo:
    """Render the video, the contact sheet and the painted backdrop; they replace what is there.

    Args:
        avatar: who speaks.
        path: where the avatar lies.
        sentence: what she says, a sound file.
        out: the folder of the results.
        progress: told how far the rendering is.
    """
    camera = avatar.camera
    plate = cover(avatar.bundle.background, camera.width, camera.height)
    screen = Screen((plate, paint_evening(camera.width, camera.height)))
    takes = _takes(avatar, sentence)
    result = Demo(
        out / VIDEO_NAME, out / SHEET_NAME, out / BACKDROP_NAME, path, sentence,
        n_frames=sum(len(take.motion) for take in takes), seconds=0.0,
    )  # fmt: skip
    write_image(result.backdrop, screen.backdrops[-1])
    started, done, rows = time.monotonic(), 0, []
    with open_output(result.video, screen.width, screen.height, with_audio=True) as sink:
        for take in takes:
            sink.write_audio(take.samples)
            best = take.best_frames()
            cells: dict[int, NDArray[np.uint8]] = {}
            for frame, (person, yaw_deg) in enumerate(take.pictures(avatar)):
                shown = screen.show(person, take.caption(yaw_deg), _NOTICE)
                sink.write(np.dstack([shown, np.full(shown.shape[:2], 255, np.uint8)]))
                cells |= {column: person for column, wanted in enumerate(best) if wanted == frame}
                done += 1
                progress("render", done, result.n_frames, take.emotion)
            rows.append(_sheet_row(screen, take, [cells[column] for column in range(len(best))]))
        write_image(result.sheet, np.concatenate(rows))  # before the video, whose presence means that all is there
    return replace(result, seconds=time.monotonic() - started)


@dataclass(frozen=True)
class _Take:
    """The sentence said once."""

    emotion: str
    samples: NDArray[np.float32]
    motion: Motion
    camera: Swing | Orbit

    def caption(self, yaw_deg: float) -> str:
        """Return what stands below a picture that is seen from a side."""
        way = "an orbit, " if isinstance(self.camera, Orbit) else ""
        return f"{self.emotion}, {way}{_side(yaw_deg)}"

    def pictures(self, avatar: Avatar) -> Iterator[tuple[NDArray[np.uint8], float]]:
        """Yield the person [H, W, 4], premultiplied over nothing, and the camera's yaw in degrees."""
        for frame in avatar.render(self.motion, self.camera, "transparent").frames():
            yield frame.rgba, self.camera.at(frame.time_s).yaw_deg

    def best_frames(self) -> list[int]:
        """Return for each of `YAWS_DEG` the frame near it in which the mouth is widest and the eyes are open."""
        expression = self.motion.expression
        liveliness = expression[:, JAW_OPEN] - 2 * expression[:, BLINK_COLUMNS].mean(1)
        yaw = np.array([self.camera.at(frame / FPS).yaw_deg for frame in range(len(self.motion))])
        away = np.abs(yaw[None] - np.array(YAWS_DEG)[:, None])
        near = away <= np.maximum(_NEAR_DEG, away.min(1, keepdims=True))
        return np.where(near, liveliness[None], -np.inf).argmax(1).tolist()


def _takes(avatar: Avatar, sentence: Path) -> list[_Take]:
    """Return the sentence in each emotion, where the camera swings on from one to the next, and once in an orbit."""
    samples = load_audio(sentence)
    takes = []
    for number, emotion in enumerate((*EMOTIONS, ORBIT_EMOTION)):
        motion = avatar.speak(samples, emotion, seed=number).motion
        whole = np.zeros(len(motion) * SAMPLES_PER_FRAME, np.float32)
        whole[: len(samples)] = samples[: len(whole)]
        seconds = len(motion) / FPS
        is_last = number == len(EMOTIONS)
        camera = Orbit(seconds) if is_last else Swing(seconds, YAWS_DEG[0] * (-1) ** number)
        takes.append(_Take(emotion, whole, motion, camera))
    return takes


def _sheet_row(screen: Screen, take: _Take, people: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return one take from all views over all backdrops, side by side."""
    cells = [
        screen.show(person, take.caption(yaw_deg), _NOTICE) for person, yaw_deg in zip(people, YAWS_DEG, strict=True)
    ]
    return np.concatenate(cells, axis=1)


def _side(yaw_deg: float) -> str:
    if abs(yaw_deg) < _NEAR_DEG:
        return "from the front"
    return "from her left" if yaw_deg > 0 else "from her right"


def _typed(path: Path) -> str:
    """Return a path as one would type it here."""
    whole, here = path.resolve(), Path.cwd().resolve()
    return shlex.quote(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))
