"""A small, valid capture made of nothing but NumPy: a textured ellipsoid head that talks, blinks and turns.

Everything in it is known exactly: the picture is ray-cast from the very poses and expressions that its tracking holds,
so that a test of training, rendering or evaluation can tell right from wrong without a detector or a recording.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aednerf.capture.capture import FRAMES_NAME, MATTE_NAME, PARTS_NAME, Capture, data_files
from aednerf.capture.face_table import FacePart, FaceTable
from aednerf.capture.manifest import ClipRecord, Crop, Manifest, Source
from aednerf.capture.tracking import N_IDENTITY, N_LANDMARKS, Tracking
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Camera
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.face import topology
from aednerf.media.audio import write_wav
from aednerf.media.image import write_image
from aednerf.media.video import LosslessGrayWriter, VideoWriter

HEAD_RADII = np.array([0.080, 0.120, 0.095])
"""Half axes of the head's ellipsoid in metres."""

HEAD_CENTRE = np.array([0.0, 0.0, 0.02])
"""Where the ellipsoid stands in the head frame, about as ICT-FaceKit's head does."""

MOUTH_Y, MOUTH_HALF_WIDTH, JAW_DROP = -0.055, 0.026, 0.024
EYE_X, EYE_Y, EYE_HALF_WIDTH, EYE_HALF_HEIGHT = 0.032, 0.025, 0.015, 0.008
RESIDUAL_SIZE = 4
POSTURE_SIZE = 2
SUPERSAMPLING = 3

JAW_OPEN = ARKIT_NAMES.index("jawOpen")
SMILE = [ARKIT_NAMES.index("mouthSmileLeft"), ARKIT_NAMES.index("mouthSmileRight")]
BLINK = [ARKIT_NAMES.index("eyeBlinkLeft"), ARKIT_NAMES.index("eyeBlinkRight")]


def make_tiny_capture(
    path: str | Path, size: int = 64, n_frames: int = 44, clips: int = 1, with_audio: bool = True,
    invalid: tuple[int, ...] = (), seed: int = 0,
) -> Capture:  # fmt: skip
    """Write a tiny capture into the new folder `path` and open it.

    Args:
        path: the folder, made here.
        size: edge of the frames in pixels, even.
        n_frames: frames of each clip.
        clips: how many clips; clip i has the emotion `EMOTIONS[i % 8]` at full intensity.
        with_audio: whether the clips have a sound, a tone that is as loud as the mouth is open.
        invalid: frames (of the whole capture) that are marked as having no face; their picture is the plate.
        seed: of the motion.
    """
    path = Path(path)
    path.mkdir(parents=True)
    camera = Camera(3.0 * size, size / 2, size / 2, size, size)
    total = n_frames * clips
    expression, rotation, translation = _motion(total, n_frames, np.random.default_rng(seed))
    plate = _plate(size)
    names = [f"tiny{i}" for i in range(clips)]
    records = tuple(
        ClipRecord(
            name=name, first=i * n_frames, end=(i + 1) * n_frames, emotion=EMOTIONS[i % len(EMOTIONS)], intensity=1.0,
            audio=f"audio/{name}.wav" if with_audio else None, crop=Crop(0.0, 0.0, float(size)),
            focal_px=camera.focal_px, cx=camera.cx, cy=camera.cy,
            source=Source(f"{name}.mp4", "0" * 64, "CC0-1.0", size, size, float(FPS), n_frames / FPS),
        )
        for i, name in enumerate(names)
    )  # fmt: skip
    with (
        VideoWriter(path / FRAMES_NAME, size, size, crf=12, keyframe_s=1.0) as frames,
        LosslessGrayWriter(path / MATTE_NAME, size, size) as mattes,
        LosslessGrayWriter(path / PARTS_NAME, size, size) as parts,
    ):
        for i in range(total):
            if i in invalid:
                frame, matte, part = plate, np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
            else:
                frame, matte, part = _draw(expression[i], rotation[i], translation[i], camera, plate)
            frames.write(frame)
            mattes.write(matte)
            parts.write(part)
    for record in records:
        for name in record.plates:
            (path / name).parent.mkdir(exist_ok=True)
            write_image(path / name, plate)
        if record.audio:
            (path / record.audio).parent.mkdir(exist_ok=True)
            write_wav(path / record.audio, _tone(expression[record.first : record.end, JAW_OPEN]))
    table = _face_table()
    table.save(path)
    _tracking(expression, rotation, translation, camera, invalid).save(path)
    manifest = Manifest(size, records, consent="computer-generated")
    sizes = {name: (path / name).stat().st_size for name in data_files(manifest)}
    Manifest(size, records, files=sizes, consent=manifest.consent).save(path)
    return Capture.open(path)


def _motion(total: int, n_frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a talking, blinking, turning head: expression [T, 52], rotation [T, 3, 3], translation [T, 3]."""
    time = np.arange(total) / FPS
    phase = rng.uniform(0, 2 * np.pi, 4)
    expression = np.zeros((total, len(ARKIT_NAMES)))
    syllables = np.sin(2 * np.pi * 2.3 * time + phase[0]) * np.sin(2 * np.pi * 0.7 * time + phase[1])
    expression[:, JAW_OPEN] = np.clip(1.1 * syllables, 0, 1)
    clip = np.arange(total) // n_frames
    expression[:, SMILE] = np.where(clip % len(EMOTIONS) == EMOTIONS.index("happy"), 0.7, 0.0)[:, None]
    expression[:, BLINK] = np.clip(1 - np.abs((np.arange(total) % 40) - 12) / 3, 0, 1)[:, None]
    yaw = np.deg2rad(14) * np.sin(2 * np.pi * 0.31 * time + phase[2])
    pitch = np.deg2rad(5) * np.sin(2 * np.pi * 0.23 * time + phase[3])
    c, s, zero, one = np.cos(yaw), np.sin(yaw), np.zeros(total), np.ones(total)
    turn = np.stack([np.stack(row, -1) for row in ([c, zero, s], [zero, one, zero], [-s, zero, c])], 1)
    c, s = np.cos(pitch), np.sin(pitch)
    nod = np.stack([np.stack(row, -1) for row in ([one, zero, zero], [zero, c, -s], [zero, s, c])], 1)
    translation = np.stack([0.01 * np.sin(yaw * 3), 0.02 + 0.005 * np.sin(time * 2), -1.15 + 0.01 * np.cos(time)], 1)
    return expression.astype(np.float32), (nod @ turn).astype(np.float32), translation.astype(np.float32)


def _draw(
    expression: np.ndarray, rotation: np.ndarray, translation: np.ndarray, camera: Camera, plate: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ray-cast one frame: RGB [H, W, 3], the person's alpha [H, W], part labels [H, W]."""
    n = camera.width * SUPERSAMPLING
    u, v = np.meshgrid(*[(np.arange(n) + 0.5) / SUPERSAMPLING] * 2)
    rays = np.stack([(u - camera.cx) / camera.focal_px, (camera.cy - v) / camera.focal_px, -np.ones_like(u)], -1)
    origin, direction = -rotation.T @ translation, rays @ rotation
    o, d = (origin - HEAD_CENTRE) / HEAD_RADII, direction / HEAD_RADII
    a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1
    inside = b * b - a * c
    depth = (-b - np.sqrt(np.maximum(inside, 0))) / a
    surface = origin + depth[..., None] * direction
    on_head = inside > 0
    x, y = u / camera.width - 0.5, v / camera.height
    torso = (y > 0.87) & (np.abs(x) < 0.42)
    neck = ~torso & (y > 0.6) & (np.abs(x) < 0.11)
    label = np.select([on_head, torso, neck], [1, 3, 2], 0)
    background = np.repeat(np.repeat(plate, SUPERSAMPLING, 0), SUPERSAMPLING, 1) / 255.0
    cloth = np.stack([0.15 + 0.05 * np.sin(60 * x), 0.2 + 0 * x, 0.45 + 0.1 * np.sin(90 * y)], -1)
    skin = np.array([0.70, 0.52, 0.43]) * np.ones_like(background)
    face = _skin(surface - HEAD_CENTRE, expression)
    colour = np.select([label[..., None] == k for k in (1, 2, 3)], [face, skin, cloth], background)
    blocks = (camera.height, SUPERSAMPLING, camera.width, SUPERSAMPLING)
    frame = colour.reshape(*blocks, 3).mean((1, 3))
    alpha = (label > 0).reshape(blocks).mean((1, 3))
    votes = np.stack([(label == k).reshape(blocks).sum((1, 3)) for k in range(4)], -1)
    return (frame * 255 + 0.5).astype(np.uint8), (alpha * 255 + 0.5).astype(np.uint8), votes.argmax(-1).astype(np.uint8)


def _skin(point: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Paint surface points [H, W, 3], relative to the ellipsoid's centre: skin, freckles, hair, eyes, mouth."""
    x, y, z = np.moveaxis(point, -1, 0)
    shade = 0.82 + 0.18 * z / HEAD_RADII[2]
    freckles = 0.04 * np.sin(240 * x) * np.sin(210 * y) + 0.03 * np.sin(90 * x + 70 * y)
    colour = np.array([0.85, 0.64, 0.53]) * (shade + freckles)[..., None]
    hair = (y > 0.07 + 0.01 * np.sin(150 * x)) | (z < -0.01)
    strands = (1 + 0.3 * np.sin(300 * x))[..., None]
    colour = np.where(hair[..., None], np.array([0.22, 0.14, 0.09]) * strands, colour)
    front = z > 0
    brow = front & (np.abs(np.abs(x) - EYE_X) < 0.018) & (np.abs(y - EYE_Y - 0.019) < 0.0035)
    colour[brow] = (0.20, 0.13, 0.09)
    for side, blink in ((1, BLINK[0]), (-1, BLINK[1])):  # +x is the person's left
        dx, dy = x - side * EYE_X, y - EYE_Y
        opening = EYE_HALF_HEIGHT * np.sqrt(np.maximum(1 - (dx / EYE_HALF_WIDTH) ** 2, 0))
        shown = front & (np.abs(dx) < EYE_HALF_WIDTH) & (dy > -opening)
        shown &= dy < opening * (1 - 2 * expression[blink])
        colour[shown] = (0.93, 0.93, 0.92)
        colour[shown & (dx**2 + dy**2 < 0.006**2)] = (0.18, 0.32, 0.42)
    top, bottom = _lips(x, expression)
    wide = front & (np.abs(x) < MOUTH_HALF_WIDTH)
    colour[wide & (y < top + 0.006) & (y > bottom - 0.007)] = (0.74, 0.33, 0.32)
    open_mouth = wide & (y < top) & (y > bottom)
    colour[open_mouth] = (0.16, 0.05, 0.06)
    colour[open_mouth & (y > top - 0.006)] = (0.92, 0.90, 0.84)
    return np.clip(colour, 0, 1)


def _lips(x: np.ndarray, expression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the heights of the upper and the lower inner lip at x."""
    across = np.clip(x / MOUTH_HALF_WIDTH, -1, 1)
    top = MOUTH_Y + 0.010 * expression[SMILE[0]] * across**2
    return top, top - JAW_DROP * expression[JAW_OPEN] * (1 - across**2)


def _place(xy: np.ndarray) -> np.ndarray:
    """Lift points [..., 2] onto the front of the ellipsoid, [..., 3]."""
    inside = 1 - ((xy / HEAD_RADII[:2]) ** 2).sum(-1)
    return np.concatenate([xy, HEAD_RADII[2] * np.sqrt(np.maximum(inside, 0.0))[..., None]], -1) + HEAD_CENTRE


def _landmark_points(expression: np.ndarray) -> np.ndarray:
    """Return the 478 head points [478, 3] under one expression: named rings where they are drawn, others spread out."""
    xy = _sunflower(N_LANDMARKS) * HEAD_RADII[:2] * 0.9
    around = np.linspace(0, 2 * np.pi, len(topology.OVAL), endpoint=False)
    xy[list(topology.OVAL)] = np.stack([np.sin(around), np.cos(around)], 1) * HEAD_RADII[:2] * 0.93
    for ring, margin in ((topology.LIPS_OUTER_RING, 0.0065), (topology.LIPS_INNER_RING, 0.0)):
        along = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
        x = -(MOUTH_HALF_WIDTH + margin / 2) * np.cos(along)
        top, bottom = _lips(x, expression)
        rim = margin * np.abs(np.sin(along))
        xy[list(ring)] = np.stack([x, np.where(np.sin(along) >= 0, top + rim, bottom - rim)], 1)
    for side, ring, iris, blink in (
        (1, topology.LEFT_EYE, topology.LEFT_IRIS, BLINK[0]), (-1, topology.RIGHT_EYE, topology.RIGHT_IRIS, BLINK[1]),
    ):  # fmt: skip
        along = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
        lid = np.sin(along) * np.where(np.sin(along) > 0, 1 - 2 * expression[blink], 1.0)
        xy[list(ring)] = np.stack([side * (EYE_X + EYE_HALF_WIDTH * np.cos(along)), EYE_Y + EYE_HALF_HEIGHT * lid], 1)
        offsets = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.006
        xy[list(iris)] = np.array([side * EYE_X, EYE_Y]) + offsets
    return _place(xy)


def _tracking(
    expression: np.ndarray, rotation: np.ndarray, translation: np.ndarray, camera: Camera, invalid: tuple[int, ...]
) -> Tracking:
    total = len(expression)
    points = np.stack([_landmark_points(row) for row in expression])
    landmarks = camera.project(points @ np.swapaxes(rotation, 1, 2) + translation[:, None]).astype(np.float32)
    steps = np.arange(total)[:, None] / FPS * np.arange(1, RESIDUAL_SIZE + 1)
    residual = (0.3 * np.sin(2 * np.pi * 0.4 * steps)).astype(np.float32)
    valid = ~np.isin(np.arange(total), invalid)
    posture = residual[:, :POSTURE_SIZE]
    rows = [landmarks, rotation, translation, expression, residual, posture, np.full(total, 0.1, np.float32)]
    blanked = [np.where(valid.reshape(-1, *[1] * (row.ndim - 1)), row, np.float32(np.nan)) for row in rows]
    return Tracking(valid, *blanked, identity=np.zeros(N_IDENTITY, np.float32))


def _face_table(n_skin: int = 900) -> FaceTable:
    """Return points on the head, neck, teeth and eyeballs, and how jaw, smile and blink move them."""
    skin = np.concatenate([_place(_sunflower(n_skin) * HEAD_RADII[:2] * 0.99), _landmark_points(np.zeros(52))])
    back = skin[::4] * np.array([1, 1, -1]) + 2 * HEAD_CENTRE
    turns = np.arange(0, 6.2, 0.4)
    neck = np.array([(0.04 * np.sin(a), h, 0.04 * np.cos(a)) for a in turns for h in (-0.16, -0.13, -0.10)])
    arc = np.linspace(-1, 1, 15)
    teeth = _place(np.stack([0.018 * arc, np.full(15, MOUTH_Y)], 1)) - (0, 0, 0.008)
    eyes = [_place(_sunflower(25) * 0.007 + (side * EYE_X, EYE_Y)) for side in (1, -1)]
    groups = [
        (np.concatenate([skin, back, neck]), FacePart.SKIN),
        (teeth + (0, 0.003, 0), FacePart.UPPER_TEETH),
        (teeth - (0, 0.003, 0), FacePart.LOWER_TEETH),
        (eyes[0], FacePart.LEFT_EYEBALL),
        (eyes[1], FacePart.RIGHT_EYEBALL),
    ]
    points = np.concatenate([group for group, _ in groups])
    part = np.concatenate([np.full(len(group), int(kind)) for group, kind in groups]).astype(np.uint8)
    x, y, z = points.T
    deltas = np.zeros((len(ARKIT_NAMES), len(points), 3))
    skin_front = (part == FacePart.SKIN) & (z > 0)
    soft = np.exp(-(np.maximum(np.abs(x) - 0.01, 0) ** 2) / 0.02**2) * skin_front
    below = soft * (y < MOUTH_Y) * np.exp(-((y - MOUTH_Y) ** 2) / 0.03**2)
    deltas[JAW_OPEN, :, 1] = -JAW_DROP * np.where(part == FacePart.LOWER_TEETH, 1.0, below)
    corner = skin_front * np.exp(-((np.abs(x) - MOUTH_HALF_WIDTH) ** 2 + (y - MOUTH_Y) ** 2) / 0.012**2)
    for side, smile, blink in ((1, SMILE[0], BLINK[0]), (-1, SMILE[1], BLINK[1])):
        deltas[smile, :, 1] = 0.010 * corner * (side * x > 0)
        lid = skin_front * (y > EYE_Y) * (np.abs(x - side * EYE_X) < EYE_HALF_WIDTH)
        deltas[blink, :, 1] = -2 * EYE_HALF_HEIGHT * lid * np.exp(-((y - EYE_Y - EYE_HALF_HEIGHT) ** 2) / 0.006**2)
    return FaceTable(points.astype(np.float32), deltas.astype(np.float16), part)


def _tone(mouth: np.ndarray) -> np.ndarray:
    """Return a tone of harmonics inside 300-3000 Hz that is as loud as the mouth [T] is open."""
    time = np.arange(len(mouth) * SAMPLES_PER_FRAME) / SAMPLE_RATE_HZ
    loudness = np.interp(time * FPS - 0.5, np.arange(len(mouth)), mouth)
    harmonics = sum(np.sin(2 * np.pi * 180 * k * time) / k for k in range(2, 12))
    return (0.25 * loudness * harmonics + 1e-4 * np.sin(2 * np.pi * 500 * time)).astype(np.float32)


def _plate(size: int) -> np.ndarray:
    """Return a quiet wall [size, size, 3]: a gradient with soft stripes."""
    u, v = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
    wall = np.stack([0.45 + 0.2 * u, 0.55 + 0.1 * v, 0.60 - 0.1 * u], -1) + 0.03 * np.sin(20 * u)[..., None]
    return (np.clip(wall, 0, 1) * 255 + 0.5).astype(np.uint8)


def _sunflower(n: int) -> np.ndarray:
    """Return n points [n, 2] spread evenly over the unit disc."""
    k = np.arange(n) + 0.5
    return np.stack([np.cos(k * np.pi * (3 - 5**0.5)), np.sin(k * np.pi * (3 - 5**0.5))], 1) * np.sqrt(k / n)[:, None]
