"""capture.json keeps what it is given, and refuses what contradicts itself."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aednerf.capture.manifest import ClipRecord, Crop, Manifest, Measured, Source, clip_names, train_end
from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS

finite = st.floats(-1e6, 1e6, allow_nan=False)
sizes = st.floats(1.0, 1e6)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    clips, first = [], 0
    for index in range(draw(st.integers(1, 4))):
        end = first + draw(st.integers(1, 5000))
        name = f"clip-{index}"
        cuts = sorted(draw(st.sets(st.integers(first + 1, end - 1), max_size=3))) if end - first > 1 else []
        clips.append(
            ClipRecord(
                name=name, first=first, end=end, emotion=draw(st.sampled_from(EMOTIONS)),
                intensity=draw(st.floats(0, 1)), audio=draw(st.sampled_from([None, f"audio/{name}.wav"])),
                crop=Crop(draw(finite), draw(finite), draw(sizes)), focal_px=draw(sizes), cx=draw(finite),
                cy=draw(finite), source=Source(draw(st.text()), "0" * 64, draw(st.text()), fps=draw(sizes)),
                cuts=tuple(cuts), n_others=draw(st.integers(0, 3)),
                measured=Measured(draw(st.none() | finite), flags=tuple(draw(st.lists(st.text(), max_size=2)))),
            )
        )  # fmt: skip
        first = end
    return Manifest(2 * draw(st.integers(1, 1024)), tuple(clips), {"frames.mp4": 5}, draw(st.text()), {"face": "1"}, {})


@settings(deadline=None, max_examples=30)
@given(manifests())
def test_what_is_saved_is_loaded(manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        manifest.save(folder)
        assert Manifest.load(folder) == manifest


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_split_is_the_whole_part_of_ten_elevenths(first: int, n: int) -> None:
    assert train_end(first, first + n) - first == int(n * 10 / 11)


def test_clip_names_are_plain_and_unlike() -> None:
    paths = [Path("a/Me.mp4"), Path("b/me.mp4"), Path("c/../../x y?.mp4"), Path(".mp4"), Path("ü.mov")]
    names = clip_names(paths)
    assert names == ["Me", "me-2", "x_y_", "mp4", "ü"]


def plain() -> Manifest:
    source = Source("a.mp4", "0" * 64)
    clip = ClipRecord("a", 0, 10, "happy", 1.0, None, Crop(0, 0, 64), 100.0, 32.0, 32.0, source)
    return Manifest(64, (clip, replace(clip, name="b", first=10, end=20)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.update(schema=99), "schema 99"),
        (lambda m: m.update(size=63), "even"),
        (lambda m: m.update(clips=[]), "no clips"),
        (lambda m: m["clips"][1].update(first=11), "expected [10"),
        (lambda m: m["clips"][0].update(end=True), "whole number"),
        (lambda m: m["clips"][0].update(name="../../etc/x"), "plain name"),
        (lambda m: m["clips"][1].update(name="a"), "same name"),
        (lambda m: m["clips"][0].update(audio="/etc/passwd"), "audio"),
        (lambda m: m["clips"][0].update(emotion="glad"), "glad"),
        (lambda m: m["clips"][0].update(intensity=1.5), "[0, 1]"),
        (lambda m: m["clips"][0].update(focal_px=0), "camera"),
        (lambda m: m["clips"][0].pop("crop"), "'crop' is missing"),
        (lambda m: m.pop("files"), "'files' is missing"),
    ],
)
def test_contradictions_are_told_in_one_line(tmp_path: Path, change: object, told: str) -> None:
    plain().save(tmp_path)
    value = json.loads((tmp_path / "capture.json").read_text())
    change(value)  # type: ignore[operator]
    (tmp_path / "capture.json").write_text(json.dumps(value))
    with pytest.raises(InputError) as error:
        Manifest.load(tmp_path)
    assert told in str(error.value) and "capture.json" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_manifest_is_no_capture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished capture"):
        Manifest.load(tmp_path)
