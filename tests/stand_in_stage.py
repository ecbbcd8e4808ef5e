"""A stand-in for the studio: flat shapes through the mesh's landmarks, in milliseconds, with the studio's interface."""

from __future__ import annotations

import cv2
import numpy as np

from aednerf import assets
from aednerf.capture.face_table import FaceTable
from aednerf.core.records import Camera
from aednerf.face import topology
from aednerf.face.model import FaceModel
from aednerf.face.pose import rotation_from_angles
from aednerf.synthetic.moment import Moment, Shot
from aednerf.synthetic.performance import landmarks_of

SUPERSAMPLING = 4
COLOURS = {"torso": (60, 70, 120), "neck": (180, 130, 110), "head": (200, 150, 130), "lips": (170, 70, 70),
           "mouth": (60, 20, 25), "eye": (240, 240, 240), "iris": (40, 80, 60)}  # fmt: skip


class StandInStage:
    """See `aednerf.synthetic.recording.Stage`."""

    def __init__(self, person, size, mean_rotation, mean_translation) -> None:
        model = FaceModel.load(assets.find("ict_facekit"))
        self.face = model.person(person.weights())
        self.camera = Camera(1200 * size / 512, size / 2, size / 2, size, size)
        ramp = np.linspace(90, 140, size).astype(np.uint8)
        self.plate = np.dstack([np.tile(ramp, (size, 1))] * 3)
        self.mean = mean_rotation, mean_translation
        self._model, self._landmarks, self.n_shots = model, landmarks_of(self.face), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def face_table(self) -> FaceTable:
        table = self._model.face_table(self.face)
        return FaceTable(table.points, table.deltas, table.part)

    def view(self, yaw_deg: float, pitch_deg: float) -> np.ndarray:
        turn = rotation_from_angles(np.deg2rad(np.array([-yaw_deg, pitch_deg, 0.0])))
        centre = self.mean[1]
        return np.concatenate([turn, (centre - turn @ centre)[:, None]], axis=1).astype(np.float32)

    def shoot(self, moment: Moment, view: np.ndarray | None = None) -> Shot:
        self.n_shots += 1
        motion = np.eye(3, 4, dtype=np.float32) if view is None else view
        points = self._landmarks.at(moment.expression) @ moment.rotation.T + moment.translation
        pixels = self.camera.project(points @ motion[:, :3].T + motion[:, 3])
        scale, size = SUPERSAMPLING, self.camera.width
        canvas = np.zeros((size * scale, size * scale, 3), np.uint8)
        labels = np.zeros((size * scale, size * scale), np.uint8)

        def fill(shape: np.ndarray, colour: str, label: int) -> None:
            corners = np.round(shape * scale).astype(np.int32)
            cv2.fillPoly(canvas, [corners], COLOURS[colour])
            cv2.fillPoly(labels, [corners], label)

        oval = pixels[list(topology.OVAL)]
        chin = pixels[152]
        s = size / 512
        low = size + 10 * s
        lift = 4 * s * moment.breath
        top = 420 * s - lift
        fill(np.array([[90 * s, low], [150 * s, top], [362 * s, top], [422 * s, low]]), "torso", 3)
        fill(np.array([chin + [-45 * s, -30 * s], chin + [45 * s, -30 * s], [306 * s, 430 * s], [206 * s, 430 * s]]),
             "neck", 2)  # fmt: skip
        fill((oval - oval.mean(0)) * [1.12, 1.25] + oval.mean(0) - [0, 12 * s], "head", 1)
        fill(pixels[list(topology.LIPS_OUTER_RING)], "lips", 1)
        fill(pixels[list(topology.LIPS_INNER_RING)], "mouth", 1)
        for ring, iris in ((topology.LEFT_EYE, topology.LEFT_IRIS), (topology.RIGHT_EYE, topology.RIGHT_IRIS)):
            fill(pixels[list(ring)], "eye", 1)
            fill(pixels[list(iris[1:])], "iris", 1)
        alpha = cv2.resize((labels > 0).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        colour = cv2.resize(canvas.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        straight = np.where(alpha[..., None] > 0, colour / np.maximum(alpha[..., None], 1e-3), 0)
        image = colour + self.plate * (1 - alpha[..., None])
        parts = cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST)
        to_bytes = [np.clip(np.rint(array), 0, 255).astype(np.uint8) for array in (image, straight, alpha * 255)]
        return Shot(*to_bytes, parts)
