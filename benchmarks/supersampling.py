"""Measure how far the synthetic renderer's sampling noise goes; write one JSON.

    python benchmarks/supersampling.py -o results/supersampling.json [--size 512] [--moments 6] [--sheet noise.png]

The renderer is deterministic: the same moment gives the same picture, bit for bit, which is checked. Its noise is that
of where the samples of a pixel lie. It is measured as the PSNR between two renderings of the same moments with other
sample positions: 3x3 a pixel, which is what captures are made with, against 4x4; and each against 8x8, which stands
for the converged picture. Pictures are compared before they are encoded, over the whole picture and over the person.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from pathlib import Path

import numpy as np
from avatar import commit

from aednerf import assets
from aednerf.core.files import write_json
from aednerf.evaluation.comparison import difference
from aednerf.evaluation.metrics import psnr
from aednerf.face.model import FaceModel
from aednerf.media.image import write_image
from aednerf.synthetic.moment import Shot
from aednerf.synthetic.performance import Performance, perform
from aednerf.synthetic.person import PEOPLE, SyntheticPerson
from aednerf.synthetic.script import load_script
from aednerf.synthetic.studio import Studio

USUAL, OTHER, CONVERGED = 3, 4, 8
GOAL_DB = 40.0


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--moments", type=int, default=6, help="of each person, spread over the bench's script")
    parser.add_argument("--sheet", type=Path, default=None, metavar="PNG")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    people, lines, model = {}, [], FaceModel.load(assets.find("ict_facekit"))
    for name, person in PEOPLE.items():
        performance = perform(load_script(name), model.person(person.weights()))
        shots = {n: shoot(person, options.size, n, performance, options.moments) for n in (USUAL, OTHER, CONVERGED)}
        again = shoot(person, options.size, USUAL, performance, options.moments)
        people[name] = {
            "is_repeatable": all(np.array_equal(a.image, b.image) for a, b in zip(shots[USUAL], again, strict=True)),
            "3x3 against 4x4": agreement(shots[USUAL], shots[OTHER]),
            "3x3 against 8x8": agreement(shots[USUAL], shots[CONVERGED]),
            "4x4 against 8x8": agreement(shots[OTHER], shots[CONVERGED]),
        }
        print(name, people[name], flush=True)
        a, b = shots[USUAL][-1].image, shots[OTHER][-1].image
        lines.append(np.concatenate([a, b, difference(a, b)], axis=1))
    agreed = [figures["3x3 against 4x4"] for figures in people.values()]
    least = {where: min(figures[where]["least"] for figures in agreed) for where in ("all", "person")}
    write_json(options.out, {
        "command": f"python benchmarks/supersampling.py --size {options.size} --moments {options.moments}",
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "what": "PSNR in dB between renderings of the same moments with n x n samples a pixel",
        "goals": {
            f"3x3 against 4x4, least, {where}": {"value": value, "at least": GOAL_DB, "is_met": bool(value >= GOAL_DB)}
            for where, value in least.items()
        },
        "people": people,
    })  # fmt: skip
    if options.sheet:
        write_image(options.sheet, np.concatenate(lines))


def shoot(person: SyntheticPerson, size: int, supersampling: int, performance: Performance, n: int) -> list[Shot]:
    """Return pictures of n moments spread over a performance, by a new studio."""
    frames = np.linspace(0, len(performance) - 1, n + 2).round().astype(int)[1:-1]
    with Studio(person, size, *performance.mean_pose, supersampling=supersampling) as studio:
        return [studio.shoot(performance.moment(int(frame))) for frame in frames]


def agreement(a: list[Shot], b: list[Shot]) -> dict[str, dict[str, float]]:
    """Return the mean and least PSNR of pairs of pictures, over all of it and over the person."""
    figures = {}
    for where in ("all", "person"):
        values = [
            psnr(x.image, y.image, (x.alpha > 0) | (y.alpha > 0) if where == "person" else np.ones(x.alpha.shape, bool))
            for x, y in zip(a, b, strict=True)
        ]
        figures[where] = {"mean": round(float(np.mean(values)), 2), "least": round(min(values), 2)}
    return figures


if __name__ == "__main__":
    main()
