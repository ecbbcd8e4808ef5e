"""Open files that may come from a stranger: bounded reading of a folder or zip, of safetensors and of PNG files.

Everything is checked before it is allocated or decoded; whatever is wrong is an `InputError` of one line.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from aednerf.core.errors import InputError

MAX_BYTES = {
    "avatar.json": 1 << 20,
    "weights.safetensors": 32_000_000,
    "background.png": 48 << 20,
    "preview.png": 48 << 20,
    "preview.mp4": 64 << 20,
}
"""Every file that a bundle may hold, and the most bytes that it may have."""

MAX_IMAGE_SIDE = 4096
MAX_DIRECTORY_BYTES = 64 << 10
SECTIONS = ("field", "motion", "stats")
"""What a tensor's name begins with."""

_BYTES_OF = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
Read = Callable[[str], bytes]


def broken(path: Path, what: str) -> InputError:
    """Return the error that says what is wrong with the bundle at `path`."""
    return InputError(f"{path} is not a sound avatar bundle: {what}. Get it again, or train it anew.")


def parse_weights(path: Path, data: bytes) -> dict[str, torch.Tensor]:
    """Read a safetensors file whose header declares exactly what the file holds.

    Args:
        path: The bundle, for the error's text.
        data: The whole file.
    Returns:
        Tensors by name, on the CPU, all finite.
    Raises:
        InputError: it is damaged, declares more than it holds, or holds names outside `SECTIONS`.
    """
    _check_weights_header(path, data)
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise broken(path, f"weights.safetensors cannot be read ({str(error).splitlines()[0]})") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise broken(path, f"tensor {name[:80]!r} holds values that are no finite numbers")
    return tensors


def _check_weights_header(path: Path, data: bytes) -> None:
    """Check that every declared tensor is exactly as large as its bytes, and that the bytes fill the file."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(len(data) - 8, 1 << 20):
        raise broken(path, "weights.safetensors has a header of impossible length")
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        header.pop("__metadata__", None)
        spans = []
        for name, entry in header.items():
            first, end = entry["data_offsets"]
            shape = entry["shape"]
            if name.split(".")[0] not in SECTIONS or not all(type(n) is int and n >= 0 for n in [first, end, *shape]):
                raise ValueError(f"tensor {name[:80]!r} has no valid name, shape or place")
            if math.prod(shape) * _BYTES_OF[entry["dtype"]] != end - first:
                declared = f"{str(shape)[:60]} of {entry['dtype']}"
                raise ValueError(f"tensor {name[:80]!r} declares {declared}, but has {end - first:,} bytes")
            spans.append((first, end))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise broken(path, f"weights.safetensors: {error}") from None
    spans.sort()
    ends = [0, *(end for _, end in spans)]
    if [first for first, _ in spans] != ends[:-1] or ends[-1] != len(data) - 8 - length:
        raise broken(path, "weights.safetensors declares tensors that do not fill the file exactly")


def parse_png(path: Path, data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a PNG whose own header says that it is small enough.

    Returns:
        [H, W, 3] uint8 RGB.
    Raises:
        InputError: it is no PNG, too large, or cannot be decoded.
    """
    if len(data) < 33 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise broken(path, f"{name} is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    if not (1 <= width <= MAX_IMAGE_SIDE and 1 <= height <= MAX_IMAGE_SIDE):
        raise broken(path, f"{name} is {width}x{height}, at most {MAX_IMAGE_SIDE} a side is allowed")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise broken(path, f"{name} cannot be decoded")
    return np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)


@contextmanager
def open_members(path: Path) -> Iterator[Read]:
    """Yield a function from a member's name (one of `MAX_BYTES`) to its bytes, for a folder or a zip alike.

    Raises:
        InputError: on entry or on reading, where the bundle is missing, damaged or too large.
    """
    if path.is_dir():
        yield lambda name: _read_file(path, name, MAX_BYTES[name])
        return
    if not path.is_file():
        raise InputError(f"{path} does not exist. Expected an avatar: a folder or an .aednerf file.")
    if not zipfile.is_zipfile(path):
        raise broken(path, "it is neither a folder nor a zip (or its end is missing)")
    if path.stat().st_size > sum(MAX_BYTES.values()) + MAX_DIRECTORY_BYTES:
        raise broken(path, f"it has {path.stat().st_size:,} bytes, more than all parts of a bundle together")
    _check_directory_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            yield lambda name: _read_member(path, archive, name, MAX_BYTES[name])
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise broken(path, f"the zip cannot be read ({error})") from None


def _check_directory_size(path: Path) -> None:
    # zipfile makes an object of every directory entry when it opens a file; so look at the directory's size before.
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - (64 << 10) - 42))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22 or tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise broken(path, "the zip's directory is damaged or of the 64-bit kind")
    if struct.unpack_from("<I", tail, end + 12)[0] > MAX_DIRECTORY_BYTES:
        raise broken(path, "the zip lists far more files than a bundle has")


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    seen = set()
    for info in archive.infolist():
        if info.filename not in MAX_BYTES or info.filename in seen:
            raise broken(path, f"it holds {info.filename[:80]!r}, which is no file of a bundle or is there twice")
        if info.file_size > MAX_BYTES[info.filename]:
            raise broken(path, f"{info.filename} unpacks to {info.file_size:,} bytes, too many")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise broken(path, f"{info.filename} is packed in an unknown way")
        seen.add(info.filename)


def _read_member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if name not in archive.namelist():
        raise broken(path, f"{name} is missing")
    with archive.open(name) as file:
        return _bounded(path, name, file.read(limit + 1), limit)


def _read_file(folder: Path, name: str, limit: int) -> bytes:
    path = folder / name
    if not path.is_file():
        if not (folder / "avatar.json").is_file():
            raise InputError(f"{folder} holds no avatar.json: expected an avatar, a folder or an .aednerf file.")
        raise broken(folder, f"{name} is missing")
    with open(path, "rb") as file:
        return _bounded(folder, name, file.read(limit + 1), limit)


def _bounded(path: Path, name: str, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise broken(path, f"{name} has more than the {limit:,} bytes allowed")
    return data
