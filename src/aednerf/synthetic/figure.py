"""The person in the rasteriser: everything grown and painted once, and what moves at each moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import ARKIT_NAMES
from aednerf.face.model import GUMS_AND_TONGUE, LOWER_TEETH, MOUTH_SOCKET, eye_rotation
from aednerf.synthetic.eyeball import Eyeball, paint_eye
from aednerf.synthetic.following import FollowingStrands, grow_brows, grow_lashes, lid_edges
from aednerf.synthetic.garment import Garment
from aednerf.synthetic.hair import grow_hair
from aednerf.synthetic.light import StudioLight
from aednerf.synthetic.mesh import NECK_BLEND_M, HeadMesh, Material
from aednerf.synthetic.moment import Moment
from aednerf.synthetic.noise import smoothstep
from aednerf.synthetic.openness import directions, through_the_lips, towards, visible_in
from aednerf.synthetic.person import SyntheticPerson
from aednerf.synthetic.renderer import Item, Renderer
from aednerf.synthetic.skin import paint_skin
from aednerf.synthetic.strands import Strands
from aednerf.synthetic.texture_space import positions_in_texture

Array = NDArray[np.floating]

IRIS_RADIUS_M = 0.0058
TEXTURE_SIZE = 1024
"""For pictures whose pixels are finer than `COARSE_PIXEL_M`; half of it for others."""
COARSE_PIXEL_M = 0.0012
_HEAD_FORMAT = "3f 3f 2f 3f", ("in_position", "in_normal", "in_occlusion", "in_reach")
_STILL_FORMAT = "2f 3f 1f", ("in_uv", "in_rest", "in_neck")
_STRAND_FORMAT = "3f 3f 3f 1f 2f", ("in_position", "in_tangent", "in_outward", "in_half_width", "in_tone")
_CLOTH_FORMAT = "3f 3f 3f 1f", ("in_position", "in_normal", "in_cloth", "in_trim")
_INSIDE_MOUTH = np.r_[MOUTH_SOCKET, GUMS_AND_TONGUE.start : LOWER_TEETH.stop]


class Figure:
    """One person's buffers, textures and strands in one renderer."""

    def __init__(
        self, renderer: Renderer, person: SyntheticPerson, mesh: HeadMesh, light: StudioLight, pixel_m: float
    ) -> None:
        """Grow, paint and bake, under this light."""
        self.renderer, self.person, self.mesh, self.light = renderer, person, mesh, light
        self.pixel_m = pixel_m
        """What a pixel of the picture spans on the face."""
        self.texture_size = TEXTURE_SIZE if pixel_m < COARSE_PIXEL_M else TEXTURE_SIZE // 2
        self.mean_pose = np.eye(4, dtype=np.float32)
        """Where the torso stays; the owner sets it."""
        self.garment = Garment.sew(person, mesh)
        self._share = mesh.head_share(mesh.face.neutral)
        # The collar gives way to the neck; the cloth farther out does not.
        self._collar_share = (
            mesh.head_share(self.garment.points) * smoothstep(0.055, 0.010, self.garment.cloth[..., 1])
        )[..., None]
        self.brows, self.lashes = grow_brows(person, mesh), grow_lashes(person, mesh)
        self.lids = lid_edges(mesh)
        self.eyes = {"left": Eyeball.of(mesh.face, True), "right": Eyeball.of(mesh.face, False)}
        self._items: list[Item] = []
        self._following: list[tuple[FollowingStrands, Any]] = []
        self._casters: list[tuple[Any, dict[str, Any]]] = []
        self._build_head()
        self._build_cloth()
        self._build_hair(grow_hair(person, mesh))
        self._build_following()
        self._paint()
        self._openness = np.ones((2, len(mesh.mean), 4), np.float32)
        self._openness = np.stack([self._bake(jaw) for jaw in (0.0, 0.7)])

    @property
    def items(self) -> list[Item]:
        """What to draw, in order: the hair first, for it hides much skin that then needs no shading."""
        return [*self._hair_items, *self._items]

    @property
    def casters(self) -> list[tuple[Any, dict[str, Any]]]:
        """What casts shadows."""
        return self._casters

    def place(self, moment: Moment) -> Array:
        """Move everything to one moment and return the model's vertices [V, 3] in the recording camera's space."""
        in_head = self.mesh.face.at(moment.expression)
        pose = np.eye(4, dtype=np.float32)
        pose[:3, :3], pose[:3, 3] = moment.rotation, moment.translation
        torso = self.mean_pose.copy()
        torso[1, 3] += Garment.lift(moment.breath)
        weight = self._share[:, None]
        placed = weight * _moved(pose, in_head) + (1 - weight) * _moved(torso, in_head)
        normals = self.mesh.normals(placed)
        self._write_head(moment, in_head, placed, normals)
        cloth = self.garment.at(moment.breath)
        self._write_cloth(
            self._collar_share * _moved(pose, cloth) + (1 - self._collar_share) * _moved(self.mean_pose, cloth)
        )
        for strands, buffer in self._following:
            buffer.write(strands.at(placed, normals).vertices().tobytes())
        top = self.mesh.neck_top
        for item in self._hair_items:
            item.uniforms.update(to_world=pose.T, to_torso=torso.T, stay=(top - NECK_BLEND_M, top))
        self._hair_caster.update(to_world=pose.T, to_torso=torso.T, stay=np.array([top - NECK_BLEND_M, top]))
        self._turn_eyes(moment, pose, placed)
        self._set_wrinkles(moment.expression)
        return placed

    def _build_head(self) -> None:
        gl, mesh = self.renderer.gl, self.mesh
        count = len(mesh.vertex)
        self._head_buffer = gl.buffer(reserve=count * 44)
        still = np.concatenate([mesh.uv, mesh.mean[mesh.vertex], mesh.neck[mesh.vertex, None]], 1)
        self._still_buffer = gl.buffer(still.astype(np.float32).tobytes())
        visible = mesh.skin[~self.garment.covers(mesh.face.neutral)[mesh.vertex[mesh.skin]].all(1)]
        groups: list[tuple[str, NDArray[np.int32], dict[str, Any], bool]] = [
            ("head+skin", visible, {}, False),
            ("head+mouth", mesh.of(Material.GUMS_TONGUE), {"is_teeth": 0}, False),
            ("head+mouth", mesh.of(Material.TEETH), {"is_teeth": 1}, False),
            ("head+socket", mesh.sockets, {}, False),
            ("head+eye", mesh.of(Material.SCLERA_LEFT), {}, False),
            ("head+eye", mesh.of(Material.SCLERA_RIGHT), {}, False),
        ]
        for program, triangles, uniforms, blend in groups:
            front_first = np.argsort(-mesh.mean[mesh.vertex[triangles], 2].max(1), kind="stable")
            index = gl.buffer(np.ascontiguousarray(triangles[front_first], np.int32).tobytes())
            self._items.append(Item(program, self._head_array(program, index), uniforms=uniforms, blend=blend))
        self._eye_items: dict[str, Item] = dict(zip(("left", "right"), self._items[-2:], strict=True))
        index = gl.buffer(np.ascontiguousarray(mesh.of(Material.LACRIMAL), np.int32).tobytes())
        self._tear_item = Item("head+tear", self._head_array("head+tear", index), blend=True)
        shadow = gl.buffer(np.ascontiguousarray(np.concatenate([visible, mesh.of(Material.TEETH)]), np.int32).tobytes())
        self._casters.append((self._head_array("shadow+shadow", shadow), {}))

    def _head_array(self, name: str, index: Any) -> Any:
        parts = [(self._head_buffer, *_HEAD_FORMAT), (self._still_buffer, *_STILL_FORMAT)]
        return self._array(name, parts, index)

    def _array(self, name: str, parts: Sequence[tuple[Any, str, tuple[str, ...]]], index: Any) -> Any:
        program = self.renderer.program(name)
        content = []
        for buffer, form, names in parts:
            pieces = [
                piece if n in program else f"{int(piece[0]) * 4}x" for piece, n in zip(form.split(), names, strict=True)
            ]
            used = [n for n in names if n in program]
            if used:
                content.append((buffer, " ".join(pieces), *used))
        return self.renderer.gl.vertex_array(program, content, index)

    def _build_cloth(self) -> None:
        gl = self.renderer.gl
        self._cloth_open = np.ones(self.garment.points.shape[:2], np.float32)
        self._cloth_buffer = gl.buffer(reserve=self._cloth_open.size * 40)
        index = gl.buffer(self.garment.triangles.tobytes())
        parts = [(self._cloth_buffer, *_CLOTH_FORMAT)]
        uniforms = {"cloth_colour": self.person.garment, "stitch": 0.0036}
        self._items.append(Item("garment+garment", self._array("garment+garment", parts, index), uniforms=uniforms))
        self._casters.append((self._array("shadow+shadow", parts, index), {}))

    def _build_hair(self, hair: Strands) -> None:
        gl = self.renderer.gl
        if self.pixel_m > COARSE_PIXEL_M:  # strands that small pictures cannot tell apart
            hair = hair.thinned(2, 1.6)
        uniforms = {"hair_colour": self.person.hair, "gloss": 1.0, "hair_shadow": 1.0}
        array = self._strand_array(gl.buffer(hair.vertices().tobytes()), hair, "strand+strand")
        self._hair_items = [Item("strand+strand", array, uniforms=uniforms)]
        coarse = hair.thinned(4, 5.0)
        self._hair_caster: dict[str, Any] = {}
        array = self._strand_array(gl.buffer(coarse.vertices().tobytes()), coarse, "strand_shadow+shadow")
        self._casters.append((array, self._hair_caster))

    def _build_following(self) -> None:
        gl, still = self.renderer.gl, np.eye(4, dtype=np.float32)
        dark = tuple(0.12 * c for c in self.person.hair)
        for strands, colour in ((self.brows, self.person.brow), (self.lashes, dark)):
            count = strands.width.size * 2
            buffer = gl.buffer(reserve=count * 48)
            self._following.append((strands, buffer))
            placed = Strands(np.zeros((*strands.width.shape, 3), np.float32), strands.width, strands.shade,
                             strands.width, np.zeros((*strands.width.shape, 3), np.float32))  # fmt: skip
            uniforms = {"hair_colour": colour, "gloss": 0.12, "hair_shadow": 0.0, "to_world": still, "to_torso": still,
                        "stay": (-9.0, -8.0)}  # fmt: skip
            self._items.append(
                Item("strand+strand", self._strand_array(buffer, placed, "strand+strand"), uniforms=uniforms)
            )
        self._items.insert(-1, self._tear_item)

    def _strand_array(self, buffer: Any, strands: Strands, name: str) -> Any:
        index = self.renderer.gl.buffer(strands.triangles().tobytes())
        return self._array(name, [(buffer, *_STRAND_FORMAT)], index)

    def _paint(self) -> None:
        gl = self.renderer.gl
        skin = paint_skin(
            self.person,
            positions_in_texture(gl, self.mesh, self.texture_size),
            self.mesh.mean,
            _densely(self.mesh.mean, self.lids),
        )
        for unit, name, picture in ((1, "skin_colour", skin.colour), (2, "skin_detail", skin.detail)):
            texture = gl.texture_array((self.texture_size, self.texture_size, 2), 4, picture.tobytes())
            texture.build_mipmaps()
            texture.use(unit)
            self.renderer.set("head+skin", **{name: unit})
        picture = paint_eye(self.person)
        texture = gl.texture((picture.shape[1], picture.shape[0]), 3, picture.tobytes(), alignment=1)
        texture.build_mipmaps()
        texture.repeat_y = False
        texture.use(3)
        texels = picture.shape[0] / 3 / IRIS_RADIUS_M * self.pixel_m / self.renderer.supersampling
        self.renderer.set("head+eye", iris_map=3, iris_radius=IRIS_RADIUS_M, pupil=0.38,
                          iris_lod=float(np.clip(np.log2(texels) - 0.6, 0, 6)))  # fmt: skip

    def _bake(self, jaw_open: float, count: int = 56) -> Array:
        """Measure what reaches each vertex at one opening of the jaw.

        Returns:
            [V, 4]: the cosine-weighted share of directions from which a vertex is seen; and the share of those around
            the fill and the two rim lights.
        """
        expression = np.zeros(len(ARKIT_NAMES), np.float32)
        expression[ARKIT_NAMES.index("jawOpen")] = jaw_open
        placed = self.place(Moment(expression, np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 0.0))
        normals, seen, total = self.mesh.normals(placed), np.zeros((4, len(placed))), np.full((4, 1), 1e-6)
        lights = self.light.directions[1:]
        centre = np.array([0, 0.0, 0.0])
        for direction in directions(count):
            matrix = towards(direction, centre, 0.34)
            self.renderer.probe.draw(self._casters, matrix)
            cosine = np.maximum(normals @ direction, 0) * (1.0 if direction[1] > -0.3 else 0.5)
            near = np.clip((lights @ direction - 0.82) / 0.1, 0, 1)
            visible = visible_in(self.renderer.probe.read(), matrix, placed + 0.0012 * normals, 0.0035 / 0.68)
            weight = np.concatenate([cosine[None], np.broadcast_to(near[:, None], (3, len(cosine)))])
            seen, total = seen + weight * visible, total + weight
        return self._smooth((seen / total).T)

    def _smooth(self, values: Array, rounds: int = 2) -> Array:
        """Average values [V, C] with their neighbours over the mesh: few directions leave speckles."""
        spread, corners = self.mesh.spread, self.mesh.vertex[self.mesh.triangles]
        count = np.maximum(spread @ np.ones(len(corners)), 1)[:, None]
        for _ in range(rounds):
            values = (spread @ values[corners].mean(1)) / count
        return values.astype(np.float32)

    def _write_head(self, moment: Moment, in_head: Array, placed: Array, normals: Array) -> None:
        jaw = float(np.clip(moment.expression[ARKIT_NAMES.index("jawOpen")] / 0.7, 0, 1))
        occlusion = np.ones((len(placed), 5), np.float32)
        occlusion[:, [0, 2, 3, 4]] = (1 - jaw) * self._openness[0] + jaw * self._openness[1]
        occlusion[_INSIDE_MOUTH, 1] = through_the_lips(in_head[_INSIDE_MOUTH], in_head)
        occlusion[MOUTH_SOCKET.stop : GUMS_AND_TONGUE.start, 1] = 0.25  # behind the lids
        data = np.concatenate([placed, normals, occlusion], 1, dtype=np.float32)
        self._head_buffer.write(data[self.mesh.vertex].tobytes())

    def _write_cloth(self, cloth: Array) -> None:
        garment = self.garment
        data = np.concatenate([cloth, garment.normals(cloth), garment.cloth, self._cloth_open[..., None],
                               garment.trim[..., None]], -1, dtype=np.float32)  # fmt: skip
        self._cloth_buffer.write(data.tobytes())

    def _turn_eyes(self, moment: Moment, pose: Array, placed: Array) -> None:
        for side, eye in self.eyes.items():
            turn = eye_rotation(moment.expression[None], side.capitalize())[0]
            centre = pose[:3, :3] @ (eye.pivot + turn @ (eye.centre - eye.pivot)) + pose[:3, 3]
            self._eye_items[side].uniforms.update(
                eye_centre=tuple(float(c) for c in centre),
                eye_to_world=np.ascontiguousarray((pose[:3, :3] @ turn @ eye.frame).T),
                ball_radius=eye.radius,
                upper_lid=placed[self.lids[side, "upper"]],
                lower_lid=placed[self.lids[side, "lower"]],
            )

    def _set_wrinkles(self, expression: Array) -> None:
        value = dict(zip(ARKIT_NAMES, expression.tolist(), strict=True))
        raised = 0.6 * value["browInnerUp"] + 0.25 * (value["browOuterUpLeft"] + value["browOuterUpRight"])
        drawn = 0.5 * (value["browDownLeft"] + value["browDownRight"])
        squeezed = 0.4 * sum(value[n + s] for n in ("eyeSquint", "cheekSquint") for s in ("Left", "Right"))
        closed = 0.5 * (value["eyeBlinkLeft"] + value["eyeBlinkRight"])
        self._tear_item.uniforms["open_lids"] = float(np.clip((0.85 - closed) / 0.3, 0, 1))
        smile = 0.5 * (value["mouthSmileLeft"] + value["mouthSmileRight"])
        self._items[0].uniforms["wrinkle"] = (
            min(raised, 1.0),
            min(drawn, 1.0),
            min(squeezed + 0.3 * smile, 1.0),
            smile,
        )


def _densely(points: Array, edges: dict[tuple[str, str], NDArray[np.int64]], between: int = 8) -> Array:
    """Return points [N, 3] along edges given by vertices."""
    t = np.linspace(0, 1, between)[:, None, None]
    return np.concatenate([(points[e[:-1]] * (1 - t) + points[e[1:]] * t).reshape(-1, 3) for e in edges.values()])


def _moved(pose: Array, points: Array) -> Array:
    return points @ pose[:3, :3].T + pose[:3, 3]
