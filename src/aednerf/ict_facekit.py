"""Pack ICT-FaceKit Light's original OBJ files into one compressed table, and check that a table is the known one.

The model is USC ICT's, under the MIT licence (Li et al., "Learning Formation of Physically-Based Face Attributes",
CVPR 2020). Its OBJ files are 400 MB of text; the table holds the same numbers in 16 MB: `neutral` [V, 3] float32 in
centimetres, `expressions` [57, V, 3] and `identities` [100, V, 3] float16 differences from it, `faces` and `uv_faces`
[F, 4] (-1 stands for the missing corner of a triangle), `uv`, `face_material`, and the names.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path

ARRAYS_SHA256 = "f9bb6bec40927d43a3fff5381e9f0b3cb1d243d6c5992b061876cde363e3f895"
"""`arrays_sha256` of the whole model; it does not depend on how the table was compressed."""

NEUTRAL_NAME = "generic_neutral_mesh"
IDENTITY_NAMES = tuple(f"identity{index:03d}" for index in range(100))
EXPRESSION_NAMES = (
    "PupilDilate_L", "PupilDilate_R", "browDown_L", "browDown_R", "browInnerUp_L", "browInnerUp_R", "browOuterUp_L",
    "browOuterUp_R", "cheekPuff_L", "cheekPuff_R", "cheekRaiser_L", "cheekRaiser_R", "cheekSquint_L",
    "cheekSquint_R", "eyeBlink_L", "eyeBlink_R", "eyeLookDown_L", "eyeLookDown_R", "eyeLookIn_L", "eyeLookIn_R",
    "eyeLookOut_L", "eyeLookOut_R", "eyeLookUp_L", "eyeLookUp_R", "eyeSquint_L", "eyeSquint_R", "eyeWide_L",
    "eyeWide_R", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimple_L", "mouthDimple_R",
    "mouthFrown_L", "mouthFrown_R", "mouthFunnel", "mouthLeft", "mouthLowerDown_L", "mouthLowerDown_R",
    "mouthPress_L", "mouthPress_R", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmile_L", "mouthSmile_R", "mouthStretch_L", "mouthStretch_R",
    "mouthUpperUp_L", "mouthUpperUp_R", "noseSneer_L", "noseSneer_R",
)  # fmt: skip

Read = Callable[[str], str]
"""Returns the text of the OBJ file of a name, such as `jawOpen`."""


@dataclass(frozen=True)
class Topology:
    """What all the model's OBJ files share: polygons, texture coordinates and materials."""

    faces: NDArray[np.int32]
    """[F, 4] vertex indices from 0; -1 in the last column of a triangle."""

    uv_faces: NDArray[np.int32]
    """[F, 4] indices into `uv`, padded in the same way."""

    uv: NDArray[np.float32]
    """[U, 2] texture coordinates."""

    face_material: NDArray[np.int8]
    """[F] indices into `materials`."""

    materials: tuple[str, ...]


def read_vertices(text: str) -> NDArray[np.float64]:
    """Read the vertices [V, 3] of an OBJ file."""
    rows = [line[2:].split()[:3] for line in text.splitlines() if line.startswith("v ")]
    return np.array(rows, np.float64).reshape(-1, 3)


def read_topology(text: str) -> Topology:
    """Read the polygons of an OBJ file, each of three or four `vertex/texture` corners."""
    uv, corners, material, materials = [], [], [], []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "vt":
            uv.append(rest.split()[:2])
        elif kind == "usemtl":
            materials.append(rest.strip())
        elif kind == "f":
            polygon = [[int(index) - 1 for index in corner.split("/")[:2]] for corner in rest.split()]
            corners.append(polygon if len(polygon) == 4 else [*polygon, [-1, -1]])
            material.append(len(materials) - 1)
    table = np.array(corners, np.int32)
    return Topology(
        np.ascontiguousarray(table[..., 0]), np.ascontiguousarray(table[..., 1]),
        np.array(uv, np.float32), np.array(material, np.int8), tuple(materials),
    )  # fmt: skip


def pack(source: str | Path, out: str | Path) -> Path:
    """Pack the model's OBJ files into one `.npz`.

    Args:
        source: the folder that holds the OBJ files (`FaceXModel`, or one above it), gzipped or not, or the zip
            archive of the repository.
        out: the file to write.

    Returns:
        `out`.

    Raises:
        InputError: a file is missing, or its mesh is not the neutral one's.
    """
    with _opened(Path(source)) as read:
        text = read(NEUTRAL_NAME)
        neutral, topology = read_vertices(text), read_topology(text)
        arrays = {
            "neutral": neutral.astype(np.float32),
            "faces": topology.faces,
            "uv_faces": topology.uv_faces,
            "uv": topology.uv,
            "face_material": topology.face_material,
            "materials": np.array(topology.materials),
            "expression_names": np.array(EXPRESSION_NAMES),
            "expressions": _differences(read, EXPRESSION_NAMES, neutral),
            "identities": _differences(read, IDENTITY_NAMES, neutral),
        }
    with atomic_path(out) as temporary:
        np.savez_compressed(temporary, **arrays)
    return Path(out)


def arrays_sha256(path: str | Path) -> str:
    """Return a digest of the arrays in an `.npz`: names, types, shapes and values, whatever the compression.

    Raises:
        InputError: the file is no `.npz` of plain arrays.
    """
    digest = hashlib.sha256()
    try:
        with np.load(path, allow_pickle=False) as table:
            for name in sorted(table.files):
                array = table[name]
                if array.dtype.kind == "f":
                    array = array + array.dtype.type(0)  # -0 and 0 are one value
                digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a readable .npz file ({error}).") from None
    return digest.hexdigest()


def _differences(read: Read, names: tuple[str, ...], neutral: NDArray[np.float64]) -> NDArray[np.float16]:
    table = np.empty((len(names), *neutral.shape), np.float16)
    for index, name in enumerate(names):
        vertices = read_vertices(read(name))
        if vertices.shape != neutral.shape:
            raise InputError(
                f"{name}.obj has {len(vertices)} vertices, but {NEUTRAL_NAME}.obj has {len(neutral)}. "
                "Take all files from one version of ICT-FaceKit."
            )
        table[index] = vertices - neutral
    return table


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[Read]:
    """Yield a function from a mesh's name to its text, over a folder or a zip archive."""
    with contextlib.ExitStack() as stack:
        if source.is_dir():
            files: dict[str, Path | zipfile.Path] = {path.name: path for path in source.rglob("*.obj*")}
        elif source.is_file() and zipfile.is_zipfile(source):
            archive = stack.enter_context(zipfile.ZipFile(source))
            members = [name for name in archive.namelist() if Path(name).suffix in (".obj", ".gz")]
            files = {Path(name).name: zipfile.Path(archive, name) for name in members}
        else:
            raise InputError(f"{source} is neither a folder nor a zip archive; expected ICT-FaceKit's FaceXModel.")

        wanted = [f"{name}.obj" for name in (NEUTRAL_NAME, *IDENTITY_NAMES, *EXPRESSION_NAMES)]
        missing = [name for name in wanted if name not in files and f"{name}.gz" not in files]
        if missing:
            raise InputError(
                f"{source} lacks {len(missing)} of ICT-FaceKit's {len(wanted)} OBJ files, {missing[0]} among them. "
                "Expected the repository's folder FaceXModel, whole."
            )

        def read(name: str) -> str:
            plain = files.get(f"{name}.obj")
            data = plain.read_bytes() if plain else gzip.decompress(files[f"{name}.obj.gz"].read_bytes())
            return data.decode("utf-8")

        yield read
