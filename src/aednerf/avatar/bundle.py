"""Write and read the avatar bundle: one folder or one `.aednerf` zip that holds all of a trained avatar.

A bundle may come from a stranger. Before anything in it is decoded or allocated, loading checks the member names, every
size, the SHA-256 of every file, the schema, the tensors that the weights declare and the size of the pictures. Nothing
in it is executed, and no pickle is read. A broken bundle is an `InputError` of one line.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from aednerf import __version__
from aednerf.avatar import untrusted
from aednerf.avatar.untrusted import MAX_BYTES, MAX_IMAGE_SIDE, SECTIONS, broken
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_folder, atomic_path, require_absent
from aednerf.core.records import ARKIT_NAMES, Camera

SCHEMA_VERSION = 2
_PACKED = ("weights.safetensors",)
"""Files that become smaller: displacements are zeros far from the face."""
_CAMERA = ("focal_px", "cx", "cy", "width", "height")
MAX_PLACE = 10_000_000
HALF_SECTIONS = ("field.", "motion.")
HALF_FROM_ELEMENTS = 4096  # smaller tensors (biases, the range of poses) keep their 32 bits: they cost nothing

SYNTHETIC = (
    "Every picture made from this avatar is computer-generated. Show it only with the consent of the person, and say "
    "that it is synthetic."
)


@dataclass(frozen=True)
class Place:
    """Which square of which video the recording's picture is, and when."""

    file: str
    """The video's name, without its folder."""

    width: int
    """Of the video's upright pictures, pixels."""

    height: int
    x: int
    """Left edge of the square in them."""

    y: int
    size: int
    first: int
    """The stretch `[first, end)` that the camera and the background belong to, in frames of 25 fps."""

    end: int


@dataclass(frozen=True)
class Bundle:
    """All that a trained avatar consists of, as plain data: no part of it knows the classes that use it."""

    preset: str
    """The training preset: `smoke`, `fast` or `full`."""

    field_config: dict[str, Any]
    """JSON form of `field.config.FieldConfig`."""

    motion_config: dict[str, Any] | None
    """JSON form of the motion network's configuration; None where the avatar cannot be driven by speech."""

    tensors: dict[str, torch.Tensor]
    """Weights by name; each name begins with `field.`, `motion.` or `stats.`."""

    camera: Camera
    """The recording's camera."""

    rotation: NDArray[np.float32]
    """[3, 3] the recording's mean head-to-camera rotation."""

    translation: NDArray[np.float32]
    """[3] the recording's mean head position in the camera's frame, metres."""

    background: NDArray[np.uint8]
    """[H, W, 3] the recording's clean plate, RGB."""

    preview: NDArray[np.uint8] | None = None
    """[H, W, 3] a picture of the avatar, RGB."""

    training: dict[str, Any] = field(default_factory=dict)
    """What was trained on what, for how long, with which result."""

    licences: tuple[str, ...] = ()
    """Licences of the recording and of what the avatar was made with."""

    consent: str = ""
    """The consent note of the recording."""

    synthetic: str = SYNTHETIC
    """The disclosure that travels with the avatar."""

    place: Place | None = None
    """Where the recording's picture was in the original video; None in avatars made before this was kept."""

    digest: str = ""
    """SHA-256 of `avatar.json`, which lists those of all other files; empty before the bundle is saved."""

    def section(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one section (`field`, `motion`, `stats`), without the prefix."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(name + ".")}


def save_bundle(
    path: str | Path, bundle: Bundle, *, preview_video: str | Path | None = None, force: bool = False
) -> Path:
    """Write a bundle, whole or not at all: a zip where the name ends in `.aednerf`, else a folder.

    Args:
        path: The output.
        bundle: What to write. Large weights are stored in 16 bits.
        preview_video: An mp4 to carry along as `preview.mp4`.
        force: Replace a finished bundle.
    Returns:
        The path.
    Raises:
        InputError: the output exists, or the weights are larger than a bundle may hold.
    """
    path = require_absent(path, force)
    is_zip = path.suffix == ".aednerf"
    holds_avatar = path.is_file() if is_zip else (path / "avatar.json").is_file()
    if path.exists() and not holds_avatar:  # force replaces avatars, never a folder of something else
        raise InputError(f"{path} exists and is not an avatar that could be replaced. Choose another name.")
    if not is_zip:
        with atomic_folder(path) as folder:
            _write_files(folder, bundle, preview_video)
        return path
    with atomic_path(path) as temporary, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_files(folder, bundle, preview_video)
        with zipfile.ZipFile(temporary, "w") as archive:
            for name in MAX_BYTES:
                if (folder / name).exists():  # a fixed time, so that equal avatars are equal files
                    info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
                    packing = zipfile.ZIP_DEFLATED if name in _PACKED else zipfile.ZIP_STORED
                    archive.writestr(info, (folder / name).read_bytes(), packing)
    return path


def load_bundle(path: str | Path, device: str | torch.device = "cpu") -> Bundle:
    """Read and check a bundle.

    Args:
        path: A bundle's folder or `.aednerf` file.
        device: Where the tensors go.
    Returns:
        The bundle; every tensor finite and in one of the three sections.
    Raises:
        InputError: it is missing, damaged, larger than allowed, or of an unknown schema.
    """
    path = Path(path)
    with untrusted.open_members(path) as read:
        description = read("avatar.json")
        record = _parse_description(path, description)
        contents = _read_verified(path, record, read)
    tensors = untrusted.parse_weights(path, contents["weights.safetensors"])
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    pictures = {name: untrusted.parse_png(path, data, name) for name, data in contents.items() if name.endswith(".png")}
    try:
        camera = _parse_camera(record["camera"])
        rotation = np.asarray(record["pose"]["rotation"], np.float32)
        translation = np.asarray(record["pose"]["translation"], np.float32)
        if rotation.shape != (3, 3) or translation.shape != (3,) or not np.isfinite(translation).all():
            raise ValueError("the pose is no 3x3 rotation and 3-vector")
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
            raise ValueError("the pose's rotation is not orthonormal")
        if record["expression_names"] != list(ARKIT_NAMES):
            raise ValueError("expression_names are not the 52 ARKit names in this program's order")
        return Bundle(
            preset=str(record["preset"]), field_config=dict(record["field"]),
            motion_config=None if record["motion"] is None else dict(record["motion"]), tensors=tensors, camera=camera,
            rotation=rotation, translation=translation, background=pictures["background.png"],
            preview=pictures.get("preview.png"),
            training=dict(record["training"]), licences=tuple(map(str, record["licences"])),
            consent=str(record["consent"]), synthetic=str(record["synthetic"]), place=_parse_place(record),
            digest=hashlib.sha256(description).hexdigest(),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"entry {error} is missing" if isinstance(error, KeyError) else str(error)
        raise broken(path, f"avatar.json: {what}") from None


def _write_files(folder: Path, bundle: Bundle, preview_video: str | Path | None) -> None:
    tensors = {
        name: _compact(value) if name.startswith(HALF_SECTIONS) else value.detach().cpu().clone().contiguous()
        for name, value in bundle.tensors.items()
    }
    if unknown := [name for name in tensors if name.split(".")[0] not in SECTIONS]:
        raise ValueError(f"bundle tensors must begin with one of {SECTIONS}, got {unknown[0]!r}")
    safetensors.torch.save_file(tensors, folder / "weights.safetensors")
    _write_png(folder / "background.png", bundle.background)
    if bundle.preview is not None:
        _write_png(folder / "preview.png", bundle.preview)
    if preview_video is not None:
        shutil.copyfile(preview_video, folder / "preview.mp4")
    files = {}
    for name in MAX_BYTES:
        if (folder / name).exists():
            data = (folder / name).read_bytes()
            if len(data) > MAX_BYTES[name]:
                raise InputError(f"The avatar's {name} takes {len(data):,} bytes, at most {MAX_BYTES[name]:,} may be.")
            files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    record = {
        "schema": "aednerf.avatar", "schema_version": SCHEMA_VERSION, "written_by": f"aednerf {__version__}",
        "synthetic": bundle.synthetic, "consent": bundle.consent, "licences": list(bundle.licences),
        "preset": bundle.preset, "camera": {name: getattr(bundle.camera, name) for name in _CAMERA},
        "pose": {"rotation": bundle.rotation.tolist(), "translation": bundle.translation.tolist()},
        "expression_names": list(ARKIT_NAMES), "field": bundle.field_config, "motion": bundle.motion_config,
        "training": bundle.training, "place": None if bundle.place is None else asdict(bundle.place), "files": files,
    }  # fmt: skip
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "avatar.json").write_text(text, encoding="utf-8")


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point() or tensor.numel() < HALF_FROM_ELEMENTS:
        return tensor.clone()
    half = tensor.half()
    return half if bool(half.isfinite().all()) else tensor.clone()


def _write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
    if not done:
        raise ValueError(f"cannot encode {path.name} of shape {rgb.shape}")
    path.write_bytes(data.tobytes())


def _parse_description(path: Path, description: bytes) -> dict[str, Any]:
    try:
        record = json.loads(description.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise broken(path, f"avatar.json is not valid JSON ({error})") from None
    if not isinstance(record, dict) or record.get("schema") != "aednerf.avatar":
        raise broken(path, "avatar.json does not describe an aednerf avatar")
    if record.get("schema_version") != SCHEMA_VERSION:
        version = str(record.get("schema_version"))[:20]
        raise InputError(
            f"{path} is of avatar schema {version}, this aednerf {__version__} reads {SCHEMA_VERSION}. "
            "Use the aednerf that wrote it, or train it again from its capture."
        )
    return record


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _read_verified(path: Path, record: dict[str, Any], read: untrusted.Read) -> dict[str, bytes]:
    """Read every listed file, check its size and digest, and return those that the avatar needs."""
    files = record.get("files")
    if not isinstance(files, dict):
        raise broken(path, "avatar.json lists no files")
    for name in ("weights.safetensors", "background.png"):
        if name not in files:
            raise broken(path, f"avatar.json does not list {name}")
    contents = {}
    for name, entry in files.items():
        if name not in MAX_BYTES or name == "avatar.json" or not isinstance(entry, dict):
            raise broken(path, f"avatar.json lists {name[:80]!r}, which is no file of a bundle")
        data = read(name)
        if len(data) != entry.get("bytes"):
            raise broken(path, f"{name} has {len(data):,} bytes, avatar.json says {str(entry.get('bytes'))[:20]}")
        if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
            raise broken(path, f"the SHA-256 of {name} is not the one in avatar.json")
        if name != "preview.mp4":
            contents[name] = data
    return contents


def _parse_camera(entry: dict[str, Any]) -> Camera:
    camera = Camera(float(entry["focal_px"]), float(entry["cx"]), float(entry["cy"]), entry["width"], entry["height"])
    sides = (camera.width, camera.height)
    if not all(type(side) is int and 16 <= side <= MAX_IMAGE_SIDE for side in sides):
        raise ValueError(f"the camera's size must lie in 16..{MAX_IMAGE_SIDE}, got {sides}")
    if not (0 < camera.focal_px < 1e6 and math.isfinite(camera.cx) and math.isfinite(camera.cy)):
        raise ValueError("the camera's focal length or centre is impossible")
    return camera


def _parse_place(record: dict[str, Any]) -> Place | None:
    entry = record.get("place")
    if entry is None:
        return None
    numbers = {name: entry[name] for name in ("width", "height", "x", "y", "size", "first", "end")}
    if not all(type(value) is int and 0 <= value <= MAX_PLACE for value in numbers.values()):
        raise ValueError(f"the numbers of the place must be whole and in 0..{MAX_PLACE}")
    place = Place(file=str(entry["file"])[:200], **numbers)
    fits = place.x + place.size <= place.width and place.y + place.size <= place.height
    if not (fits and 16 <= place.size <= MAX_IMAGE_SIDE and place.first < place.end):
        raise ValueError("the place lies outside of its video")
    return place
