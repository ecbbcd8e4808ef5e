"""Layers beside the picture, for compositing in other programs: how far away the head is, and which way it faces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aednerf.avatar.bundle import SYNTHETIC
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_folder, require_absent, write_json
from aednerf.core.units import FPS
from aednerf.render import surface

Layers = Mapping[str, NDArray[np.float32]]

LAYERS = {"depth": surface.depth, "normal": surface.normal}
MEANINGS = {
    "depth": "16-bit gray: millimetres along the viewing axis to the head's surface, the expected depth of each ray; "
    "0 where there is none (background, torso, neck)",
    "normal": "8-bit RGB: 0.5 + 0.5 n, n the surface's unit normal in the camera's space (red right, green up, blue "
    "towards the camera); 128 128 128 where there is none (background, torso, neck)",
}
RECORD = "frames.json"
MAX_DEPTH_MM = 65_535


def parse_layers(spec: str | Iterable[str] | None) -> tuple[str, ...]:
    """Read which layers a user wants: names, or text such as `depth,normal`; None is none.

    Raises:
        InputError: one is unknown.
    """
    names = [] if spec is None else spec.split(",") if isinstance(spec, str) else list(spec)
    names = [name.strip() for name in names]
    if unknown := [name for name in names if name not in LAYERS]:
        raise InputError(f"Unknown layer {unknown[0]!r}. Expected one or more of: {', '.join(LAYERS)}.")
    return tuple(dict.fromkeys(names))


def layers_of(seen: Tensor, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Return the named layers of a surface [H, W, 4] (`AvatarModel.surface`), as `Frame.layers` holds them."""
    return {name: LAYERS[name](seen).cpu().numpy() for name in names}


def encode(name: str, layer: NDArray[np.float32]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return a layer as its picture file holds it (`MEANINGS`)."""
    if name == "depth":
        return np.rint(np.clip(layer * 1000.0, 0, MAX_DEPTH_MM)).astype(np.uint16)
    return np.floor(255.0 * (0.5 + 0.5 * layer) + 0.5).astype(np.uint8)


class LayerSink(Protocol):
    """What takes the layers of frames in the order of time."""

    def __call__(self, layers: Layers) -> None:
        """Take the next frame's."""
        ...


def layer_folders(out: str | Path, names: Iterable[str], force: bool) -> dict[str, Path]:
    """Return where the layers of an output go: `hello.mp4` has `hello-depth` and `hello-normal` beside it.

    Raises:
        InputError: one exists, and `force` is not set or it is something else.
    """
    out = Path(out)
    folders = {name: out.with_name(f"{out.stem if out.suffix else out.name}-{name}") for name in names}
    for folder in folders.values():
        require_absent(folder, force)
        if folder.exists() and not (folder / RECORD).is_file():
            raise InputError(f"{folder} exists and holds something other than rendered frames. Choose another name.")
    return folders


@contextmanager
def open_layers(folders: Mapping[str, Path]) -> Iterator[LayerSink]:
    """Yield what writes layers as numbered PNG pictures into their folders, each with a record of what it means."""
    from aednerf.media.image import write_image

    with ExitStack() as stack:
        parts = {name: stack.enter_context(atomic_folder(folder)) for name, folder in folders.items()}
        count = 0

        def write(layers: Layers) -> None:
            nonlocal count
            for name, part in parts.items():
                write_image(part / f"{count:06d}.png", encode(name, layers[name]))
            count += 1

        yield write
        for name, part in parts.items():
            record = {"n_frames": count, "fps": FPS, "layer": name, "meaning": MEANINGS[name], "synthetic": SYNTHETIC}
            write_json(part / RECORD, record)
