"""The screen of the demonstration: one performance side by side over two backdrops, and a line of text below."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PAPER, _INK, _FAINT = (20, 22, 26), (235, 235, 235), (130, 135, 145)


@dataclass(frozen=True)
class Screen:
    """Panels of one size beside each other, with a strip for text below."""

    backdrops: tuple[Picture, ...]
    """[H, W, 3] each; one panel for each, from left to right."""

    @property
    def panel(self) -> tuple[int, int]:
        """Height and width of a panel in pixels."""
        return self.backdrops[0].shape[0], self.backdrops[0].shape[1]

    @property
    def strip(self) -> int:
        """Height of the strip in pixels, even."""
        return 2 * max(4, round(self.panel[1] / 22))

    @property
    def width(self) -> int:
        """Width of the screen in pixels, even where the panels' is."""
        return self.panel[1] * len(self.backdrops)

    @property
    def height(self) -> int:
        """Height of the screen in pixels, even where the panels' is."""
        return self.panel[0] + self.strip

    def over_backdrops(self, person: Picture) -> Picture:
        """Lay a person [H, W, 4], premultiplied, over each backdrop; return the panels [H, W * n, 3]."""
        colour, clear = person[..., :3].astype(np.uint16), 255 - person[..., 3:].astype(np.uint16)
        panels = [colour + (backdrop * clear + 127) // 255 for backdrop in self.backdrops]
        return np.minimum(np.concatenate(panels, axis=1), 255).astype(np.uint8)

    def show(self, person: Picture, left: str, right: str) -> Picture:
        """Return the whole screen.

        Args:
            person: [H, W, 4] premultiplied.
            left: text at the strip's left.
            right: fainter text at its right.

        Returns:
            uint8 [height, width, 3].
        """
        return np.concatenate([self.over_backdrops(person), self._caption(left, right)])

    def _caption(self, left: str, right: str) -> Picture:
        strip = np.full((self.strip, self.width, 3), _PAPER, np.uint8)
        scale, margin = self.strip / 50, self.strip // 3
        (right_width, _), _ = cv2.getTextSize(right, _FONT, scale, 1)
        baseline = round(self.strip * 0.66)
        for text, x, colour in ((left, margin, _INK), (right, self.width - margin - right_width, _FAINT)):
            cv2.putText(strip, text, (x, baseline), _FONT, scale, colour, 1, cv2.LINE_AA)
        return strip
