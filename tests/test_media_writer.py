"""Our own files: what is written, that nothing is half-written, and that both decoders give the same pixels."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from aednerf.core.errors import InputError, MachineError
from aednerf.media import frames as frames_module
from aednerf.media.audio import load_audio
from aednerf.media.frames import _decode_opencv, _decode_pyav, decode_frames
from aednerf.media.video import LosslessGrayWriter, VideoWriter, probe, read_video

av = pytest.importorskip("av")


def scene(i: int, size: int = 64) -> np.ndarray:
    """Draw a smooth, saturated picture whose brightness tells its number."""
    v, u = np.mgrid[0:size, 0:size] / size
    image = np.stack([120 + 100 * u, 40 + 2 * i + 0 * v, 200 - 150 * v], -1)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "frames.mp4"
    with VideoWriter(path, 64, 64, crf=12, keyframe_s=1.0, metadata={"comment": "synthetic"}) as writer:
        for i in range(80):
            writer.write(scene(i))
    return path


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "matte.mkv"
    images = np.random.default_rng(0).integers(0, 256, (30, 49, 67), np.uint8)
    with LosslessGrayWriter(path, 67, 49) as writer:
        for image in images:
            writer.write(image)
    return path, images


def test_the_file_is_what_the_design_says(movie):
    info = probe(movie)
    assert (info.codec, info.pixel_format, info.colorspace, info.fps) == ("h264", "yuv420p", "bt709", 25)
    assert info.duration_s == pytest.approx(3.2, abs=1e-3)
    with av.open(str(movie)) as container:
        assert container.metadata["comment"] == "synthetic"
        context = container.streams.video[0].codec_context
        assert (context.color_range, context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1, 1)
        keys = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe]
    assert max(np.diff([float(key) for key in keys])) <= 1.0


def test_round_trip_of_colours(movie):
    for reader in (read_video(movie), decode_frames(movie)):
        worst = max(np.abs(image.astype(int) - scene(i)).mean() for i, image in enumerate(reader))
        assert worst < 3.0  # measured: 1.8


def test_both_decoders_give_the_same_pixels(movie):
    for ours, theirs in zip(_decode_pyav(movie, 0, False), _decode_opencv(movie, 0, False), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("decode", [_decode_pyav, _decode_opencv])
def test_any_range_is_frame_accurate(movie, labels, decode, monkeypatch):
    whole = list(decode_frames(movie))
    assert len(whole) == 80
    monkeypatch.setattr(frames_module, "_decode_pyav", decode)
    for first, end in [(0, 3), (24, 27), (25, 26), (37, 41), (79, 80), (60, None), (5, 5)]:
        got = list(decode_frames(movie, first, end))
        assert np.array_equal(np.array(got), np.array(whole[first:end]))
    path, images = labels
    for first, end in [(0, 30), (7, 9), (29, None)]:
        assert np.array_equal(np.array(list(decode_frames(path, first, end, gray=True))), images[first:end])
    for first, end in [(0, 81), (80, None), (200, 201)]:
        with pytest.raises(InputError, match="ends before"):
            list(decode_frames(movie, first, end))
    with pytest.raises(InputError, match="does not exist"):
        next(decode_frames(movie.with_name("missing.mp4")))


def test_an_opencv_that_ignores_the_tag_is_corrected(movie, monkeypatch):
    wrong = frames_module._yuv_to_rgb(0.299, 0.114) @ np.linalg.inv(frames_module._yuv_to_rgb(0.2126, 0.0722))

    class OldCapture:
        """OpenCV before 4.12: it takes every file for BT.601."""

        def __init__(self, *arguments):
            self.capture, self.converts = real(*arguments), True

        def set(self, name, value):
            if name == cv2.CAP_PROP_CONVERT_RGB:
                self.converts = bool(value)
            return self.capture.set(name, value)

        def read(self):
            ok, image = self.capture.read()
            if ok and self.converts:
                image = np.clip(np.rint(image[..., ::-1] @ wrong.T), 0, 255).astype(np.uint8)[..., ::-1]
            return ok, image

        def __getattr__(self, name):
            return getattr(self.capture, name)

    real = cv2.VideoCapture
    expected = list(decode_frames(movie))
    monkeypatch.setattr(cv2, "VideoCapture", OldCapture)
    frames_module._correction.cache_clear()
    got = list(_decode_opencv(movie, 0, False))
    assert frames_module._correction() is not None
    frames_module._correction.cache_clear()
    worst = max(np.abs(a.astype(int) - b).max() for a, b in zip(got, expected, strict=True))
    assert worst <= 3


def test_the_sample_is_what_the_writer_writes(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 16, 16, crf=4) as writer:
        writer.write(np.full((16, 16, 3), frames_module.SAMPLE_COLOUR, np.uint8))
    sample = Path(frames_module.__file__).with_name("bt709.mp4")
    assert sample.stat().st_size < 4096
    assert np.array_equal(next(decode_frames(sample)), next(decode_frames(tmp_path / "a.mp4")))


def test_decoding_works_without_pyav(movie, labels):
    code = (
        "import sys; sys.modules['av'] = None\n"
        "import numpy as np\n"
        "from aednerf.media.video import decode_frames, read_video\n"
        "from aednerf.media.image import read_image\n"
        "from aednerf.core.errors import MachineError\n"
        f"assert sum(1 for _ in decode_frames({str(movie)!r}, 30, 50)) == 20\n"
        f"assert sum(1 for _ in decode_frames({str(labels[0])!r}, gray=True)) == 30\n"
        "try:\n"
        f"    next(read_video({str(movie)!r}))\n"
        "except MachineError as error:\n"
        "    assert 'PyAV' in str(error)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("n", [16_000 * 4, 16_000 * 4 + 333, 100])
def test_sound_is_as_long_as_what_was_pushed_and_in_time(tmp_path, n):
    clicks = np.zeros(n, np.float32)
    for start in range(500, n - 80, 16_000):
        clicks[start : start + 40] = 0.8
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 64, 64, with_audio=True) as writer:
        for i in range(100):
            writer.write(scene(i))
            writer.write_audio(clicks[i * 640 : (i + 1) * 640] if i < 99 else clicks[i * 640 :])
    sound = load_audio(path)
    assert len(sound) == n
    assert len(list(read_video(path))) == 100 and probe(path).has_audio
    for start in range(500, n - 80, 16_000):
        window = np.abs(sound[max(0, start - 400) : start + 440])
        peak = max(0, start - 400) + np.average(np.arange(len(window)), weights=window**2)
        assert abs(peak - start - 20) < 40  # samples: a sixteenth of a frame


def test_sound_may_come_in_one_piece_first_or_last(tmp_path):
    tone = (0.3 * np.sin(np.arange(32_000) / 8)).astype(np.float32)
    for name, sound_first in [("a.mp4", True), ("b.mp4", False)]:
        with VideoWriter(tmp_path / name, 64, 64, with_audio=True) as writer:
            if sound_first:
                writer.write_audio(tone)
            for i in range(50):
                writer.write(scene(i))
            if not sound_first:
                writer.write_audio(tone)
        assert np.corrcoef(load_audio(tmp_path / name), tone)[0, 1] > 0.95


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), VideoWriter(tmp_path / "a.mp4", 64, 64) as writer:
        writer.write(scene(0))
        raise KeyError("the renderer failed")
    with pytest.raises(FileNotFoundError), VideoWriter(tmp_path / "a.mp4", 64, 64) as writer:
        writer.write(scene(0))
        open(tmp_path / "another file", "rb")  # not the writer's error: it is passed on as it is
    with pytest.raises(ValueError, match="no frame"), VideoWriter(tmp_path / "a.mp4", 64, 64):
        pass
    with pytest.raises(ValueError, match="expected uint8"), VideoWriter(tmp_path / "a.mp4", 64, 64) as writer:
        writer.write(np.zeros((32, 64, 3), np.uint8))
    (tmp_path / "old.mkv").write_bytes(b"old")
    with pytest.raises(KeyError), LosslessGrayWriter(tmp_path / "old.mkv", 64, 64) as writer:
        writer.write(scene(0)[..., 0])
        raise KeyError("stopped")
    assert [path.name for path in tmp_path.iterdir()] == ["old.mkv"]
    assert (tmp_path / "old.mkv").read_bytes() == b"old"


def test_odd_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match="even"):
        VideoWriter(tmp_path / "a.mp4", 255, 256)


FULL_DISK = """
import resource, signal, sys
import numpy as np
from aednerf.core.errors import MachineError
from aednerf.media.video import LosslessGrayWriter, VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0)
kind, path, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    if kind == "mp4":
        with VideoWriter(path, 128, 128, crf=1) as writer:
            for _ in range(n):
                writer.write(noise.integers(0, 256, (128, 128, 3), np.uint8))
    else:
        with LosslessGrayWriter(path, 128, 128) as writer:
            for _ in range(n):
                writer.write(noise.integers(0, 256, (128, 128), np.uint8))
except MachineError as error:
    assert path in str(error) and "\\n" not in str(error), error
    raise SystemExit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
@pytest.mark.parametrize("n", [8, 120])
def test_a_full_disk_is_a_machine_error_and_leaves_nothing(tmp_path, kind, n):
    result = subprocess.run([sys.executable, "-c", FULL_DISK, kind, str(tmp_path / f"a.{kind}"), str(n)])
    assert result.returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_no_space_is_explained(tmp_path, monkeypatch):
    def full(self, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(VideoWriter, "_prepared", full)
    with pytest.raises(MachineError, match="No space left"), VideoWriter(tmp_path / "a.mp4", 64, 64) as writer:
        writer.write(scene(0))
    assert list(tmp_path.iterdir()) == []
