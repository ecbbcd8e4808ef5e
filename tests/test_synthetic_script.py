"""Reading scripts: what goes, and one clear line for what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS
from aednerf.synthetic.person import PEOPLE
from aednerf.synthetic.script import Line, load_script, script_names

LINE = '[[line]]\ntext = "Hello."\n'


def script(folder: Path, text: str) -> Path:
    path = folder / "my script.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_and_all_keys(tmp_path):
    short = load_script(script(tmp_path, 'identity = "mara"\n' + LINE))
    assert (short.name, short.size, short.seed, short.views) == ("my_script", 512, 0, True)
    assert short.lines == (Line("Hello."),)
    full = load_script(script(tmp_path, (
        'name = "a"\nidentity = "theo"\nsize = 64\nseed = 4\nviews = false\n[voice]\nname = "en-us+m3"\npitch = 30\n'
        + LINE + 'emotion = "sad"\nintensity = 0.5\npause_s = 1\nlooks_around = true\n'
    )))  # fmt: skip
    assert (full.voice.name, full.voice.pitch, full.views) == ("en-us+m3", 30, False)
    assert full.lines[0] == Line("Hello.", "sad", 0.5, 1.0, looks_around=True)


def test_lines_of_one_emotion_are_one_clip(tmp_path):
    labels = ["happy", "happy", "sad", "happy"]
    text = 'identity = "mara"\n' + "".join(LINE + f'emotion = "{label}"\n' for label in labels)
    assert [len(block) for block in load_script(script(tmp_path, text)).blocks] == [2, 1, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("identity = ", "not valid TOML"),
        (LINE, "lacks 'identity'"),
        ('identity = "mara"\n', "lacks 'line'"),
        ('identity = "mara"\nline = []\n', "no .*line"),
        ('identity = "mara"\nsized = 3\n' + LINE, "unknown key 'sized'"),
        ('identity = "mara"\nsize = 65\n' + LINE, "even number"),
        ('identity = "mara"\nsize = 32\n' + LINE, "from 64 to"),
        ('identity = "mara"\nsize = "big"\n' + LINE, "size must be a whole number"),
        ('identity = "mara"\nseed = true\n' + LINE, "seed must be a whole number"),
        ('identity = "mara"\nname = "../x"\n' + LINE, "name must be"),
        ('identity = "mara"\nvoice = "x"\n' + LINE, "voice must be a table"),
        ('identity = "mara"\n' + LINE + "[voice]\npitch = 100\n", "pitch must be from 0 to 99"),
        ('identity = "mara"\n' + LINE + 'emotion = "glad"\n', "line 1: unknown emotion 'glad'"),
        ('identity = "mara"\n' + LINE + "intensity = 2\n", "intensity must lie in"),
        ('identity = "mara"\n' + LINE + "pause_s = -1\n", "pause_s must be"),
        ('identity = "mara"\n' + LINE + "looks_around = 1\n", "looks_around must be"),
        ('identity = "mara"\n' + LINE + LINE.replace("Hello.", "..."), "line 2 has no text"),
        ('identity = "mara"\n' + LINE.replace("Hello.", "ha " * 300), "at most 600"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        load_script(script(tmp_path, text))


def test_a_missing_script_names_those_that_exist(tmp_path):
    with pytest.raises(InputError, match="demo, mara, theo"):
        load_script(tmp_path / "none.toml")
    with pytest.raises(InputError, match="is a folder"):
        load_script(tmp_path)


def test_the_programs_own_scripts_show_every_emotion():
    assert script_names() == ["demo", "mara", "theo"]
    for name in script_names():
        own = load_script(name)
        assert own.identity in PEOPLE
        assert {line.emotion for line in own.lines} == set(EMOTIONS)
        assert (own.size, own.views) == ((256, False) if name == "demo" else (512, True))
