"""Reading users' videos: time, colour, rotation, shape, and what is wrong with a file."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.media import colour
from aednerf.media.video import probe, read_video

av = pytest.importorskip("av")

BITS = 10


def bars(number: int, width: int = 160, height: int = 96) -> np.ndarray:
    """Draw a frame number as black and white bars."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 255, width // BITS)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_of(image: np.ndarray) -> int:
    """Read a frame number drawn by `bars`."""
    step = image.shape[1] // BITS
    row = image[image.shape[0] // 2, step // 2 :: step, 0][:BITS]
    return sum(1 << bit for bit, value in enumerate(row) if value > 127)


def make(path, images, times=None, *, rate=30, time_base=None, codec="libx264", pixel_format="yuv420p", options=None,
         source="rgb24", tags=None, rotation=None, aspect=None, container_options=None, offset_s=None):  # fmt: skip
    """Write a video of any kind with PyAV; `times` are in `time_base`."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        if source != "rgb24":
            stream.height = stream.height * 2 // 3  # planar 4:2:0
        stream.pix_fmt = pixel_format
        if time_base:
            stream.codec_context.time_base = time_base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format=source)
            frame.pts = i if times is None else times[i]
            frame.time_base = time_base or Fraction(1, rate)
            if source == "rgb24":
                matrix = (tags or {}).get("colorspace", colour.SPC_BT601)
                frame = frame.reformat(format=pixel_format, dst_colorspace=matrix, dst_color_range=(tags or {}).get(
                    "color_range", 1), interpolation="BICUBIC")  # fmt: skip
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_thirty_fps_becomes_twenty_five(tmp_path, suffix):
    codec = "mpeg4" if suffix == "avi" else "libx264"  # AVI holds no presentation times: no B-frames there
    path = make(tmp_path / f"a.{suffix}", [bars(i) for i in range(120)], codec=codec)
    numbers = [number_of(image) for image in read_video(path)]
    assert len(numbers) == 100
    assert all(abs(number / 30 - k / 25) <= 0.5 / 30 + 1e-3 for k, number in enumerate(numbers))
    info = probe(path)
    assert (info.width, info.height, info.has_audio) == (160, 96, False)
    assert info.codec == codec.replace("libx264", "h264")
    assert info.fps == pytest.approx(30, abs=0.1) and info.duration_s == pytest.approx(4, abs=0.1)
    assert not info.is_variable_rate and not info.is_hdr and info.bit_depth == 8


def test_variable_rate_goes_by_time_stamps(tmp_path):
    rng = np.random.default_rng(3)
    times_ms = np.cumsum(np.concatenate([[0], rng.choice([17, 33, 50, 120], 99)])).tolist()
    path = make(tmp_path / "a.mp4", [bars(i) for i in range(100)], times_ms, time_base=Fraction(1, 1000))
    assert probe(path).is_variable_rate
    for start_s in (0.0, 1.5):
        numbers = [number_of(image) for image in read_video(path, start_s=start_s)]
        for k, number in enumerate(numbers):
            distances = np.abs(np.array(times_ms) - 1000 * start_s - 40 * k)
            assert distances[number] <= distances.min() + 1
    assert len(list(read_video(path, start_s=1.0, max_s=0.4))) == 10


def test_first_time_stamp_is_time_zero(tmp_path):
    times = [7 + i for i in range(25)]
    path = make(tmp_path / "a.mkv", [bars(i) for i in range(25)], times, rate=25)
    assert [number_of(image) for image in read_video(path)] == list(range(25))


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_flag_is_followed(tmp_path, degrees):
    image = np.zeros((96, 160, 3), np.uint8)
    image[:48, :80, 0] = 255  # red in the top left corner
    path = make(tmp_path / "a.mp4", [image] * 3, rate=25, rotation=degrees)
    frame = next(av.open(str(path)).decode(video=0))
    expected = np.rot90(image, round(frame.rotation / 90))  # PyAV counts counterclockwise
    shown = next(read_video(path))
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 12
    info = probe(path)
    assert (info.width, info.height) == (shown.shape[1], shown.shape[0])
    assert info.rotation_deg == -frame.rotation % 360


def test_mirrored_display_matrix():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    one = 1 << 16
    for matrix, expected in [
        ((-one, 0, 0, one), image[:, ::-1]),
        ((one, 0, 0, -one), image[::-1]),
        ((0, one, one, 0), image.T),
        ((0, one, -one, 0), np.rot90(image, -1)),
    ]:
        a, b, c, d = matrix
        full = np.array([[a, b, 0], [c, d, 0], [0, 0, 1 << 30]], np.int32)
        assert np.array_equal(colour.upright(image, full), expected)


def test_pixel_aspect_ratio_makes_square_pixels(tmp_path):
    path = make(tmp_path / "a.mp4", [bars(5)] * 2, rate=25, aspect=Fraction(3, 2))
    assert next(read_video(path)).shape == (96, 240, 3)
    assert (probe(path).width, probe(path).height) == (240, 96)


def test_odd_size(tmp_path):
    image = np.full((97, 161, 3), (200, 60, 40), np.uint8)
    path = make(tmp_path / "a.mkv", [image] * 2, rate=25, pixel_format="yuv444p")
    shown = next(read_video(path))
    assert shown.shape == (97, 161, 3) and np.abs(shown.astype(int) - image).max() <= 4


COLOURS = [(255, 0, 0), (0, 255, 0), (30, 60, 220), (200, 150, 120), (128, 128, 128), (250, 240, 20)]


@pytest.mark.parametrize(
    ("height", "tags", "pixel_format"),
    [
        (96, {"colorspace": 1, "color_range": 1}, "yuv420p"),
        (96, {"colorspace": 6, "color_range": 1}, "yuv420p"),
        (96, {"colorspace": 1, "color_range": 2}, "yuvj420p"),
        (96, {"colorspace": 9, "color_range": 1, "color_primaries": 1, "color_trc": 1}, "yuv420p10le"),
        (96, {}, "yuv420p"),
        (720, {}, "yuv420p"),
    ],
)
def test_colour_goes_by_the_tags(tmp_path, height, tags, pixel_format):
    image = np.zeros((height, 192, 3), np.uint8)
    for i, value in enumerate(COLOURS):
        image[:, 32 * i : 32 * i + 32] = value
    matrix = tags.get("colorspace", 1 if height >= 720 else 6)
    encoded = _yuv(image, matrix, tags.get("color_range") == 2, 10 if "10" in pixel_format else 8)
    if "10" in pixel_format:
        path = _make_planes(tmp_path / "a.mp4", encoded, tags)
    else:
        path = make(tmp_path / "a.mp4", [encoded] * 2, rate=25, pixel_format=pixel_format, source=pixel_format,
                    tags=tags, options={"crf": "1"})  # fmt: skip
    shown = next(read_video(path))
    for i, value in enumerate(COLOURS):
        assert np.abs(shown[height // 2, 32 * i + 16].astype(int) - value).max() <= 4, value
    assert probe(path).bit_depth == (10 if "10" in pixel_format else 8)


def _yuv(image: np.ndarray, matrix: int, full: bool, bits: int) -> np.ndarray:
    """Convert to planar 4:2:0 by the definition of the matrices (BT.601, BT.709, BT.2020)."""
    red, blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    r, g, b = np.moveaxis(image / 255, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = ((b - y) / 2 / (1 - blue))[::2, ::2], ((r - y) / 2 / (1 - red))[::2, ::2]
    scale = 1 << (bits - 8)
    planes = [y * 255 if full else 16 + 219 * y, 128 + (255 if full else 224) * cb, 128 + (255 if full else 224) * cr]
    flat = np.concatenate([np.rint(plane * scale).ravel() for plane in planes])
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.clip(flat, 0, 256 * scale - 1).astype(dtype).reshape(-1, image.shape[1])


def _make_planes(path, planes: np.ndarray, tags: dict):
    """Write two 10-bit frames from raw planes [H * 3 / 2, W]."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for i in range(2):
            frame = av.VideoFrame(width, height, "yuv420p10le")
            flat = planes.ravel()
            sizes = (height * width, height * width // 4, height * width // 4)
            for plane, size in zip(frame.planes, sizes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = flat[:size].reshape(plane.height, plane.width)
                plane.update(rows.tobytes())
                flat = flat[size:]
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", [colour.PQ, colour.HLG])
def test_hdr_is_tone_mapped(tmp_path, transfer):
    levels = np.linspace(0, 1, 8)
    image = np.repeat(levels, 24)[None, :, None] * np.ones((96, 1, 3)) * 255
    tags = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": transfer}
    path = _make_planes(tmp_path / "a.mp4", _yuv(image, 9, False, 10), tags)
    info = probe(path)
    assert info.is_hdr and info.bit_depth == 10 and info.colorspace == "bt2020"
    row = next(read_video(path))[48, 12::24].astype(int)
    assert (np.ptp(row, axis=1) <= 3).all()  # gray stays gray
    assert (np.diff(row[:, 0]) >= 0).all() and row[0].max() <= 3 and row[-1].min() >= 250


def test_diffuse_white_of_hdr_is_bright_and_skin_keeps_its_hue():
    white = round(0.58 * 65535)  # PQ code of 203 cd/m2 (BT.2408)
    value = colour.tone_map(np.full((1, 1, 3), white, np.uint16), colour.PQ)[0, 0]
    assert 170 <= value.min() <= value.max() <= 215
    skin = colour.tone_map(np.array([[[30000, 27000, 25000]]], np.uint16), colour.PQ)[0, 0].astype(int)
    assert skin[0] > skin[1] > skin[2]


def test_bad_files_are_named_in_one_line(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "words.txt").write_text("hello\n" * 100)
    (tmp_path / "folder.mp4").mkdir()
    import cv2

    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((8, 8, 3), np.uint8))
    whole = make(tmp_path / "whole.mp4", [bars(i) for i in range(60)])
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:3000])
    for name in ("empty.mp4", "noise.mp4", "words.txt", "folder.mp4", "missing.mp4", "picture.png", "cut.mp4"):
        for read in (probe, lambda path: next(read_video(path))):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no picture at or after"):
        next(read_video(whole, start_s=99))


def test_a_file_that_breaks_off_gives_its_beginning(tmp_path):
    rng = np.random.default_rng(0)
    images = [bars(i) ^ rng.integers(0, 32, (96, 160, 1), np.uint8) for i in range(100)]
    whole = make(tmp_path / "a.mp4", images, rate=25, container_options={"movflags": "+faststart"}, options={"g": "10"})
    data = whole.read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: len(data) * 6 // 10])
    numbers = [number_of(image) for image in read_video(tmp_path / "b.mp4")]
    assert 30 <= len(numbers) <= 70 and numbers[:30] == list(range(30))


def test_a_name_with_a_colon_is_a_file(tmp_path):
    path = make(tmp_path / "a.mp4", [bars(1)] * 3, rate=25)
    strange = path.rename(tmp_path / "concat:take 1 %03d.mp4")
    assert len(list(read_video(strange))) == 3


def test_importing_media_does_not_load_pyav():
    code = ("import sys; import aednerf.media.video, aednerf.media.audio, aednerf.media.image; "
            "assert 'av' not in sys.modules and 'torch' not in sys.modules")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_clips(data):
    info = probe(data / "mead" / "M030_front_sad_level3_001_1080p_with_audio.mp4")
    assert (info.width, info.height, info.pixel_format, info.has_audio) == (1920, 1080, "yuvj444p", True)
    assert info.fps == pytest.approx(30, abs=0.01) and not info.is_variable_rate
    assert len(list(read_video(data / "mead" / "M030_front_sad_level3_001_1080p_with_audio.mp4", max_s=0.2))) == 5
    studio = data / "talking" / "studio_8s.mp4"
    assert probe(studio).codec == "mpeg4" and len(list(read_video(studio, start_s=7.0))) == 25
