"""The rasteriser: draws vertex buffers with OpenGL over EGL (a GPU's driver, or Mesa's) and reads them back."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import MachineError

Array = NDArray[np.floating]

SHADOW_SIZE = 1024
PROBE_SIZE = 384


@dataclass
class Item:
    """One thing to draw: its program, vertices and own uniforms."""

    program: str
    vertices: Any
    shadow: Any = None
    """Vertices for the shadow map; none casts no shadow."""

    uniforms: dict[str, Any] = field(default_factory=dict)
    blend: bool = False


class Pixels:
    """What was drawn: premultiplied colour and the three parts' coverage, [H, W, 4] float in [0, 1] each."""

    def __init__(self, colour: Array, parts: Array) -> None:
        """Hold the pictures."""
        self.colour, self.parts = colour, parts


class DepthMap:
    """A depth picture of things: what a light sees."""

    def __init__(self, gl: Any, size: int) -> None:
        """Allocate size x size texels."""
        self.gl, self.size = gl, size
        self.texture = gl.depth_texture((size, size))
        self.texture.compare_func = "<="
        self.texture.repeat_x = self.texture.repeat_y = False
        self._target = gl.framebuffer(depth_attachment=self.texture)

    def draw(self, casters: list[tuple[Any, dict[str, Any]]], to_clip: Array) -> None:
        """Draw (vertices, uniforms of their program) each, as seen through `to_clip` [4, 4]."""
        import moderngl

        self._target.use()
        self._target.clear()
        self.gl.enable_only(moderngl.DEPTH_TEST)
        for vertices, uniforms in casters:
            _set(vertices.program, {**uniforms, "to_clip": to_clip.T})
            vertices.render()

    def read(self) -> Array:
        """Return [size, size], rows by clip y upwards, 0 near and 1 far."""
        return np.frombuffer(self.texture.read(alignment=1), np.float32).reshape(self.size, self.size)


def _set(program: Any, uniforms: dict[str, Any]) -> None:
    """Set those uniforms that the program has."""
    for key, value in uniforms.items():
        if key in program:
            if isinstance(value, np.ndarray):
                # A compiler cuts an array after its last used entry.
                room = program[key].array_length * program[key].dimension
                program[key].write(np.ascontiguousarray(value, np.float32).ravel()[:room].tobytes())
            else:
                program[key].value = value


def open_context() -> Any:
    """Create an OpenGL context without a window.

    Raises:
        MachineError: moderngl or an EGL driver is missing.
    """
    try:
        import moderngl
    except ImportError:
        raise MachineError("Rendering needs moderngl: pip install 'aednerf[synthetic]'.") from None
    try:
        settings: Any = {"backend": "egl"}
        return moderngl.create_context(standalone=True, require=330, **settings)
    except Exception as error:
        raise MachineError(
            f"No OpenGL over EGL ({error}). Install a GPU's driver or Mesa: apt-get install libegl1 libgl1-mesa-dri."
        ) from None


class Renderer:
    """Programs, targets and the passes over them."""

    def __init__(self, size: int, supersampling: int) -> None:
        """Open a context and allocate the targets of square pictures."""
        self.gl = open_context()
        self.size, self.supersampling = size, supersampling
        drawn = (size * supersampling,) * 2
        self._programs: dict[str, Any] = {}
        self._drawn = [self.gl.texture(drawn, 4) for _ in range(2)]
        self._target = self.gl.framebuffer(self._drawn, self.gl.depth_renderbuffer(drawn))
        self.shadow, self.probe = DepthMap(self.gl, SHADOW_SIZE), DepthMap(self.gl, PROBE_SIZE)

    def program(self, name: str) -> Any:
        """Return the program `vertex+fragment`, compiled once."""
        if name not in self._programs:
            vertex, _, fragment = name.partition("+")
            self._programs[name] = self.gl.program(_shader(vertex + ".vert"), _shader(fragment + ".frag"))
        return self._programs[name]

    def set(self, name: str, **uniforms: Any) -> None:
        """Set those uniforms that the program has."""
        _set(self.program(name), uniforms)

    def draw(self, items: list[Item], **shared: Any) -> Pixels:
        """Draw the items in turn; `shared` uniforms go to every program."""
        import moderngl

        self._target.use()
        self._target.clear(0, 0, 0, 0, depth=1.0)
        self.shadow.texture.use(15)
        for name in {item.program for item in items}:
            self.set(name, shadow_map=15, **shared)
        for item in items:
            self.gl.enable_only(moderngl.DEPTH_TEST | (moderngl.BLEND if item.blend else 0))
            self.gl.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
            self.set(item.program, **item.uniforms)
            item.vertices.render()
        return Pixels(*(self._reduced(texture) for texture in self._drawn))

    def _reduced(self, texture: Any) -> Array:
        """Average the supersampled picture over each pixel."""
        k, size = self.supersampling, self.size
        wide = np.frombuffer(texture.read(alignment=1), np.uint8).reshape(size, k, size, k, 4)
        total = np.zeros((size, size, 4), np.uint16)
        for i in range(k):
            for j in range(k):
                total += wide[:, i, :, j]
        return total.astype(np.float32) / np.float32(255 * k * k)

    def close(self) -> None:
        """Give the context back."""
        self.gl.release()


def _shader(name: str) -> str:
    folder = files("aednerf.synthetic") / "shaders"
    lines = (folder / name).read_text().splitlines()
    included = "#include "
    return "\n".join(
        (folder / line.removeprefix(included)).read_text() if line.startswith(included) else line for line in lines
    )
