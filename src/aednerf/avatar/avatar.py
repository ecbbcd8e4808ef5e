"""The avatar that users hold: a person who can be made to speak."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aednerf.avatar.bundle import Bundle, load_bundle
from aednerf.avatar.camera import CameraPath, View
from aednerf.avatar.delivery import Delivery, Voice, parse_emotion
from aednerf.avatar.expression import ExpressionSpec, parse_expression
from aednerf.avatar.framing import CropSpec
from aednerf.avatar.restore import pick_device, restore_person, restore_voice
from aednerf.avatar.scene import Draw, Scene
from aednerf.avatar.sound import Samples, Sound, SoundSource
from aednerf.avatar.speech import Listener, Speech
from aednerf.core.errors import InputError
from aednerf.core.records import Camera, Emotion, Frame, Motion
from aednerf.core.units import FPS
from aednerf.emotion.prosody import AUTO, estimate
from aednerf.emotion.space import EmotionTrack
from aednerf.motion.files import load_motion
from aednerf.motion.generate import MotionOptions


class Person(Protocol):
    """What draws the person: `render.model.AvatarModel`, or a stand-in with its surface."""

    config: Any

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def code(self, read: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the residual codes [T, K] of what was read off pictures [T, N]; codes as they are."""
        ...

    def render(
        self, rotation: NDArray[np.float32], translation: NDArray[np.float32], expression: NDArray[np.float32],
        residual: NDArray[np.float32], camera: Camera, *, view: NDArray[np.float32] | None = None,
        shot: int | None = None, posture: NDArray[np.float32] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return [H, W, 4] premultiplied RGBA in [0, 1] of head over torso."""
        ...

    def surface(
        self, rotation: NDArray[np.float32], translation: NDArray[np.float32], expression: NDArray[np.float32],
        residual: NDArray[np.float32], camera: Camera, *, view: NDArray[np.float32] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return [H, W, 4]: the place of the head's surface in the camera's space, metres, and its alpha."""
        ...


class Avatar:
    """A person learned from a recording.

    Args:
        bundle: The avatar's data.
        model: What draws the person.
        voice: What turns sound into the person's motion; None where the avatar only renders given motion.
        path: Where the bundle lies; None where it was never saved.
    """

    def __init__(self, bundle: Bundle, model: Person, voice: Voice | None, path: Path | None = None) -> None:
        self.bundle = bundle
        self.model = model
        self.voice = voice
        self.path = path

    @staticmethod
    def load(path: str | Path, device: str = "auto") -> Avatar:
        """Load an avatar from its bundle; nothing in it is executed.

        Args:
            path: The bundle's folder or `.aednerf` file.
            device: `auto`, `cpu` or `cuda`.
        Raises:
            InputError: the bundle is missing, damaged or of an unknown schema, or there is no such device.
        """
        target = pick_device(device)
        bundle = load_bundle(path)
        return Avatar(bundle, restore_person(bundle, target, path), restore_voice(bundle, path), Path(path))

    @property
    def camera(self) -> Camera:
        """The recording's camera."""
        return self.bundle.camera

    @property
    def device(self) -> torch.device:
        """Where the person is drawn."""
        return self.model.device

    @property
    def n_residual(self) -> int:
        """How many numbers the person's residual code has."""
        return int(self.model.config.n_residual)

    @property
    def n_posture(self) -> int:
        """How many numbers the torso's posture code has; 0: it follows the head's pose alone."""
        return int(self.model.config.n_posture)

    def fitted(self, motion: Motion) -> Motion:
        """Return a motion whose codes are as long as this person's.

        One without a residual code gets zeros, and what was read off pictures becomes one; one without a posture has
        the torso follow the pose; a posture is left out where this person has none.

        Raises:
            InputError: a code has another length, so that it belongs to another avatar.
        """
        residual, posture = motion.residual, motion.posture
        if not residual.shape[1]:
            residual = np.zeros((len(motion), self.n_residual), np.float32)
        residual = self.model.code(residual)
        if not self.n_posture:
            posture = np.zeros((len(motion), 0), np.float32)
        for name, found, fitting in (
            ("residual", residual.shape[1], {self.n_residual}), ("posture", posture.shape[1], {0, self.n_posture}),
        ):  # fmt: skip
            if found not in fitting:
                raise InputError(
                    f"The {name} code has {found} numbers, expected {max(fitting)}: it was made with another avatar."
                )
        return replace(motion, residual=residual, posture=posture)

    def speak(
        self, audio: SoundSource, emotion: str | Emotion | EmotionTrack | None = None, intensity: float = 1.0,
        emotion_track: str | Path | EmotionTrack | None = None, camera: str | Path | View | CameraPath = "front",
        background: str | Path | NDArray[np.uint8] = "plate", expression: ExpressionSpec | None = None,
        mouth_gain: float = 1.0, audio_offset_s: float = 0.0, blink: bool = True, seed: int = 0,
        size: int | None = None, crop: CropSpec | None = None, stereo_mm: float | None = None,
        aov: str | Iterable[str] | None = None, paste_back: str | Path | None = None,
    ) -> Speech:  # fmt: skip
        """Make the avatar say something; nothing is rendered before the frames are asked for.

        Args:
            audio: The path of any file with sound, samples [n] (16 kHz mono float32 in [-1, 1]), or an iterable of
                such.
            emotion: A label (`happy`), a mixture (`happy:0.6,sad:0.4`), an Emotion or a track; None is neutral.
                `auto` guesses it from the voice, no better than chance (see `emotion.prosody`), of a whole sound only.
            intensity: Of the emotion, in [0, 1].
            emotion_track: A track or its JSON file, instead of `emotion`.
            camera: `front`, `orbit`, `yaw=20,pitch=-5[,roll=,zoom=]` (degrees; yaw > 0 towards the person's left), or
                the JSON file of a camera path. The head is seen from there; the torso stays as the recording saw it.
            background: `plate`, a picture file, a video file (looped), `#rrggbb`, or `transparent`.
            expression: What to change about the expression: ARKit names and values to add, the parts `scale`, `offset`,
                `mask` and `motion` (see `avatar.expression`), a JSON file of either, a Motion or a motion file to add.
            mouth_gain: Scales how far the mouth moves from rest, in [0, 4].
            audio_offset_s: Seconds by which the lips move earlier against the sound; negative is later.
            blink: Whether the avatar blinks by itself.
            seed: Of the idle motion; the same seed gives the same video.
            size: Width of the output in pixels, even; None is the recording's, or the crop's.
            crop: The part of the recording's picture to show: `head`, or left, top, width and height, as text or
                numbers, in pixels of it or as shares; None is all of it.
            stereo_mm: Distance of two eyes in millimetres (people's are 63): two pictures side by side, the left eye's
                on the left, that converge on the head. Each is as large as one picture without; None is one picture.
            aov: What to make of the head beside the picture, `depth` or `normal` or both: each frame's `layers`, which
                `save` writes into folders beside the output.
            paste_back: The original video that the avatar was learned from: the square of it that the avatar shows is
                put back into it, and the output is as large as that video. What surrounds the square is the recording,
                over and over.
        Returns:
            The speech, to be saved, or iterated by `.frames()`.
        Raises:
            InputError: an argument is not valid, or the avatar has no voice.
        """
        if self.voice is None:
            raise InputError("This avatar has no motion network: it renders motion files, but cannot speak.")
        sound = Sound(audio)
        heard = emotion == AUTO and emotion_track is None
        track = estimate(sound.whole(), intensity) if heard else parse_emotion(emotion, intensity, emotion_track)
        options = MotionOptions(mouth_gain, audio_offset_s, blink, seed)
        edit = parse_expression(expression, self.bundle.rotation, self.bundle.translation)
        delivery = Delivery(track, options, edit)
        scene = Scene.of(self.bundle, camera, background, size, crop, stereo_mm, aov, paste_back)
        return Speech(
            lambda listener: self._perform(sound, delivery, listener), self._drawer(scene), scene,
            n_frames=sound.n_frames, has_sound=True,
        )  # fmt: skip

    def render(
        self, motion: Motion | str | Path, camera: str | Path | View | CameraPath = "front",
        background: str | Path | NDArray[np.uint8] = "plate", size: int | None = None, crop: CropSpec | None = None,
        stereo_mm: float | None = None, aov: str | Iterable[str] | None = None,
        paste_back: str | Path | None = None,
    ) -> Speech:  # fmt: skip
        """Show explicit expressions and poses, without sound.

        Args:
            motion: A Motion, or the path of a motion file (`.npz`, `.csv`).
            camera: As for `speak`.
            background: As for `speak`.
            size: As for `speak`.
            crop: As for `speak`.
            stereo_mm: As for `speak`.
            aov: As for `speak`.
            paste_back: As for `speak`.
        Raises:
            InputError: an argument is not valid, or the motion does not fit the avatar.
        """
        explicit = self._explicit(motion)
        scene = Scene.of(self.bundle, camera, background, size, crop, stereo_mm, aov, paste_back)
        return Speech(lambda _: iter([explicit]), self._drawer(scene), scene, n_frames=len(explicit), has_sound=False)

    def stream(self, audio: SoundSource, **options: Any) -> Iterator[Frame]:
        """Yield the frames of a speech while its sound arrives, each as soon as it can be drawn.

        Args:
            audio: As for `speak`; an iterable may be without end, such as a microphone.
            **options: All further arguments of `speak`.
        """
        return self.speak(audio, **options).frames()

    def _explicit(self, motion: Motion | str | Path) -> Motion:
        """Return a motion with codes of this avatar's size, read from a file where it is a path."""
        if not isinstance(motion, Motion):
            return self.fitted(load_motion(
                motion, mean_rotation=self.bundle.rotation, mean_translation=self.bundle.translation,
                n_residual=self.n_residual,
            ))  # fmt: skip
        if not len(motion) or round(motion.fps, 3) != FPS:
            got = f"{len(motion)} at {motion.fps:g}"
            raise InputError(f"Expected at least one frame of motion, at {FPS} a second; got {got}. Make it anew.")
        return self.fitted(motion)

    def _perform(self, sound: Sound, delivery: Delivery, listener: Listener) -> Iterator[Motion]:
        """Yield the motion of a speech, piece by piece."""
        assert self.voice is not None

        def heard() -> Iterator[Samples]:
            for chunk in sound.chunks():
                listener(chunk)
                yield chunk

        yield from delivery.perform(self.voice, heard())

    def _drawer(self, scene: Scene) -> Callable[[Iterator[Motion]], Iterator[Frame]]:
        return lambda motions: self._draw(motions, scene)

    def _draw(self, motions: Iterator[Motion], scene: Scene) -> Iterator[Frame]:
        backgrounds = scene.background.pictures()
        n_done = 0
        for motion in motions:
            for row in range(len(motion)):
                time_s, person = n_done / FPS, self._pose(motion, row)
                render = partial(self.model.render, posture=motion.posture[row])
                picture = scene.picture(time_s, next(backgrounds), person(render))
                layers = scene.measure(time_s, person(self.model.surface)) if scene.layers else {}
                yield Frame(picture, time_s, layers)
                n_done += 1

    def _pose(self, motion: Motion, row: int) -> Callable[[Callable[..., Tensor]], Draw]:
        """Return what makes a function of the person draw it as in one row of a motion."""

        def person(function: Callable[..., Tensor]) -> Draw:
            def draw(camera: Camera, view: NDArray[np.float32] | None) -> Tensor:
                with torch.inference_mode():
                    return function(
                        motion.rotation[row], motion.translation[row], motion.expression[row], motion.residual[row],
                        camera, view=view,
                    )  # fmt: skip

            return draw

        return person
