"""Third-party models are found in the right order, checked, downloaded, and packed from their original files."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import shutil
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aednerf import assets as registry
from aednerf import ict_facekit
from aednerf.core.errors import InputError, MachineError

LANDMARKER = registry.ASSETS["face_landmarker"]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Two empty folders on the search path and an empty cache."""
    first, second, cache = (tmp_path / name for name in ("first", "second", "cache"))
    for folder in (first, second):
        folder.mkdir()
    monkeypatch.setenv("AEDNERF_ASSETS", f"{first}{os.pathsep}{second}")
    monkeypatch.setenv("AEDNERF_CACHE", str(cache))
    return first, second, cache


@pytest.fixture
def server(tmp_path):
    """A web server over a folder of its own, on this machine."""
    folder = tmp_path / "published"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def publish(monkeypatch, url, content: bytes, sha256: str | None) -> registry.Asset:
    file = registry.AssetFile("thing.tflite", sha256=sha256, n_bytes=len(content))
    thing = registry.Asset("thing", "a test", (file,), url, "MIT", "nobody")
    monkeypatch.setitem(registry.ASSETS, "thing", thing)
    return thing


def test_the_search_path_goes_before_the_cache(places, assets):
    first, second, cache = places
    cache.mkdir()
    for folder in (cache, second, first):
        shutil.copy(assets / "face_landmarker.task", folder)
        assert registry.find("face_landmarker") == folder / "face_landmarker.task"
    assert registry.find("face_landmarker.task") == registry.find("face_landmarker")


def test_every_asset_of_the_project_is_accepted(assets, monkeypatch):
    monkeypatch.setenv("AEDNERF_ASSETS", str(assets))
    assert all(registry.find(name).is_file() for name in registry.ASSETS)
    assert registry.state("ict_facekit") == str(assets / "ict_facekit_light.npz")


def test_a_wrong_file_is_refused_with_both_digests(places):
    (places[0] / "face_landmarker.task").write_bytes(b"something else")
    expected, got = LANDMARKER.files[0].sha256, hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(InputError) as caught:
        registry.find("face_landmarker")
    assert f"expected SHA-256 {expected}, got {got}" in str(caught.value)
    assert str(places[0]) in str(caught.value)
    assert registry.state("face_landmarker").startswith("refused: ")


@pytest.mark.parametrize(
    "size, magic, is_good", [(249_000, b"TFL3", True), (249_000, b"PK__", False), (9, b"TFL3", False)]
)
def test_the_publishers_segmenter_is_told_by_format_and_size(places, size, magic, is_good):
    path = places[1] / "selfie_segmenter.tflite"
    path.write_bytes(b"\x1c\0\0\0" + magic + bytes(size - 8))
    if is_good:
        assert registry.find("selfie_segmenter") == path
    else:
        with pytest.raises(InputError, match="TFLite"):
            registry.find("selfie_segmenter")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="face_landmarker, selfie_segmenter, ict_facekit"):
        registry.find("bfm")


def test_a_download_is_checked_kept_and_reported(places, server, monkeypatch):
    folder, address = server
    content = b"\0\0\0\0TFL3" + bytes(100_000)
    (folder / "thing.tflite").write_bytes(content)
    publish(monkeypatch, f"{address}/thing.tflite", content, hashlib.sha256(content).hexdigest())
    told = []
    path = registry.find("thing", lambda step, done, total, note="": told.append((step, done, total)))
    assert path == places[2] / "thing.tflite" and path.read_bytes() == content
    assert told[-1] == ("download thing", len(content), len(content))
    (folder / "thing.tflite").unlink()
    assert registry.find("thing") == path, "the second time it comes from the cache"


@pytest.mark.parametrize("fault", ["missing", "other content", "no server", "not a model"])
def test_a_failed_download_says_what_to_do_and_leaves_nothing(places, server, monkeypatch, fault):
    folder, address = server
    (folder / "thing.tflite").write_bytes(b"not what was promised")
    url = {"missing": f"{address}/no.tflite", "no server": "http://127.0.0.1:9/thing.tflite"}.get(fault)
    publish(monkeypatch, url or f"{address}/thing.tflite", b"1234", None if fault == "not a model" else "0" * 64)
    with pytest.raises(MachineError) as caught:
        registry.find("thing")
    text = str(caught.value)
    assert "\n" not in text and "http://127.0.0.1" in text and str(places[2]) in text
    assert not places[2].exists() or not list(places[2].iterdir())


@pytest.fixture(scope="module")
def sample(assets) -> Path:
    folder = assets / "ict_facekit_raw_sample"
    if not folder.is_dir():
        pytest.skip("the sample of ICT-FaceKit's OBJ files is not there")
    return folder


def obj(sample: Path, name: str) -> str:
    return gzip.decompress((sample / f"{name}.obj.gz").read_bytes()).decode()


def test_the_packer_reads_the_original_files_bit_for_bit(sample, assets):
    text = obj(sample, "generic_neutral_mesh")
    neutral, topology = ict_facekit.read_vertices(text), ict_facekit.read_topology(text)
    with np.load(assets / "ict_facekit_light.npz") as packed:
        assert np.array_equal(neutral.astype(np.float32), packed["neutral"])
        for name in ("faces", "uv_faces", "uv", "face_material"):
            assert np.array_equal(getattr(topology, name), packed[name]), name
            assert getattr(topology, name).dtype == packed[name].dtype
        assert topology.materials == tuple(packed["materials"])
        assert ict_facekit.EXPRESSION_NAMES == tuple(packed["expression_names"])
        identity = (ict_facekit.read_vertices(obj(sample, "identity000")) - neutral).astype(np.float16)
        assert np.array_equal(identity, packed["identities"][0])
        for name in ("jawOpen", "mouthSmile_L"):
            difference = (ict_facekit.read_vertices(obj(sample, name)) - neutral).astype(np.float16)
            assert np.array_equal(difference, packed["expressions"][ict_facekit.EXPRESSION_NAMES.index(name)])


TINY = """# a comment
mtllib x.mtl
{}vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl M_A
f 1/1 2/2 3/3 4/4
usemtl M_B
f 1/1 2/2 3/3
"""


@pytest.fixture
def tiny_model(tmp_path) -> Path:
    """A whole model of four vertices: vertex 0 of the n-th mesh lies at x = n / 4."""
    folder = tmp_path / "ICT-FaceKit" / "FaceXModel"
    folder.mkdir(parents=True)
    names = (ict_facekit.NEUTRAL_NAME, *ict_facekit.IDENTITY_NAMES, *ict_facekit.EXPRESSION_NAMES)
    for index, name in enumerate(names):
        vertices = f"v {index / 4} 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
        (folder / f"{name}.obj").write_text(TINY.format(vertices))
    return folder


@pytest.mark.parametrize("form", ["folder", "folder above", "archive"])
def test_the_packer_takes_a_whole_model(tiny_model, tmp_path, form):
    source = {"folder": tiny_model, "folder above": tiny_model.parent}.get(form)
    if source is None:
        source = tmp_path / "source.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in tiny_model.iterdir():
                archive.write(path, f"ICT-FaceKit-abc/FaceXModel/{path.name}")
    with np.load(ict_facekit.pack(source, tmp_path / "out.npz"), allow_pickle=False) as table:
        assert table["identities"].dtype == np.float16 and table["identities"].shape == (100, 4, 3)
        assert np.array_equal(table["identities"][:, 0, 0], np.arange(1, 101) / 4)
        assert np.array_equal(table["expressions"][:, 0, 0], np.arange(101, 158) / 4)
        assert table["faces"].tolist() == [[0, 1, 2, 3], [0, 1, 2, -1]]
        assert table["face_material"].tolist() == [0, 1] and table["materials"].tolist() == ["M_A", "M_B"]


def test_the_packer_names_what_is_missing_or_wrong(tiny_model, tmp_path):
    out = tmp_path / "out.npz"
    (tiny_model / "jawOpen.obj").write_text("v 0 0 0\n")
    with pytest.raises(InputError, match="jawOpen.obj has 1 vertices, but"):
        ict_facekit.pack(tiny_model, out)
    (tiny_model / "jawOpen.obj").unlink()
    with pytest.raises(InputError, match="lacks 1 of .* jawOpen.obj"):
        ict_facekit.pack(tiny_model, out)
    with pytest.raises(InputError, match="neither a folder nor"):
        ict_facekit.pack(tmp_path / "nowhere", out)
    assert not out.exists()


def test_another_version_of_the_model_is_refused(tiny_model, tmp_path):
    with pytest.raises(InputError, match="another version of ICT-FaceKit"):
        registry.pack_ict_facekit(tiny_model, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_the_face_model_is_downloaded_as_an_archive_and_packed(tiny_model, places, server, tmp_path, monkeypatch):
    folder, address = server
    shutil.make_archive(str(folder / "model"), "zip", tiny_model.parent)
    expected = ict_facekit.arrays_sha256(ict_facekit.pack(tiny_model, tmp_path / "reference.npz"))
    wanted = registry.ASSETS["ict_facekit"]
    for digest in (expected, "0" * 64):
        file = replace(wanted.files[0], arrays_sha256=digest)
        monkeypatch.setitem(registry.ASSETS, "ict_facekit", replace(wanted, files=(file,), url=f"{address}/model.zip"))
        if digest == expected:
            path = registry.find("ict_facekit")
            assert list(places[2].iterdir()) == [path], "the archive is not kept"
            path.unlink()
        else:
            with pytest.raises(MachineError, match="another version"):
                registry.find("ict_facekit")
            assert not list(places[2].iterdir())


def test_the_digest_of_arrays_sees_values_and_not_their_packing(tmp_path):
    values = {"a": np.float32([0.0, 1.0]), "b": np.array(["x"])}
    np.savez(tmp_path / "plain.npz", **values)
    np.savez_compressed(tmp_path / "packed.npz", **dict(reversed(values.items())))
    np.savez(tmp_path / "minus.npz", **values | {"a": np.float32([-0.0, 1.0])})
    np.savez(tmp_path / "other.npz", **values | {"a": np.float32([0.0, 1.0000001])})
    plain, packed, minus, other = (
        ict_facekit.arrays_sha256(tmp_path / f"{name}.npz") for name in ("plain", "packed", "minus", "other")
    )
    assert plain == packed == minus != other
    (tmp_path / "broken.npz").write_bytes((tmp_path / "plain.npz").read_bytes()[:300])
    with pytest.raises(InputError, match="not a readable .npz"):
        ict_facekit.arrays_sha256(tmp_path / "broken.npz")
