"""The studio: photographs a synthetic person at a moment, with the exact matte and parts."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from aednerf.assets import find
from aednerf.capture.face_table import FaceTable
from aednerf.core.errors import InputError
from aednerf.face.model import FaceModel, PersonPoints
from aednerf.synthetic.camera import REST_TRANSLATION, clip_matrix, orbit, recording_camera
from aednerf.synthetic.figure import Figure
from aednerf.synthetic.light import StudioLight
from aednerf.synthetic.mesh import HeadMesh
from aednerf.synthetic.moment import Moment, Shot
from aednerf.synthetic.openness import towards
from aednerf.synthetic.person import SyntheticPerson
from aednerf.synthetic.plate import paint_plate
from aednerf.synthetic.renderer import Pixels, Renderer

Array = NDArray[np.floating]

_STAY = np.eye(3, 4, dtype=np.float32)


class Studio:
    """One person before one camera. Deterministic: the same moment gives the same picture."""

    def __init__(
        self,
        person: SyntheticPerson,
        size: int,
        mean_rotation: Array | None = None,
        mean_translation: Array | None = None,
        supersampling: int = 3,
    ) -> None:
        """Grow and paint the person, which takes some seconds.

        Args:
            person: who.
            size: the pictures' width and height in pixels.
            mean_rotation: [3, 3] the recording's mean head pose, under which the torso stays; to the front if none.
            mean_translation: [3] metres.
            supersampling: each pixel is drawn this many times in both directions; against 16, 3 is 46 dB and 4 is 49 dB
                (multisampling costs more for the same).

        Raises:
            InputError: the size is not positive, or the face model is missing.
            MachineError: OpenGL over EGL is missing.
        """
        if not 16 <= size <= 4096:
            raise InputError(f"A picture's size must lie in 16..4096 pixels, got {size}.")
        self.person, self.camera, self.plate = person, recording_camera(size), paint_plate(person, size)
        pose = np.eye(4, dtype=np.float32)
        pose[:3, 3] = REST_TRANSLATION if mean_translation is None else mean_translation
        pose[:3, :3] = np.eye(3) if mean_rotation is None else mean_rotation
        self._mean_pose, self._path = pose, find("ict_facekit")
        self._renderer = Renderer(size, supersampling)
        mesh = HeadMesh.load(self._path, person.weights())
        self._light = StudioLight.portrait()
        pixel_m = -float(pose[2, 3]) / self.camera.focal_px
        self._figure = Figure(self._renderer, person, mesh, self._light, pixel_m)
        self._figure.mean_pose = pose
        self.face: PersonPoints = mesh.face

    def __enter__(self) -> Studio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._renderer.close()

    def view(self, yaw_deg: float, pitch_deg: float) -> Array:
        """Return [3, 4]: the camera-space motion of a camera orbiting about the mean head position.

        Args:
            yaw_deg: > 0 towards the person's left.
            pitch_deg: > 0 up.
        """
        return orbit(self._mean_pose[:3, 3], yaw_deg, pitch_deg)

    def face_table(self) -> FaceTable:
        """Return the person's surface as captures store it, from the exact mesh."""
        return FaceTable(*FaceModel.load(self._path).face_table(self.face))

    def shoot(self, moment: Moment, view: Array | None = None) -> Shot:
        """Photograph one moment.

        Args:
            moment: what the person does.
            view: [3, 4] a camera-space motion from `view`; the recording's own camera if none. The plate stays.
        """
        self._figure.place(moment)
        pixels = self._draw(_STAY if view is None else np.asarray(view, np.float32))
        return compose(pixels, self.plate)

    def _draw(self, view: Array) -> Pixels:
        light = self._light
        centre = self._mean_pose[:3, 3] + np.array([0, -0.04, 0.0])
        shadow = towards(light.directions[0], centre, 0.32)
        self._renderer.shadow.draw(self._figure.casters, shadow)
        to_texture = np.array([[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1]], np.float32)
        eye = -view[:, :3].T @ view[:, 3]
        return self._renderer.draw(
            self._figure.items,
            to_clip=clip_matrix(self.camera, view).T,
            eye_position=tuple(float(e) for e in eye),
            light_direction=light.directions, light_colour=light.colours, light_spread=light.spread,
            sky_colour=light.sky, ground_colour=light.ground, exposure=light.exposure,
            shadow_matrix=(to_texture @ shadow).T,
            pixel=1.0 / (self.camera.focal_px * self._renderer.supersampling),
        )  # fmt: skip


def compose(pixels: Pixels, plate: NDArray[np.uint8]) -> Shot:
    """Turn drawn coverage into a shot over the plate."""
    alpha = pixels.colour[..., 3:]
    coded = np.rint(alpha * 255).astype(np.uint8)
    straight = np.where(alpha > 0, pixels.colour[..., :3] / np.maximum(alpha, 1e-4), 0)
    foreground = np.rint(np.clip(straight, 0, 1) * 255).astype(np.uint8)
    image = pixels.colour[..., :3] * 255 + plate * (1 - alpha)
    parts = np.where(coded[..., 0] >= 128, pixels.parts[..., :3].argmax(-1) + 1, 0).astype(np.uint8)
    return Shot(np.rint(np.clip(image, 0, 255)).astype(np.uint8), foreground, coded[..., 0], parts)
