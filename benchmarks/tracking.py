"""Measure what `prepare` found in the bare videos of a computer-generated capture against the truth; write one JSON.

    aednerf prepare captures/mara/truth/video/*.mp4 -o captures/mara_prepared
    python benchmarks/tracking.py captures/mara captures/mara_prepared -o results/mara_tracking.json [--sheet mara.png]

The clips' emotions play no part in tracking. --sheet draws the 68 vertices on some frames and on the worst: the true
ones green, the fitted ones red.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from avatar import commit

from aednerf import assets
from aednerf.capture.capture import Capture
from aednerf.core.files import write_json
from aednerf.evaluation.pictures import real_frames
from aednerf.evaluation.tracking import Tracked, measure_tracking, surface_face, vertex_errors_px
from aednerf.face.model import FaceModel
from aednerf.media.image import resize, write_image

N_EXAMPLES, COLUMNS, TILE_PX = 9, 3, 512
GREEN, RED, WHITE = (0, 255, 0), (255, 40, 40), (255, 255, 255)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exact", type=Path, help="what `aednerf synthesize` made")
    parser.add_argument("prepared", type=Path, help="what `aednerf prepare` made of its truth/video files")
    parser.add_argument("--sheet", type=Path, default=None, metavar="PNG")
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    exact, prepared = Capture.open(options.exact), Capture.open(options.prepared)
    model = FaceModel.load(assets.find("ict_facekit"))
    figures = measure_tracking(prepared, exact, model)
    result = {
        "command": " ".join(["python", "benchmarks/tracking.py", options.exact.name, options.prepared.name]),
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "python": sys.version.split()[0],
        "goals": goals(figures),
        **figures,
    }
    write_json(options.out, rounded(result))
    print(json.dumps(rounded({**result["goals"], "alignment": figures["alignment"]}), indent=2))
    if options.sheet:
        write_image(options.sheet, sheet(Tracked.of(prepared, exact), model))


def goals(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that have a goal, each with it."""
    turn, vertices = figures["rotation_deg"], figures["vertices68_px_at_512"]
    values = {
        "rotation, median, raw, degrees": (turn["raw"]["median"], 1.5, False),
        "rotation, median, after one constant turn of the head frame, degrees": (turn["aligned"]["median"], 1.5, False),
        "68 vertices on the identity's mesh, median, px at 512": (vertices["identity mesh"]["all"]["median"], 2, False),
        "68 vertices on the capture's surface, median, px at 512": (
            vertices["capture's surface"]["all"]["median"], 2, False,
        ),
        "matte IoU, mean": (figures["matte_iou"]["mean"], 0.97, True),
        "jawOpen, correlation": (figures["correlation"]["jawOpen"], 0.95, True),
    }  # fmt: skip
    return {
        name: {"value": value, f"at {'least' if is_least else 'most'}": goal, "is_met": bool(
            value is not None and (value >= goal if is_least else value <= goal)
        )}
        for name, (value, goal, is_least) in values.items()
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Return a copy with four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def sheet(tracked: Tracked, model: FaceModel) -> np.ndarray:
    """Draw the true and the fitted vertices on frames spread over the capture, the last tile being the worst frame."""
    face = surface_face(model, tracked.prepared)
    errors = vertex_errors_px(tracked, face).mean(1)
    rows = np.linspace(0, len(errors) - 1, min(N_EXAMPLES - 1, len(errors))).round().astype(int).tolist()
    rows = [*rows, int(errors.argmax())]
    true, fitted = tracked.true_68_px(), tracked.fitted_68_px(face)
    pictures = {frame: picture for frame, picture, _ in
                real_frames(tracked.prepared, {int(tracked.frames[row]) for row in rows})}  # fmt: skip
    tiles = []
    for row in rows:
        frame = int(tracked.frames[row])
        clip = tracked.prepared.clips[tracked.prepared.clip_of(frame)]
        tile = resize(pictures[frame], TILE_PX, TILE_PX)
        scale = TILE_PX / clip.crop.size
        for points, colour in ((true[row], GREEN), (fitted[row], RED)):
            for u, v in (points - [clip.crop.x, clip.crop.y]) * scale:
                cv2.circle(tile, (int(u * 16) - 8, int(v * 16) - 8), 28, colour, -1, cv2.LINE_AA, 4)
        worst = "worst: " if row == rows[-1] else ""
        title = f"{worst}frame {frame}, {clip.emotion}, {errors[row]:.2f} px"
        cv2.putText(tile, title, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, WHITE, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    lines = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    return np.concatenate(lines)


if __name__ == "__main__":
    main()
