"""Texture space: where on the mean face each texel of the skin's textures lies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.synthetic.mesh import HeadMesh, Material

_VERTEX = """#version 330
in vec2 uv; in vec3 rest; uniform float layer; out vec3 p;
void main() { p = rest; gl_Position = vec4((uv - vec2(layer, 0.0)) * 2.0 - 1.0, 0.0, 1.0); }"""
_FRAGMENT = """#version 330
in vec3 p; out vec4 o;
void main() { o = vec4(p, 1.0); }"""


def positions_in_texture(gl: Any, mesh: HeadMesh, size: int) -> NDArray[np.float32]:
    """Return [2, size, size, 3] metres: the texels of face and head, in an OpenGL context; NaN where none is used."""
    program = gl.program(_VERTEX, _FRAGMENT)
    texture = gl.texture((size, size), 4, dtype="f4")
    target = gl.framebuffer([texture])
    data = gl.buffer(np.concatenate([mesh.uv, mesh.mean[mesh.vertex]], 1).astype(np.float32).tobytes())
    layers = []
    for layer, material in enumerate((Material.FACE, Material.BACK_HEAD)):
        target.use()
        target.clear()
        gl.enable_only(gl.NOTHING)
        program["layer"].value = float(layer)
        index = gl.buffer(np.ascontiguousarray(mesh.of(material)).tobytes())
        gl.vertex_array(program, [(data, "2f 3f", "uv", "rest")], index).render()
        picture = np.frombuffer(texture.read(), np.float32).reshape(size, size, 4)
        layers.append(np.where(picture[..., 3:] > 0.5, picture[..., :3], np.nan))
    target.release()
    return np.stack(layers).astype(np.float32)
