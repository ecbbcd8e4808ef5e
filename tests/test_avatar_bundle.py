"""The bundle comes back as it was written, and a broken or hostile one is refused by one line."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from aednerf.avatar.bundle import load_bundle, save_bundle
from aednerf.core.errors import InputError
from fake_avatar import fake_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_bundle(tmp_path / "me", fake_bundle())


@pytest.mark.parametrize("name", ["me", "me.aednerf"])
def test_comes_back(tmp_path: Path, name: str) -> None:
    bundle = fake_bundle()
    path = save_bundle(tmp_path / name, bundle)
    assert path.is_file() == name.endswith(".aednerf")
    loaded = load_bundle(path)
    assert loaded.camera == bundle.camera and loaded.field_config == bundle.field_config
    assert loaded.motion_config == bundle.motion_config and loaded.training == bundle.training
    assert (loaded.preset, loaded.consent, loaded.licences) == (bundle.preset, bundle.consent, bundle.licences)
    assert np.array_equal(loaded.background, bundle.background) and loaded.preview is not None
    assert np.array_equal(loaded.rotation, bundle.rotation) and np.array_equal(loaded.translation, bundle.translation)
    assert loaded.tensors.keys() == bundle.tensors.keys()
    assert loaded.tensors["field.table"].dtype == torch.float16
    assert torch.equal(loaded.tensors["motion.weight"], bundle.tensors["motion.weight"])
    assert torch.equal(loaded.section("field")["bits"], bundle.tensors["field.bits"])
    assert "synthetic" in loaded.synthetic and len(loaded.digest) == 64
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


def test_equal_avatars_are_equal_files(tmp_path: Path) -> None:
    paths = [save_bundle(tmp_path / name, fake_bundle()) for name in ("a.aednerf", "b.aednerf")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_large_values_keep_their_bits(tmp_path: Path) -> None:
    bundle = fake_bundle()
    bundle.tensors["field.table"][0, 0] = 1e6
    assert load_bundle(save_bundle(tmp_path / "me", bundle)).tensors["field.table"][0, 0] == 1e6


def test_preview_video_travels(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"moving")
    path = save_bundle(tmp_path / "me.aednerf", fake_bundle(), preview_video=tmp_path / "x.mp4")
    load_bundle(path)
    assert zipfile.ZipFile(path).read("preview.mp4") == b"moving"


def test_an_output_that_exists_needs_force_and_must_be_an_avatar(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--force"):
        save_bundle(folder, fake_bundle())
    save_bundle(folder, fake_bundle(), force=True)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_text("dear")
    with pytest.raises(InputError, match="not an avatar"):
        save_bundle(tmp_path / "holiday", fake_bundle(), force=True)
    assert (tmp_path / "holiday" / "photo.jpg").exists()


def test_too_large_weights_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    bundle = fake_bundle()
    bundle.tensors["field.table"] = torch.zeros(17_000_000)
    with pytest.raises(InputError, match=r"weights\.safetensors takes 34"):
        save_bundle(tmp_path / "me", bundle)
    assert not list(tmp_path.iterdir())


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    record = json.loads((folder / "avatar.json").read_text())
    change(record)
    (folder / "avatar.json").write_text(json.dumps(record))


def replace_weights(folder: Path, data: bytes) -> None:
    """Put in other weights, with the hash that belongs to them, as a forger would."""
    (folder / "weights.safetensors").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(folder, lambda record: record["files"].update({"weights.safetensors": entry}))


def replace_picture(folder: Path, data: bytes) -> None:
    (folder / "background.png").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(folder, lambda record: record["files"].update({"background.png": entry}))


def weights(header: dict, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def giant(shape: list[int], end: int = 4, dtype: str = "F32", name: str = "field.table") -> bytes:
    return weights({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}, b"\0" * 4)


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "wrong hash": (lambda f: flip(f / "weights.safetensors"), r"SHA-256 of weights\.safetensors"),
    "picture changed": (lambda f: flip(f / "background.png"), r"SHA-256 of background\.png"),
    "truncated": (lambda f: (f / "weights.safetensors").write_bytes(b"12345678"), "has 8 bytes"),
    "missing file": (lambda f: (f / "background.png").unlink(), r"background\.png is missing"),
    "missing preview": (lambda f: (f / "preview.png").unlink(), r"preview\.png is missing"),
    "no description": (lambda f: (f / "avatar.json").unlink(), r"holds no avatar\.json"),
    "no JSON": (lambda f: (f / "avatar.json").write_text("{"), "not valid JSON"),
    "NaN": (lambda f: (f / "avatar.json").write_text('{"schema": NaN}'), "NaN is no number"),
    "deep JSON": (lambda f: (f / "avatar.json").write_text("[" * 100_000), "not valid JSON"),
    "other JSON": (lambda f: (f / "avatar.json").write_text("[]"), "does not describe"),
    "unknown schema": (lambda f: edit(f, lambda r: r.update(schema_version=99)), "avatar schema 99"),
    "unlisted weights": (lambda f: edit(f, lambda r: r["files"].pop("weights.safetensors")), "does not list"),
    "path traversal": (lambda f: edit(f, lambda r: r["files"].update({"../x": {}})), r"'\.\./x', which is no file"),
    "no camera": (lambda f: edit(f, lambda r: r.pop("camera")), "entry 'camera' is missing"),
    "giant camera": (lambda f: edit(f, lambda r: r["camera"].update(width=10**9)), "size must lie in"),
    "bad pose": (lambda f: edit(f, lambda r: r["pose"].update(rotation=[[2, 0, 0]] * 3)), "orthonormal"),
    "other names": (lambda f: edit(f, lambda r: r["expression_names"].reverse()), "expression_names"),
    "giant tensor": (lambda f: replace_weights(f, giant([1 << 40])), "but has 4 bytes"),
    "overflowing shape": (lambda f: replace_weights(f, giant([1 << 62, 1 << 62, 0])), "but has 4 bytes"),
    "tensor past the end": (lambda f: replace_weights(f, giant([1 << 20], 1 << 22)), "do not fill the file"),
    "negative shape": (lambda f: replace_weights(f, giant([-1, -1])), "no valid name, shape or place"),
    "unknown dtype": (lambda f: replace_weights(f, giant([1], dtype="F8")), "'F8'"),
    "unknown section": (lambda f: replace_weights(f, giant([1], name="os.system")), "no valid name"),
    "giant header": (lambda f: replace_weights(f, struct.pack("<Q", 1 << 60) + b"{}"), "impossible length"),
    "empty weights": (lambda f: replace_weights(f, b""), "impossible length"),
    "NaN weights": (
        lambda f: replace_weights(f, giant([1])[:-4] + struct.pack("<f", float("nan"))), "no finite numbers"
    ),
    "giant picture": (
        lambda f: replace_picture(f, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1 << 30, 8) + b"\0" * 99),
        "background.png is 1073741824x8",
    ),
    "no picture": (lambda f: replace_picture(f, b"GIF89a" * 9), "background.png is no PNG"),
    "cut picture": (
        lambda f: replace_picture(f, (f / "background.png").read_bytes()[:40]), "background.png cannot be decoded"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_bundle_is_refused_by_one_line(folder: Path, name: str) -> None:
    break_it, message = BREAKAGES[name]
    break_it(folder)
    with pytest.raises(InputError, match=message) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)


def zipped(folder: Path, *extra: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder.with_suffix(".aednerf")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
        for name, data in extra:
            archive.writestr(name, data)
    return path


def test_a_zip_made_by_other_tools_is_read(folder: Path) -> None:
    assert load_bundle(zipped(folder)).preset == "smoke"


@pytest.mark.parametrize("name", ["../evil.py", "/etc/passwd", "sub/avatar.json", "payload.pkl", "C:\\x"])
def test_foreign_members_of_a_zip_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="no file of a bundle"):
        load_bundle(zipped(folder, (name, b"boo")))
    assert not (folder.parent / "evil.py").exists()


def test_a_member_twice_is_refused(folder: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), pytest.raises(InputError, match="is there twice"):
        load_bundle(zipped(folder, ("avatar.json", b"{}")))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(folder: Path) -> None:
    (folder / "avatar.json").write_bytes(b" " * (64 << 20))
    path = zipped(folder)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"avatar\.json unpacks to 67,108,864 bytes"):
        load_bundle(path)


def test_a_zip_that_lies_about_sizes_is_refused(folder: Path) -> None:
    (folder / "avatar.json").write_bytes(b" " * (8 << 20))
    path = zipped(folder)
    data = path.read_bytes().replace(struct.pack("<I", 8 << 20), struct.pack("<I", 100))
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a sound avatar bundle"):
        load_bundle(path)


def test_a_zip_with_countless_members_is_refused_unread(folder: Path) -> None:
    with pytest.raises(InputError, match="far more files"):
        load_bundle(zipped(folder, *((f"file{i:05}", b"") for i in range(2000))))


def test_a_cut_zip_an_encrypted_zip_and_no_zip(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder)
    whole = path.read_bytes()
    for data in (whole[:-100], b"no zip at all", b""):
        path.write_bytes(data)
        with pytest.raises(InputError, match="not a sound avatar bundle"):
            load_bundle(path)
    flagged = bytearray(whole)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := flagged.find(mark, start + 1)) >= 0:
            flagged[start + at] |= 1
    path.write_bytes(flagged)
    with pytest.raises(InputError, match="cannot be read"):
        load_bundle(path)
    with pytest.raises(InputError, match="does not exist"):
        load_bundle(tmp_path / "nothing.aednerf")


def test_unknown_packing_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="packed in an unknown way"):
        load_bundle(zipped(folder, compression=zipfile.ZIP_BZIP2))
