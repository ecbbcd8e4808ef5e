"""Alpha survives its files: every degree of it, with the straight colours beneath."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.media.alpha import AlphaWriter

av = pytest.importorskip("av")

WIDTH, HEIGHT, N_FRAMES = 256, 64, 4


def ramp(frame: int) -> np.ndarray:
    """Return a picture whose alpha rises to the right; a stripe of another colour moves down through it."""
    picture = np.empty((HEIGHT, WIDTH, 4), np.uint8)
    picture[..., :3] = (200, 90, 40)
    picture[16 * frame : 16 * (frame + 1), :, :3] = (40, 120, 220)
    picture[..., 3] = np.arange(WIDTH)
    return picture


def decoded(path: Path, decoder: str) -> list[np.ndarray]:
    """Decode with a decoder by name: FFmpeg's own for VP9 drops the alpha."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = av.CodecContext.create(decoder, "r")
        codec.extradata = stream.codec_context.extradata
        packets = list(container.demux(stream))
        frames = [frame for packet in packets for frame in codec.decode(packet)]
        return [frame.to_ndarray(format="rgba", src_colorspace=1, dst_colorspace=1) for frame in frames]


@pytest.mark.parametrize(
    ("suffix", "decoder", "worst_alpha", "worst_colour"), [(".webm", "libvpx-vp9", 2, 6), (".mov", "prores", 2, 2)]
)
def test_every_degree_of_alpha_comes_back(
    tmp_path: Path, suffix: str, decoder: str, worst_alpha: int, worst_colour: int
) -> None:
    path = tmp_path / f"out{suffix}"
    with AlphaWriter(path, WIDTH, HEIGHT) as writer:
        for frame in range(N_FRAMES):
            writer.write(ramp(frame))
    frames = decoded(path, decoder)
    assert len(frames) == N_FRAMES
    for number, frame in enumerate(frames):
        error = np.abs(frame.astype(int) - ramp(number))
        assert error[..., 3].max() <= worst_alpha  # measured: 1 in both; colour 4 and 0
        inside = error[..., :3].reshape(HEIGHT // 16, 16, WIDTH, 3)[:, 4:12]  # colour is stored at half the height
        assert np.percentile(inside, 99) <= worst_colour
        assert np.abs(frame[..., 3].mean(0) - np.arange(WIDTH)).mean() < 2


def test_the_webm_says_that_it_has_alpha(tmp_path: Path) -> None:
    with AlphaWriter(tmp_path / "out.webm", WIDTH, HEIGHT) as writer:
        writer.write(ramp(0))
    with av.open(str(tmp_path / "out.webm")) as container:
        metadata = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
    assert metadata["alpha_mode"] == "1"
