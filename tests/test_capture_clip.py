"""`VIDEO:EMOTION:INTENSITY` is read so that no path is taken apart by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aednerf.capture.clip import Clip, as_clip, parse_clip, require_clip
from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS

# Paths of any text; what `Path` writes in another way (`a//b`, `./a`) would only test `Path`.
paths = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).filter(lambda text: text != ".")
unlabelled = paths.filter(lambda text: not any(f":{label}" in text for label in EMOTIONS))


@given(unlabelled)
def test_a_path_without_a_label_is_taken_whole(path):
    assert parse_clip(path) == Clip(path, "neutral", 1.0)


@given(paths, st.sampled_from(EMOTIONS))
def test_a_label_is_taken_off(path, label):
    assert parse_clip(f"{path}:{label}") == Clip(path, label, 1.0)


@given(paths, st.sampled_from(EMOTIONS), st.floats(0, 1))
def test_an_intensity_is_taken_off(path, label, intensity):
    assert parse_clip(f"{path}:{label}:{intensity!r}") == Clip(path, label, intensity)


@given(paths, st.sampled_from(EMOTIONS), st.floats(allow_nan=False, allow_infinity=False))
def test_an_intensity_out_of_range_is_an_error(path, label, intensity):
    if not 0 <= intensity <= 1:
        with pytest.raises(InputError, match="intensity"):
            parse_clip(f"{path}:{label}:{intensity!r}")


@pytest.mark.parametrize(
    "text, path, emotion, intensity",
    [
        (r"C:\me.mp4", r"C:\me.mp4", "neutral", 1.0),
        (r"C:\me.mp4:sad", r"C:\me.mp4", "sad", 1.0),
        (r"C:\me.mp4:sad:0.25", r"C:\me.mp4", "sad", 0.25),
        ("12:30.mp4", "12:30.mp4", "neutral", 1.0),
        ("a.mp4:joyful", "a.mp4:joyful", "neutral", 1.0),
        ("a.mp4:0.5", "a.mp4:0.5", "neutral", 1.0),
        ("a.mp4:happy:much", "a.mp4:happy:much", "neutral", 1.0),
        ("a.mp4:happy:nan", "a.mp4:happy:nan", "neutral", 1.0),
        ("happy", "happy", "neutral", 1.0),
        ("happy:sad", "happy", "sad", 1.0),
    ],
)
def test_examples(text, path, emotion, intensity):
    assert parse_clip(text) == Clip(path, emotion, intensity)


@pytest.mark.parametrize("text", ["", ":happy", ":happy:0.5"])
def test_no_path_is_an_error(text):
    with pytest.raises(InputError, match="names no video"):
        parse_clip(text)


def test_a_clip_checks_itself():
    with pytest.raises(InputError, match="Unknown emotion 'joy'"):
        Clip("a.mp4", "joy")
    with pytest.raises(InputError, match="intensity"):
        Clip("a.mp4", "happy", 1.5)


def test_a_missing_file_is_told_from_a_mistyped_label(tmp_path):
    video = tmp_path / "me.mp4"
    with pytest.raises(InputError, match="me.mp4 does not exist"):
        require_clip(f"{video}:happy")
    video.touch()
    assert require_clip(f"{video}:happy").path == video
    with pytest.raises(InputError, match="Unknown emotion 'hapy'"):
        require_clip(f"{video}:hapy")
    with pytest.raises(InputError, match="is a folder"):
        require_clip(str(tmp_path))


def test_programs_may_give_text_or_paths():
    clip = Clip("a.mp4", "happy", 0.5)
    assert as_clip(clip) is clip
    assert as_clip("a.mp4:happy:0.5") == clip
    assert as_clip(Path("a.mp4:happy")) == Clip("a.mp4:happy")
