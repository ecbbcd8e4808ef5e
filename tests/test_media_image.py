"""Pictures: formats, alpha, orientation, sizes, and what is wrong with a file."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aednerf.core.errors import InputError, MachineError
from aednerf.media.image import read_image, resize, write_image

PICTURE = np.random.default_rng(0).integers(0, 256, (7, 11, 4), np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
def test_png_round_trip(tmp_path, channels):
    image = np.ascontiguousarray(PICTURE[..., :channels])
    write_image(tmp_path / "a b.png", image)
    assert np.array_equal(read_image(tmp_path / "a b.png"), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a b.png"]


def test_gray_and_sixteen_bits_become_rgb(tmp_path):
    gray = PICTURE[..., 0]
    write_image(tmp_path / "gray.png", gray)
    assert np.array_equal(read_image(tmp_path / "gray.png"), np.repeat(gray[..., None], 3, -1))
    for channels in (3, 4):
        deep = (PICTURE[..., :channels].astype(np.uint16) * 257)[..., [2, 1, 0, 3][:channels]]
        cv2.imwrite(str(tmp_path / "deep.png"), deep)
        assert np.array_equal(read_image(tmp_path / "deep.png"), PICTURE[..., :channels])


def test_camera_orientation_is_followed(tmp_path):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :8] = 255
    _, data = cv2.imencode(".jpg", image)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn clockwise
    header = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "a.jpg").write_bytes(data.tobytes()[:2] + header + data.tobytes()[2:])
    turned = read_image(tmp_path / "a.jpg")
    assert turned.shape == (32, 16, 3) and turned[2, 13, 0] > 200 and turned[2, 2, 0] < 60


def test_bad_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "empty.png").touch()
    for name in ("a.png", "empty.png", "missing.png", "."):
        with pytest.raises(InputError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match="not a picture format"):
        write_image(tmp_path / "a.xyz", PICTURE)
    with pytest.raises(ValueError, match="expected uint8"):
        write_image(tmp_path / "b.png", PICTURE.astype(np.float32))
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="could not be written"):
        write_image(tmp_path / "file" / "b.png", PICTURE)


def test_resize_keeps_the_mean_when_it_shrinks_and_the_range_when_it_grows():
    image = np.random.default_rng(0).uniform(0, 1, (64, 96, 3)).astype(np.float32)
    small = resize(image, 32, 16)
    assert small.shape == (16, 32, 3) and np.allclose(small.mean((0, 1)), image.mean((0, 1)), atol=1e-5)
    assert resize(image, 96, 128).shape == (128, 96, 3)
    assert resize(image, 48, 128).shape == (128, 48, 3)
    assert resize(PICTURE[..., 0], 22, 14).shape == (14, 22)
    flat = np.full((10, 10), 77, np.uint8)
    assert (resize(flat, 7, 31) == 77).all()
    same = resize(flat, 10, 10)
    assert np.array_equal(same, flat) and same is not flat


def test_a_fine_jpeg_keeps_colour_edges(tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, ::2], image[:, 1::2] = (200, 60, 60), (60, 60, 200)
    error = {}
    for quality in (None, 98):
        write_image(tmp_path / "a.jpg", image, quality)
        error[quality] = np.abs(read_image(tmp_path / "a.jpg").astype(int) - image).mean()
    assert error[98] < 1 and error[None] > 20  # measured 0.3 and 51: the usual JPEG halves the resolution of colour
