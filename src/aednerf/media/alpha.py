"""Video with transparency out: VP9 and Opus in .webm for browsers, ProRes 4444 and PCM in .mov for editors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.units import FPS, SAMPLE_RATE_HZ
from aednerf.media import colour
from aednerf.media.writer import VideoWriter

_PIXEL_FORMATS = {".webm": "yuva420p", ".mov": "yuva444p10le"}
_OPUS_BIT_RATE = 96_000


class AlphaWriter(VideoWriter):
    """Write a .webm or .mov with straight alpha; used as `VideoWriter` is, with RGBA frames.

    FFmpeg reads the .webm's alpha back only with its libvpx-vp9 decoder; its own VP9 decoder drops it.
    """

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Append one frame, uint8 RGBA [H, W, 4] with straight alpha; it lasts 1/25 s."""
        self._write(rgb, "rgba", (4,))

    def _open(self, temporary: Path) -> Any:
        import av

        container = av.open(f"file:{temporary}", "w")
        container.metadata.update(self.metadata)
        if temporary.suffix.lower() == ".webm":
            options = {"crf": str(self.crf), "deadline": "realtime", "cpu-used": "6", "auto-alt-ref": "0"}
            self._video = container.add_stream("libvpx-vp9", rate=FPS, options=options)
            self._video.codec_context.bit_rate = 0  # quality alone decides
            self._video.metadata["alpha_mode"] = "1"
        else:
            self._video = container.add_stream("prores_ks", rate=FPS, options={"profile": "4444", "vendor": "apl0"})
        self._video.width, self._video.height = self.width, self.height
        self._video.pix_fmt = _PIXEL_FORMATS[temporary.suffix.lower()]
        context = self._video.codec_context
        context.colorspace = context.color_primaries = colour.SPC_BT709
        context.color_trc, context.color_range = colour.TRC_BT709, colour.RANGE_LIMITED
        if self.with_audio:
            self._audio = container.add_stream(
                "libopus" if temporary.suffix.lower() == ".webm" else "pcm_s16le", rate=SAMPLE_RATE_HZ
            )
            self._audio.layout = "mono"
            if temporary.suffix.lower() == ".webm":
                self._audio.bit_rate = _OPUS_BIT_RATE
        return container

    def _prepared(self, frame: Any) -> Any:
        frame = frame.reformat(
            format=self._video.pix_fmt, src_colorspace=colour.SPC_BT709, dst_colorspace=colour.SPC_BT709,
            src_color_range=colour.RANGE_FULL, dst_color_range=colour.RANGE_LIMITED,
        )  # fmt: skip
        frame.pts = self._n_frames
        frame.time_base = Fraction(1, FPS)
        return frame
