"""Presets of training: small values grouped by purpose, chosen by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aednerf.core.errors import InputError
from aednerf.field.config import FieldConfig


@dataclass(frozen=True)
class RayBatch:
    """Which rays one training step renders."""

    n_frames: int = 8
    """Frames a step."""
    n_head: int = 1024
    """Rays a frame in the head's box."""
    head_patch_px: int = 1
    """Edge of the squares that they lie in: `LossWeights.detail` sees gradients only in squares; 1 scatters them."""
    mouth_patch_px: int = 24
    """Edge of the square of rays in the mouth's box, contiguous for the structural loss."""
    n_eyes: int = 512
    """Rays a frame in the eyes' boxes."""
    n_picture: int = 512
    """Rays a frame anywhere, mostly for the torso."""
    n_slots: int = 40
    """Samples a ray has at most."""

    def __post_init__(self) -> None:
        if self.head_patch_px < 1:
            raise InputError(f"Squares must be at least 1 pixel wide, got {self.head_patch_px}.")
        if self.n_head % self.head_patch_px**2:
            raise InputError(
                f"Expected rays in the head's box that fill squares of {self.head_patch_px} pixels, got {self.n_head}. "
                f"Choose a multiple of {self.head_patch_px**2}."
            )

    @property
    def n_rays(self) -> int:
        """Rays a frame."""
        return self.n_head + self.mouth_patch_px**2 + self.n_eyes + self.n_picture


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts beside the squared error of the colour."""

    head_alpha: float = 0.05
    person_alpha: float = 0.05
    structure: float = 0.001
    detail: float = 0.0
    """Holds the face's gradient energy to the recording's: a squared error blurs what the code does not tell."""
    spread: float = 0.0
    """Pulls the light of a ray to one place, so that it ends after few samples."""
    empty_space: float = 1e-3
    core: float = 1e-3
    """Keeps the head opaque under all its skin, that of the sides and under the hair too."""
    surface: float = 3e-3
    """Holds the face's depth to the face model's fitted mesh: opaque under its skin, empty before it."""
    warp_size: float = 1e-3
    torso_bend: float = 1e-2


@dataclass(frozen=True)
class LearningRates:
    """Adam's rates at the start; all fall by the same factor over the training."""

    head_grid: float = 2e-2
    head_mlp: float = 5e-3
    warp: float = 2e-4
    mix: float = 2e-3
    code: float = 1e-3
    torso_grid: float = 1e-2
    torso_mlp: float = 2e-3
    final_factor: float = 0.02


@dataclass(frozen=True)
class Preset:
    """Everything that a field's training depends on, the capture and the seed aside."""

    name: str
    n_steps: int
    max_size: int
    """Training pictures are made no larger than this, in pixels."""
    field: FieldConfig = FieldConfig()
    batch: RayBatch = RayBatch()
    loss: LossWeights = LossWeights()
    rate: LearningRates = LearningRates()
    coarser: float = 1.0
    """How many times further apart the samples lie in training than in a picture."""
    warm_up_share: float = 0.12
    """The part of the steps in which the samples' distance shrinks to the final one and all cells count as occupied."""
    hollow_share: float = 0.75
    """The part of the steps after which the cells that can never be seen are left out."""
    occupancy_every: int = 16
    """Steps between two refreshes of the occupancy grid."""
    residual_dropped: float = 0.25
    """How often a frame's residual code is zeroed, so that the field works without it."""
    half_dropped: float = 0.1
    """How often the mouth's half of it is, and as often the eyes'."""
    residual_noise: float = 0.15
    """Noise on the residual code: free on unseen frames, and better mouths."""
    expression_noise: float = 0.03
    """Noise on the ARKit coefficients, at most."""
    mouth_noise_m: float = 0.0001
    """How far that noise may move any skin of the mouth, in metres: 0.03 of an open jaw would be a millimetre."""
    backdrop_share: float = 0.5
    """How often a frame's person is put before a colour of chance instead of the recorded background."""
    posture_noise: float = 0.03
    """Noise on the standardised pose that the torso follows: it moves only roughly with the head."""
    posture_code_noise: float = 0.01
    """Noise on the posture code, whose last numbers are small: 0.1 loses them."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


_SQUARES = RayBatch(head_patch_px=8)
_DETAILED = LossWeights(detail=6e-4)

PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        name="smoke",
        n_steps=1400,
        max_size=256,
        field=FieldConfig(
            n_levels=7, base=12, finest=160, log2_entries=15, width=32, n_basis=12, n_mouth_basis=20,
            n_eye_basis=0, n_paint=16, warp_resolution=24, mouth_resolution=16, upper_resolution=16, warp_steps=3,
            occupancy_resolution=128,
            step_m=0.0025, torso_levels=6, torso_finest=160, torso_log2_entries=13, torso_width=32,
        ),
        batch=RayBatch(n_frames=4, n_head=256, mouth_patch_px=16, n_eyes=64, n_picture=96, n_slots=16),
        loss=LossWeights(spread=0.2),
        rate=LearningRates(
            head_grid=3e-2, head_mlp=1e-2, warp=6e-4, mix=4e-3, torso_grid=3e-2, torso_mlp=5e-3,
        ),
        coarser=2.0,
        occupancy_every=32,
        expression_noise=0.015,
        backdrop_share=0.0,
    ),
    "fast": Preset(name="fast", n_steps=14_000, max_size=512, batch=_SQUARES, loss=_DETAILED),
    "full": Preset(name="full", n_steps=60_000, max_size=512, batch=_SQUARES, loss=_DETAILED),
}  # fmt: skip
"""`smoke` proves the path on a CPU in minutes, `fast` takes minutes on a GPU, `full` trains until little is gained."""


def preset_named(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}. The presets are: {', '.join(PRESETS)}.")
    return PRESETS[name]
