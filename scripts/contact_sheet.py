"""Write a contact sheet of a video: pictures evenly spread over its time, row by row.

Usage: python scripts/contact_sheet.py speak.mp4 -o speak.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from tyro.conf import Positional, arg

from aednerf.core.errors import InputError
from aednerf.core.units import FPS
from aednerf.media.image import write_image
from aednerf.media.video import probe, read_video


def contact_sheet(
    video: Positional[Path],
    /,
    *,
    out: Annotated[Path, arg(aliases=["-o"])],
    columns: int = 6,
    rows: int = 4,
    width: int = 256,
) -> None:
    """Write a contact sheet of a video.

    Args:
        video: any video file.
        out: the picture to write.
        columns: pictures in a row.
        rows: rows of pictures.
        width: of each picture, in pixels.
    """
    info = probe(video)
    n_frames = max(1, round(info.duration_s * FPS))
    height = round(width * info.height / info.width)
    wanted = set(np.linspace(0, n_frames - 1, columns * rows).round().astype(int).tolist())
    pictures = []
    for index, frame in enumerate(read_video(video)):
        if index in wanted:
            picture = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            cv2.putText(picture, f"{index / FPS:.2f} s", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
            pictures.append(picture)
    if not pictures:
        raise InputError(f"{video} holds no frames.")
    sheet = np.zeros((-(-len(pictures) // columns) * height, columns * width, 3), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + height, left : left + width] = picture
    write_image(out, sheet)


if __name__ == "__main__":
    tyro.cli(contact_sheet)
