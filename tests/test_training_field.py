"""The field's training: it learns, it is written whole, and it goes on after being killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.field.config import FieldConfig
from aednerf.render.model import AvatarModel
from aednerf.training import losses
from aednerf.training.checkpoint import Progressed, load_checkpoint, save_checkpoint
from aednerf.training.config import PRESETS, LearningRates, Preset, RayBatch, preset_named
from aednerf.training.field import fit_field
from aednerf.training.frame_store import HEAD, HEAD_EDGE, HEAD_OVER_NECK, TORSO_SIDE, load_frames
from aednerf.training.optimizer import make_optimizer, sample_scale
from aednerf.training.ray_sampling import head_slice, mouth_slice, sample_pixels
from tiny_capture import make_tiny_capture

CPU = torch.device("cpu")
TINY = Preset(
    name="tiny",
    n_steps=120,
    max_size=64,
    field=FieldConfig(
        n_levels=4, base=8, finest=48, log2_entries=12, width=16, n_basis=6, warp_resolution=8, mouth_resolution=8,

        warp_steps=1, occupancy_resolution=32, step_m=0.008, torso_levels=4, torso_finest=64, torso_log2_entries=10,
        torso_width=16,
    ),
    batch=RayBatch(n_frames=2, n_head=64, mouth_patch_px=8, n_eyes=16, n_picture=48, n_slots=12),
    rate=LearningRates(head_grid=3e-2, head_mlp=1e-2, torso_grid=3e-2, torso_mlp=5e-3),
    occupancy_every=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    pytest.importorskip("av")  # writes the capture's videos
    return make_tiny_capture(tmp_path_factory.mktemp("training") / "capture", size=64, n_frames=33)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_training_learns_the_person(capture: Capture, tmp_path: Path) -> None:
    notes: list[str] = []
    preset = replace(TINY, n_steps=250)
    checkpoint = tmp_path / "field.safetensors"
    model, record = fit_field(capture, preset, CPU, 1, checkpoint, {}, lambda *args: notes.append(args[0]))
    assert {"loading frames", "training"} <= set(notes)
    assert record["training_frames"] == len(capture.train_frames)
    frame = int(capture.test_frames[0])
    motion, image = capture.motion(slice(frame, frame + 1)), next(capture.images(frame, frame + 1))
    rgba = model.render(
        motion.rotation[0], motion.translation[0], motion.expression[0], motion.residual[0], capture.camera(0)
    ).numpy()
    plate = capture.plate(0).astype(np.float32) / 255
    picture = rgba[..., :3] + (1 - rgba[..., 3:]) * plate
    error = float(np.square(picture - image / 255.0).mean())
    empty = float(np.square(plate - image / 255.0).mean())
    assert -10 * np.log10(error) > 20.0
    assert error < empty / 3
    matte = next(capture.mattes(frame, frame + 1)) / 255.0
    assert float(rgba[..., 3][matte > 0.99].mean()) > 0.8
    assert float(rgba[..., 3][matte < 0.01].mean()) < 0.15


def test_a_killed_training_goes_on_and_finishes(capture: Capture, tmp_path: Path) -> None:
    checkpoint = tmp_path / "field.safetensors"
    program = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "import aednerf.training.field as field\n"
        "from aednerf.capture.capture import Capture\n"
        "from test_training_field import TINY\n"
        "field._CHECKPOINT_EVERY_S = 0.0\n"
        "field._REPORT_EVERY = 5\n"
        "field.fit_field(Capture.open(sys.argv[2]), TINY, torch.device('cpu'), 0, Path(sys.argv[3]), {'seed': 0})\n"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", program, str(here), str(capture.path), str(checkpoint)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(random.uniform(0.0, 0.6))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with safe_open(checkpoint, framework="pt") as file:  # whole, whenever the kill came
        begun = json.loads(file.metadata()["aednerf"])["step"]
    assert 0 < begun < TINY.n_steps
    steps: list[int] = []

    def watch(step: str, done: int, total: int, note: str = "") -> None:
        if step == "training":
            steps.append(done)

    fit_field(capture, TINY, CPU, 0, checkpoint, {"seed": 0}, watch)
    assert steps[0] == begun
    assert steps[-1] == TINY.n_steps


def test_a_checkpoint_restores_weights_moments_and_step(tmp_path: Path) -> None:
    def fresh(seed: int) -> tuple[AvatarModel, torch.optim.Adam]:
        torch.manual_seed(seed)
        model = AvatarModel(TINY.field)
        return model, make_optimizer(model, TINY.rate)

    model, optimizer = fresh(0)
    sum((parameter * torch.randn_like(parameter)).sum() for parameter in model.parameters()).backward()
    optimizer.step()
    model.occupancy.carve(torch.rand(32**3) < 0.5)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model, optimizer, Progressed(7, 1.5), {"preset": {"n": 1}})
    other, other_optimizer = fresh(1)
    assert load_checkpoint(path, other, other_optimizer, {"preset": {"n": 1}}) == (7, 1.5)
    for (name, ours), (_, theirs) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        for key, value in optimizer.state[ours].items():
            assert torch.equal(value, other_optimizer.state[theirs][key]), (name, key)
    assert torch.equal(model.occupancy.may_hold, other.occupancy.may_hold)
    with pytest.raises(InputError, match="another preset"):
        load_checkpoint(path, other, other_optimizer, {"preset": {"n": 2}})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="no usable checkpoint"):
        load_checkpoint(path, other, other_optimizer, {"preset": {"n": 1}})


def test_frames_are_labelled_for_what_they_tell(capture: Capture) -> None:
    frames = load_frames(capture, 64, CPU, 1 << 30)
    assert frames.n_frames == len(capture.train_frames)
    parts = np.stack(list(capture.parts()))[capture.train_frames]
    regions = frames.regions.numpy()
    assert (parts[regions == HEAD] == 1).all()
    assert (parts[regions == HEAD_OVER_NECK] == 1).all()
    assert (parts[regions == TORSO_SIDE] != 1).all()
    assert 0 < (regions == HEAD_EDGE).mean() < 0.1
    left, top, right, bottom = frames.boxes[0, 0].tolist()
    rows, columns = np.nonzero(parts[0] == 1)
    assert left <= columns.min() and right >= columns.max() and top <= rows.min() and bottom >= rows.max()


def test_frames_are_thinned_out_to_a_budget(capture: Capture) -> None:
    frames = load_frames(capture, 64, CPU, 10 * 64 * 64 * 5)
    assert frames.n_frames == 10
    smaller = load_frames(capture, 32, CPU, 1 << 30)
    assert smaller.size == 32
    torch.testing.assert_close(smaller.intrinsics * 2, load_frames(capture, 64, CPU, 1 << 30).intrinsics)


def test_pixels_lie_in_their_boxes() -> None:
    batch = RayBatch(n_frames=1, n_head=50, mouth_patch_px=6, n_eyes=20, n_picture=30, n_slots=1)
    boxes = torch.tensor([[[10.0, 12, 50, 60], [24, 40, 36, 44], [20, 20, 26, 24], [36, 20, 42, 24]]])
    pixels = sample_pixels(boxes, 64, batch)[0]
    assert pixels.shape == (batch.n_rays, 2)
    head, mouth, eyes = pixels[:50], pixels[mouth_slice(batch)], pixels[86:106]
    assert (head[:, 0] >= 10).all() and (head[:, 0] < 50).all() and (head[:, 1] >= 12).all() and (head[:, 1] < 60).all()
    square = mouth.view(6, 6, 2)
    assert (square[:, 1:, 0] - square[:, :-1, 0] == 1).all() and (square[1:, :, 1] - square[:-1, :, 1] == 1).all()
    assert 24 <= int(square[0, 0, 0]) <= 30 and int(square[0, 0, 1]) == 40  # lower than it is high: it hangs over
    assert (eyes[:10, 0] < 26).all() and (eyes[10:, 0] >= 36).all()


def test_the_heads_squares_lie_in_its_box() -> None:
    batch = RayBatch(n_frames=1, n_head=64, head_patch_px=4, mouth_patch_px=6, n_eyes=2, n_picture=2, n_slots=1)
    boxes = torch.tensor([[[10.0, 12, 20, 60], [24, 40, 36, 44], [20, 20, 26, 24], [36, 20, 42, 24]]])
    squares = sample_pixels(boxes, 64, batch)[0, head_slice(batch)].view(4, 4, 4, 2)
    assert (squares[:, :, 1:, 0] - squares[:, :, :-1, 0] == 1).all()
    assert (squares[:, 1:, :, 1] - squares[:, :-1, :, 1] == 1).all()
    assert (squares >= torch.tensor([10, 12])).all() and (squares < torch.tensor([20, 60])).all()
    assert len(squares[:, 0, 0].unique(dim=0)) > 1
    with pytest.raises(InputError, match="multiple of 16"):
        replace(batch, n_head=50)


def test_detail_is_the_gradient_energy_of_what_counts() -> None:
    torch.manual_seed(0)
    truth = torch.rand(3, 8, 8, 3)
    inside = torch.ones(3, 8, 8, dtype=torch.bool)
    assert float(losses.detail_loss(truth, truth, inside)) == 0.0
    half = 0.5 + 0.5 * (truth - 0.5)
    assert float(losses.detail_loss(half, truth, inside)) == pytest.approx(0.75**2, rel=1e-2)
    assert float(losses.detail_loss(half + 0.2, truth, inside)) == pytest.approx(0.75**2, rel=1e-2)
    inside[:, :, 4:] = False
    elsewhere = truth.clone()
    elsewhere[:, :, 4:] = 0.0
    assert float(losses.detail_loss(elsewhere, truth, inside)) == 0.0
    assert float(losses.detail_loss(half, truth, torch.zeros_like(inside))) == 0.0


def test_losses_have_their_known_values() -> None:
    picture = torch.rand(2, 12, 12, 3)
    assert float(losses.structure_loss(picture, picture)) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.structure_loss(picture, 1 - picture)) > 0.5
    alpha, matte = torch.tensor([[1.0, 1.0, 0.5, 1.0]]), torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    region = torch.tensor([[HEAD, TORSO_SIDE, HEAD_EDGE, HEAD_OVER_NECK]])
    assert float(losses.head_alpha_loss(alpha, matte, region)) == pytest.approx(0.25)
    assert float(losses.behind_jaw_loss(torch.zeros(1, 4), matte, region)) == pytest.approx(0.25)


def test_presets_are_consistent() -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert FieldConfig.from_dict(preset.field.to_dict()) == preset.field
        json.dumps(preset.to_dict())
        scales = [sample_scale(preset, step) for step in range(preset.n_steps)]
        assert scales == sorted(scales, reverse=True) and scales[-1] == 1.0
    with pytest.raises(InputError, match="smoke, fast, full"):
        preset_named("slow")
    assert PRESETS["smoke"].field.n_levels < 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_training_learns_on_a_gpu(capture: Capture, tmp_path: Path) -> None:
    preset = replace(PRESETS["fast"], n_steps=600, max_size=64)
    _, record = fit_field(capture, preset, torch.device("cuda"), 0, tmp_path / "field.safetensors", {})
    assert record["ray_psnr_db"] > 24.0
