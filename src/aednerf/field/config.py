"""The shape of an avatar's radiance field: everything needed to rebuild it, saved beside its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.ops.hashgrid import GridLevels

N_EXPRESSION = len(ARKIT_NAMES)


@dataclass(frozen=True)
class FieldConfig:
    """Sizes of the head's field and of the torso's."""

    n_levels: int = 16
    """Levels of the head's hash grid."""
    base: int = 16
    """Cells an edge of its coarsest level, over the 0.4 m box."""
    finest: int = 512
    """Cells an edge of its finest level."""
    log2_entries: int = 17
    """Entries a level has at most, as a power of two."""
    width: int = 64
    """Width of the head's MLP."""
    n_residual: int = 32
    """Numbers in the person's residual code."""
    n_read: int = 0
    """Numbers read off a frame's pictures that the residual code is made of; 0 where they are the code."""
    n_halves: int = 0
    """Halves of the residual code, mouth and eyes, that the field can tell to be missing; 0 takes them for zeros."""
    holds_face: int = 1
    """1 where the face model's displacements are held beside those that are learned; 0 in avatars made before."""
    n_posture: int = 0
    """Numbers in the torso's posture code; 0 where the capture has none: it then follows the head's pose alone."""
    n_basis: int = 16
    """Basis displacements of the warp, over the whole head."""
    n_mouth_basis: int = 24
    """Those of its refinement around the mouth."""
    n_eye_basis: int = 12
    """Basis features around the eyes that a frame's code blends; 0 has none."""
    n_paint: int = 0
    """Basis colours around the mouth, and as many around the eyes, that a frame's code blends; 0 has none."""
    paint_m: float = 0.002
    """Distance of their nodes across the face, in metres."""
    warp_resolution: int = 32
    """Nodes an edge of a basis displacement over the whole box."""
    mouth_resolution: int = 24
    """Nodes an edge of its refinement around the mouth."""
    upper_resolution: int = 24
    """Nodes an edge of that around brows and eyes, which only the face model fills; 0 has none."""
    warp_steps: int = 4
    """Steps that solve the warp; 1 is first order, 0 leaves the warp out."""
    warp_mixes: int = 1
    """1 where each step is mixed with the one before: right where lips part, too; 0 in avatars made before."""
    occupancy_resolution: int = 128
    """Cells an edge of the occupancy grid."""
    step_m: float = 0.002
    """Distance between samples on a ray, in metres."""
    torso_levels: int = 10
    """Levels of the torso's 2-D hash grid."""
    torso_finest: int = 512
    """Cells an edge of its finest level, over the picture."""
    torso_log2_entries: int = 15
    """Entries a level of it has at most, as a power of two."""
    torso_width: int = 64
    """Width of the torso's MLPs."""
    n_shots: int = 1
    """Shots of the recording; the torso sits differently in each."""
    shown_shot: int = 0
    """The shot whose posture is shown unless another is asked for."""

    @property
    def n_code(self) -> int:
        """Numbers that a frame's expression and residual become (`field.code`)."""
        return N_EXPRESSION + self.n_residual + self.n_halves * (N_EXPRESSION + 1)

    @property
    def head_grid(self) -> GridLevels:
        """The head's hash grid."""
        return GridLevels(3, self.n_levels, self.base, self.finest, self.log2_entries)

    @property
    def torso_grid(self) -> GridLevels:
        """The torso's hash grid."""
        return GridLevels(2, self.torso_levels, 16, self.torso_finest, self.torso_log2_entries)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> FieldConfig:
        """Rebuild from `to_dict`, refusing sizes that no preset of ours comes near.

        Raises:
            InputError: a name is unknown, or a value is out of range.
        """
        known = {f.name: f for f in fields(FieldConfig)}
        for name, value in values.items():
            if name not in known:
                raise InputError(f"Unknown field setting {name!r}: the avatar was made by another version.")
            low, high = _LIMITS[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise InputError(f"Field setting {name} must lie in [{low}, {high}], got {value!r}.")
            if known[name].type == "int" and not isinstance(value, int):
                raise InputError(f"Field setting {name} must be a whole number, got {value!r}.")
        before = {"n_eye_basis": 0, "holds_face": 0, "upper_resolution": 0, "warp_mixes": 0}
        config = FieldConfig(**{**before, **values})  # avatars made before there were such name none of them
        if config.occupancy_resolution % 2:
            raise InputError(f"Field setting occupancy_resolution must be even, got {config.occupancy_resolution}.")
        if config.n_read and (config.n_read % 2 or config.n_residual % 2 or config.n_read < config.n_residual):
            raise InputError(
                "Field setting n_read must be 0, or even and at least n_residual, which is even then; "
                f"got {config.n_read} and {config.n_residual}."
            )
        if config.shown_shot >= config.n_shots:
            raise InputError(f"Field setting shown_shot must be below {config.n_shots}, got {config.shown_shot}.")
        return config


_LIMITS: dict[str, tuple[float, float]] = {
    "n_levels": (1, 24), "base": (2, 128), "finest": (2, 4096), "log2_entries": (8, 20), "width": (8, 256),
    "n_residual": (0, 32), "n_read": (0, 128), "n_halves": (0, 2), "holds_face": (0, 1), "n_posture": (0, 16),
    "n_basis": (1, 64), "n_mouth_basis": (1, 64), "n_eye_basis": (0, 64), "n_paint": (0, 64), "paint_m": (0.001, 0.02),
    "warp_resolution": (2, 64), "mouth_resolution": (2, 64), "upper_resolution": (0, 64),
    "warp_steps": (0, 10), "warp_mixes": (0, 1),
    "occupancy_resolution": (16, 256), "step_m": (0.0002, 0.05), "torso_levels": (1, 24),
    "torso_finest": (2, 4096), "torso_log2_entries": (8, 20), "torso_width": (8, 256),
    "n_shots": (1, 4096), "shown_shot": (0, 4095),
}  # fmt: skip
