"""What `speak --motion-out` writes, `render --motion` shows again: through the command line, picture by picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aednerf import cli
from aednerf.avatar.avatar import Avatar
from aednerf.avatar.bundle import save_bundle
from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.media.audio import load_audio, write_wav
from aednerf.media.image import read_image
from aednerf.media.video import decode_frames
from aednerf.motion.channels import JAW_OPEN
from aednerf.motion.files import load_motion
from aednerf.synthetic import shipped
from test_avatar_load import make, pack

MOST_MEAN_DIFFERENCE = 1 / 255


@pytest.fixture(scope="module", params=["small", "shipped"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained avatar with a residual code, and the one that comes with the program."""
    if request.param == "small":
        made, person, voice = make()
        with torch.no_grad():  # so that expressions show, and the head sways
            person.head.condition.weight.mul_(30)
            voice.stats.idle[:, :3] = 0.1 * np.sin(np.arange(100) / 5)[:, None]
        made = replace(made, tensors=pack(person, voice))
        return save_bundle(tmp_path_factory.mktemp("avatar") / "me.aednerf", made)
    path = shipped.shipped(shipped.AVATAR_NAME)
    try:
        Avatar.load(path, "cpu")
    except InputError as error:  # tests/test_synthetic_shipped.py is what insists on it
        pytest.skip(f"the shipped avatar does not load: {error}")
    return path


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of speech, a little more than its whole frames."""
    path = tmp_path_factory.mktemp("sound") / "second.wav"
    sentence = load_audio(shipped.shipped(shipped.SENTENCE_NAME))
    write_wav(path, sentence[SAMPLE_RATE_HZ // 2 : SAMPLE_RATE_HZ * 3 // 2 + 100])
    return path


def pictures(folder: Path) -> np.ndarray:
    """Return the pictures of a folder of PNGs, [T, H, W, C]."""
    return np.stack([read_image(path) for path in sorted(folder.glob("*.png"))])


def run(*words: object) -> None:
    assert cli.run([str(word) for word in words]) == 0


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_motion_file_shows_the_speech_again(bundle: Path, second: Path, tmp_path: Path, suffix: str) -> None:
    motion, common = tmp_path / f"m{suffix}", ("--size", 64, "--camera", "yaw=10", "--background", "#204060")
    said = ("--audio", second, "--emotion", "happy:0.7,sad:0.3", "--motion-out", motion, "--seed", 3)
    run("speak", bundle, *said, "-o", tmp_path / "spoken", *common)
    run("render", bundle, "--motion", motion, "-o", tmp_path / "shown", *common)
    spoken, shown = pictures(tmp_path / "spoken"), pictures(tmp_path / "shown")
    assert spoken.shape == shown.shape and len(spoken) == 25
    assert np.abs(np.diff(spoken.astype(int), axis=0)).max() > 2  # else there is nothing to compare
    if suffix == ".npz":
        assert np.array_equal(spoken, shown)
    else:
        assert np.abs(spoken.astype(float) - shown).mean() / 255 <= MOST_MEAN_DIFFERENCE
        assert np.abs(spoken.astype(int) - shown).max() <= 2  # a rounded angle may tip a value, not more


def test_the_videos_pictures_are_the_same_too(bundle: Path, second: Path, tmp_path: Path) -> None:
    run("speak", bundle, "--audio", second, "--motion-out", tmp_path / "m.npz", "-o", tmp_path / "a.mp4", "--size", 64)
    run("render", bundle, "--motion", tmp_path / "m.npz", "-o", tmp_path / "b.mp4", "--size", 64)
    a, b = (np.stack(list(decode_frames(tmp_path / name))) for name in ("a.mp4", "b.mp4"))
    difference = np.abs(a.astype(int) - b)  # two runs may round a pixel otherwise, of which H.264 makes a block
    assert a.shape == b.shape and difference.max() <= 4 and difference.mean() < 0.05


def test_a_wrong_name_of_the_motion_is_told_before_anything_is_rendered(
    second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["speak", "nowhere", "--audio", str(second), "-o", str(tmp_path / "o.mp4"), "--motion-out", "m.txt"]
    assert cli.run(words) == 2
    assert "ends in .npz or .csv, got 'm.txt'" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_an_edited_expression_is_in_the_motion_file(bundle: Path, second: Path, tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text('{"mask": ["jawOpen"], "offset": {"jawOpen": 0.25}}')
    said = ("--audio", second, "--expression", tmp_path / "edit.json", "--motion-out", tmp_path / "m.npz")
    run("speak", bundle, *said, "-o", tmp_path / "spoken", "--size", 64)
    run("render", bundle, "--motion", tmp_path / "m.npz", "-o", tmp_path / "shown", "--size", 64)
    assert np.array_equal(pictures(tmp_path / "spoken"), pictures(tmp_path / "shown"))
    assert np.allclose(load_motion(tmp_path / "m.npz").expression[:, JAW_OPEN], 0.25)
