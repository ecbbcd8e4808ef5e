"""An avatar of the real classes goes through its bundle, and a bundle that contradicts itself is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import aednerf
from aednerf.avatar.avatar import Avatar
from aednerf.avatar.bundle import Bundle, save_bundle
from aednerf.avatar.restore import pick_device
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.field.config import FieldConfig
from aednerf.motion.channels import IDLE_COLUMNS
from aednerf.motion.generate import MotionGenerator, make_mouth
from aednerf.motion.network import MotionConfig, MotionNetwork
from aednerf.motion.statistics import N_POSE, MotionStats
from aednerf.render.model import AvatarModel
from fake_avatar import MEAN_POSITION, fake_bundle

K = 4
SMALL = FieldConfig(
    n_levels=3, finest=32, log2_entries=10, width=16, n_residual=K, n_basis=2, warp_resolution=4, mouth_resolution=4,

    occupancy_resolution=16, step_m=0.02, torso_levels=2, torso_finest=32, torso_log2_entries=8, torso_width=8,
)  # fmt: skip


def statistics() -> MotionStats:
    rng = np.random.default_rng(0)
    idle = np.zeros((100, N_POSE + len(IDLE_COLUMNS)), np.float32)
    idle[:, 3:6] = MEAN_POSITION
    idle[:, 6:] = rng.uniform(0, 0.1, (100, len(IDLE_COLUMNS)))
    n = len(ARKIT_NAMES) + K
    return MotionStats(
        rest=np.zeros(n, np.float32), low=-np.ones(n, np.float32), high=np.ones(n, np.float32),
        emotion_offset=np.zeros((len(EMOTIONS), len(ARKIT_NAMES)), np.float32),
        mean_rotation=np.eye(3, dtype=np.float32),
        mean_translation=MEAN_POSITION, idle=idle, idle_starts=np.zeros(1, np.int32),
        blink=np.array([15, 1, 1], np.float32),
    )  # fmt: skip


def pack(person: AvatarModel, voice: MotionGenerator | None) -> dict[str, torch.Tensor]:
    tensors = {f"field.{name}": value for name, value in person.state_dict().items()}
    if voice is not None:
        assert isinstance(voice.mouth, MotionNetwork)
        tensors |= {f"motion.{name}": value for name, value in voice.mouth.state_dict().items()}
        tensors |= {f"stats.{name}": torch.from_numpy(value) for name, value in voice.stats.to_arrays().items()}
    return tensors


def make() -> tuple[Bundle, AvatarModel, MotionGenerator]:
    torch.manual_seed(0)
    config = MotionConfig(n_residual=K, n_mouth_residual=2, n_hidden=16)
    voice = MotionGenerator(make_mouth(config), statistics())
    assert isinstance(voice.mouth, MotionNetwork)
    for parameter in voice.mouth.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    person = AvatarModel(SMALL).eval()
    person.occupancy.bits.fill_(True)
    bundle = replace(
        fake_bundle(), field_config=SMALL.to_dict(), motion_config=asdict(config), tensors=pack(person, voice)
    )
    return bundle, person, voice


def sound() -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.3, 0.3, 8000).astype(np.float32)


@pytest.mark.parametrize("name", ["me", "me.aednerf"])
def test_a_loaded_avatar_speaks_as_the_saved_one(tmp_path: Path, name: str) -> None:
    bundle, person, voice = make()
    loaded = aednerf.Avatar.load(save_bundle(tmp_path / name, bundle), device="cpu")
    saved = Avatar(bundle, person, voice)
    assert loaded.path == tmp_path / name and loaded.n_residual == K
    ours, theirs = saved.speak(sound(), emotion="happy"), loaded.speak(sound(), emotion="happy")
    assert np.abs(ours.motion.expression - theirs.motion.expression).max() < 1e-3
    assert ours.motion.expression.std(0).max() > 1e-3
    frames = list(zip(ours.frames(), theirs.frames(), strict=True))
    assert len(frames) == 13 and frames[0][0].rgba.shape == (32, 32, 4)
    assert max(np.abs(a.rgba.astype(int) - b.rgba).max() for a, b in frames) <= 4
    assert all(not parameter.requires_grad for parameter in loaded.model.parameters())  # type: ignore[attr-defined]


def test_an_avatar_without_a_voice_loads(tmp_path: Path) -> None:
    bundle, person, _ = make()
    silent = replace(bundle, motion_config=None, tensors=pack(person, None))
    assert Avatar.load(save_bundle(tmp_path / "me", silent), "cpu").voice is None


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("field", {"width": 32}, "its settings ask for"), ("field", {"log2_entries": 99}, "log2_entries must lie in"),
        ("field", {"exec": "rm"}, "Unknown field setting"), ("field", {"n_residual": 5}, "its settings ask for"),
        ("motion", {"n_hidden": 10**12}, "n_hidden must lie in"), ("motion", {"n_hidden": 1024}, "settings ask for"),
        ("motion", {"n_residual": 3}, "settings ask for"), ("motion", {"evil": 1}, "unknown name"),
        ("motion", {"n_features": 80}, "does not give 80"), ("motion", {"encoder": "x"}, "Unknown speech encoder"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, section: str, change: dict, message: str) -> None:
    folder = save_bundle(tmp_path / "me", make()[0])
    record = json.loads((folder / "avatar.json").read_text())
    record[section].update(change)
    (folder / "avatar.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=message) as caught:
        Avatar.load(folder, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [torch.zeros(()), torch.zeros(3), None])
def test_broken_statistics_are_refused(tmp_path: Path, value: torch.Tensor | None) -> None:
    bundle, *_ = make()
    tensors = {**bundle.tensors, "stats.rest": value} if value is not None else dict(bundle.tensors)
    if value is None:
        del tensors["stats.rest"]
    folder = save_bundle(tmp_path / "me", replace(bundle, tensors=tensors))
    with pytest.raises(InputError):
        Avatar.load(folder, "cpu")


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="Unknown device 'tpu'"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        assert pick_device("auto").type == "cpu"
        with pytest.raises(InputError, match="no GPU"):
            pick_device("cuda")
