"""Photograph random computer-generated people, with what is true of each picture, for `calibrate_correspondence.py`.

    python scripts/photograph_people.py -o FOLDER [--people 24] [--pictures 10] [--seed 100]

Faces, colours, hair, expressions and poses are drawn at random, apart from the people of the bench. Every picture is a
PNG; FOLDER/truth.npz holds identity, expression and pose of each. A run that was stopped goes on. OpenGL and MediaPipe
do not live in one process, so the landmarks are found by the other script.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from aednerf.core.files import atomic_path
from aednerf.core.records import ARKIT_NAMES
from aednerf.face.pose import rotation_from_angles
from aednerf.media.image import write_image
from aednerf.synthetic.camera import REST_TRANSLATION
from aednerf.synthetic.moment import Moment
from aednerf.synthetic.person import Colour, SyntheticPerson
from aednerf.synthetic.studio import Studio

SIZE = 512
N_MODES = 40
"""Identity modes that vary; the later ones are too fine to matter."""
POSE_DEG = np.array([11.0, 6.0, 4.0])
"""Standard deviations of yaw, pitch and roll."""
PAIRS = tuple(
    name.removesuffix("Left")
    for name in ARKIT_NAMES
    if name.endswith("Left") and name not in ("jawLeft", "mouthLeft", "eyeBlinkLeft")
)
SINGLES = ("browInnerUp", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthShrugUpper", "jawForward")


def main() -> None:
    """Photograph everybody."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.people):
        done = options.out / f"{number:03}.npz"
        if not done.exists():
            truth = photograph(options.seed + number, options.pictures, options.out / f"{number:03}")
            with atomic_path(done) as temporary:
                np.savez(temporary, **truth)
        print(f"{number + 1} of {options.people} people", flush=True)


def photograph(seed: int, n_pictures: int, stem: Path) -> dict[str, Any]:
    """Photograph one person `n_pictures` times; return identity [100], expressions and poses of the pictures."""
    chance = np.random.default_rng(seed)
    person = random_person(chance, seed)
    moments = [random_moment(chance) for _ in range(n_pictures)]
    with Studio(person, SIZE, supersampling=2) as studio:
        for number, moment in enumerate(moments):
            write_image(stem.with_name(f"{stem.name}-{number:02}.png"), studio.shoot(moment).image)
    return {
        "identity": person.weights(), "expression": np.stack([m.expression for m in moments]),
        "rotation": np.stack([m.rotation for m in moments]),
        "translation": np.stack([m.translation for m in moments]),
    }  # fmt: skip


def random_person(chance: np.random.Generator, seed: int) -> SyntheticPerson:
    """Draw somebody."""
    identity = tuple((mode, float(w)) for mode, w in enumerate(np.clip(chance.normal(0, 0.6, N_MODES), -1.5, 1.5)))
    tone = chance.uniform(0.12, 0.62)
    skin = (tone, tone * chance.uniform(0.5, 0.62), tone * chance.uniform(0.32, 0.46))
    hair = _colour(chance.uniform(0.008, 0.2) * np.array([1.0, chance.uniform(0.4, 0.8), chance.uniform(0.2, 0.5)]))
    iris = _colour(chance.uniform(0.03, 0.2, 3))
    return SyntheticPerson(
        name=f"passer-by {seed}", identity=identity, skin=skin,
        lips=(skin[0] * 0.85, skin[1] * 0.5, skin[2] * 0.6), redness=float(chance.uniform(0.1, 0.6)),
        freckles=float(chance.uniform(0, 0.6)), stubble=float(chance.choice([0.0, 0.0, 0.5, 0.9])), hair=hair,
        hair_style="crop" if chance.random() < 0.5 else "bob", brow=_colour(0.7 * np.array(hair)),
        brow_weight=float(chance.uniform(0.6, 1.2)), lash_length=float(chance.uniform(0.8, 1.3)), iris=iris,
        iris_inner=_colour(1.4 * np.array(iris)), garment=_colour(chance.uniform(0.02, 0.6, 3)),
        garment_style="crew" if chance.random() < 0.5 else "scoop", plate=_colour(chance.uniform(0.1, 0.4, 3)),
        seed=seed,
    )  # fmt: skip


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def random_moment(chance: np.random.Generator) -> Moment:
    """Draw an expression and a pose."""
    expression = np.zeros(len(ARKIT_NAMES), np.float32)

    def put(name: str, value: float) -> None:
        expression[ARKIT_NAMES.index(name)] = value

    put("jawOpen", float(chance.uniform(0, 0.6) * (chance.random() < 0.6)))
    for pair in chance.choice(PAIRS, 3, replace=False):
        strength = chance.uniform(0, 0.7)
        put(f"{pair}Left", float(strength * chance.uniform(0.7, 1.0)))
        put(f"{pair}Right", float(strength * chance.uniform(0.7, 1.0)))
    put(str(chance.choice(SINGLES)), float(chance.uniform(0, 0.6)))
    rotation = rotation_from_angles(np.radians(chance.normal(0, POSE_DEG)))
    translation = REST_TRANSLATION + chance.normal(0, [0.01, 0.008, 0.03])
    return Moment(expression, rotation.astype(np.float32), translation.astype(np.float32), 0.5)


if __name__ == "__main__":
    main()
