"""Small charts as pictures: lines over frames, points, bars; drawn with OpenCV, twice as large as shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

WIDTH, HEIGHT = 1024, 384
INK, GRID, BLUE, RED, PAPER = (40, 40, 48), (226, 226, 230), (38, 98, 178), (200, 60, 50), (255, 255, 255)

_LEFT, _TOP, _RIGHT, _BOTTOM = 90, 58, 24, 52
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def write_text(
    image: Image, text: str, place: tuple[int, int], colour: tuple[int, int, int] = INK, scale: float = 0.6
) -> None:
    """Write one line into a picture, its lower left corner at `place`; characters outside ASCII become '?'."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(image, plain, place, _FONT, scale, colour, 1, cv2.LINE_AA)


def line_chart(
    title: str, lines: Sequence[NDArray[Any]], unit: str, marks: Sequence[int] = (), x: NDArray[Any] | None = None
) -> Image:
    """Draw lines [T] over their frame number (or over x), with gaps where they are NaN and vertical marks."""
    x = np.arange(len(lines[0])) if x is None else x
    values = np.concatenate([line[np.isfinite(line)] for line in lines])
    low, high = _range(values)
    canvas, to_px = _frame(title, (float(x[0]), float(x[-1])), (low, high), unit)
    for mark in marks:
        u, _ = to_px(np.array([mark]), np.array([low]))[0]
        cv2.line(canvas, (int(u), _TOP), (int(u), HEIGHT - _BOTTOM), (190, 190, 196), 1)
    for line, colour in zip(lines, (BLUE, RED), strict=False):
        for run in np.split(np.arange(len(line)), np.flatnonzero(np.diff(np.isfinite(line).astype(int))) + 1):
            if len(run) and np.isfinite(line[run[0]]):
                points = to_px(x[run], line[run])
                cv2.polylines(canvas, [points.astype(np.int32)], False, colour, 2, cv2.LINE_AA)
    return canvas


def point_chart(title: str, x: NDArray[Any], y: NDArray[Any], unit: str) -> Image:
    """Draw points [N]."""
    canvas, to_px = _frame(title, _range(x), _range(y), unit)
    for u, v in to_px(x, y).astype(int):
        cv2.circle(canvas, (int(u), int(v)), 3, BLUE, -1, cv2.LINE_AA)
    return canvas


def bar_chart(title: str, values: NDArray[Any], low: float, high: float, unit: str, bins: int = 40) -> Image:
    """Draw how often values fall into equal steps from `low` to `high`, in per cent."""
    counts, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    shares = 100 * counts / max(1, len(values))
    canvas, to_px = _frame(title, (low, high), (0.0, float(max(shares.max(), 1.0))), unit)
    for share, left, right in zip(shares, edges[:-1], edges[1:], strict=True):
        (u0, v0), (u1, v1) = to_px(np.array([left, right]), np.array([0.0, share]))
        cv2.rectangle(canvas, (int(u0) + 1, int(v1)), (int(u1) - 1, int(v0)), BLUE, -1)
    return canvas


def _range(values: NDArray[Any]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def _frame(title: str, x_range: tuple[float, float], y_range: tuple[float, float], unit: str) -> tuple[Image, Any]:
    """Return an empty chart with its axes, and the function from values to pixels [N, 2]."""
    canvas = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    write_text(canvas, title, (_LEFT, 32), scale=0.72)
    write_text(canvas, unit, (WIDTH - _RIGHT - 10 * len(unit) - 10, 32), (120, 120, 128), 0.55)
    span_x, span_y = (max(high - low, 1e-9) for low, high in (x_range, y_range))

    def to_px(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        u = _LEFT + (x - x_range[0]) / span_x * (WIDTH - _LEFT - _RIGHT)
        v = HEIGHT - _BOTTOM - (y - y_range[0]) / span_y * (HEIGHT - _TOP - _BOTTOM)
        return np.stack([u, v], axis=-1)

    for value in _ticks(*y_range, 4):
        _, v = to_px(np.array([x_range[0]]), np.array([value]))[0]
        cv2.line(canvas, (_LEFT, int(v)), (WIDTH - _RIGHT, int(v)), GRID, 1)
        write_text(canvas, f"{value:g}", (14, int(v) + 6), scale=0.55)
    for value in _ticks(*x_range, 8):
        u, _ = to_px(np.array([value]), np.array([y_range[0]]))[0]
        cv2.line(canvas, (int(u), HEIGHT - _BOTTOM), (int(u), HEIGHT - _BOTTOM + 6), INK, 1)
        write_text(canvas, f"{value:g}", (int(u) - 12, HEIGHT - 18), scale=0.55)
    cv2.line(canvas, (_LEFT, HEIGHT - _BOTTOM), (WIDTH - _RIGHT, HEIGHT - _BOTTOM), INK, 1)
    return canvas, to_px


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Return round values inside a range, about so many."""
    raw = max(high - low, 1e-9) / about
    step = 10.0 ** np.floor(np.log10(raw))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= raw)
    return [round(float(value), 10) for value in np.arange(np.ceil(low / step) * step, high + 1e-9 * step, step)]
