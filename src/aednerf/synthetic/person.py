"""The people of the studio: who they are, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.face.model import N_IDENTITY

Colour = tuple[float, float, float]
"""Linear RGB reflectance in [0, 1]."""


@dataclass(frozen=True)
class SyntheticPerson:
    """A computer-generated person: the shape of the face, the colours, and the seed of everything painted."""

    name: str
    identity: tuple[tuple[int, float], ...]
    """(mode, weight) of ICT-FaceKit's identity modes that are not zero; weights are standard normal."""

    skin: Colour
    lips: Colour
    redness: float
    """In [0, 1]: how red cheeks, nose and ears are."""

    freckles: float
    """In [0, 1]: how many freckles."""

    stubble: float
    """In [0, 1]: how dark the shaved beard shows."""

    hair: Colour
    hair_style: Literal["crop", "bob"]
    brow: Colour
    brow_weight: float
    """How thick the eyebrows are; 1 is average."""

    lash_length: float
    """1 is average."""

    iris: Colour
    iris_inner: Colour
    """Around the pupil."""

    garment: Colour
    garment_style: Literal["crew", "scoop"]
    plate: Colour
    """The studio's backdrop."""

    seed: int

    def weights(self) -> NDArray[np.float32]:
        """Return the identity as ICT-FaceKit's [100] weights."""
        weights = np.zeros(N_IDENTITY, np.float32)
        for mode, weight in self.identity:
            weights[mode] = weight
        return weights


PEOPLE: dict[str, SyntheticPerson] = {
    person.name: person
    for person in (
        SyntheticPerson(
            name="mara",
            identity=((0, 1.25), (2, -0.3), (3, -0.3), (4, -0.55), (8, 0.4)),
            skin=(0.56, 0.33, 0.235),
            lips=(0.46, 0.15, 0.13),
            redness=0.55,
            freckles=0.9,
            stubble=0.0,
            hair=(0.105, 0.043, 0.02),
            hair_style="bob",
            brow=(0.07, 0.032, 0.018),
            brow_weight=0.7,
            lash_length=1.25,
            iris=(0.11, 0.165, 0.125),
            iris_inner=(0.27, 0.17, 0.06),
            garment=(0.62, 0.55, 0.46),
            garment_style="scoop",
            plate=(0.16, 0.20, 0.24),
            seed=11,
        ),
        SyntheticPerson(
            name="theo",
            identity=((0, -0.65), (2, 0.35), (5, -0.4), (6, 0.5), (8, -0.7)),
            skin=(0.34, 0.185, 0.115),
            lips=(0.29, 0.13, 0.10),
            redness=0.3,
            freckles=0.05,
            stubble=0.9,
            hair=(0.018, 0.012, 0.009),
            hair_style="crop",
            brow=(0.024, 0.016, 0.011),
            brow_weight=1.05,
            lash_length=0.9,
            iris=(0.10, 0.048, 0.02),
            iris_inner=(0.17, 0.08, 0.03),
            garment=(0.024, 0.034, 0.052),
            garment_style="crew",
            plate=(0.23, 0.20, 0.17),
            seed=23,
        ),
    )
}
"""The two people of the bench."""


def person_named(name: str) -> SyntheticPerson:
    """Return one of the bench's people.

    Raises:
        InputError: there is nobody of that name.
    """
    if name not in PEOPLE:
        raise InputError(f"There is no synthetic person {name!r}. The people are: {', '.join(PEOPLE)}.")
    return PEOPLE[name]
