"""Depth and normals: those of a known ball, from every camera, and their files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.camera import View
from aednerf.avatar.layers import encode, parse_layers
from aednerf.core.errors import InputError
from aednerf.core.records import Camera, Motion
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.render.model import AvatarModel
from aednerf.render.surface import depth, normal
from fake_avatar import MEAN_POSITION, N_RESIDUAL, FakePerson, fake_bundle

CAMERA = Camera(300.0, 51.0, 47.0, 96, 96)
CENTRE_M, RADIUS_M = np.array([0.03, 0.02, 0.0]), 0.08


class Ball(nn.Module):
    """A head field that is a dense ball."""

    def prepare(self, expression: torch.Tensor, residual: torch.Tensor, turn: torch.Tensor) -> None:
        pass

    def forward(self, points: torch.Tensor, state: None) -> tuple[torch.Tensor, torch.Tensor]:
        away = (points * HEAD_BOX_HALF_M - torch.tensor(CENTRE_M, dtype=torch.float32)).norm(dim=-1)
        return (away < RADIUS_M) * 200.0, torch.ones_like(points)


def ball_model() -> AvatarModel:
    model = AvatarModel(FieldConfig(step_m=0.004))
    model.head.grid.table = nn.Parameter(torch.zeros(1))
    grid, model.head = model.head.grid, Ball()  # type: ignore[assignment]
    model.head.grid = grid
    model.occupancy.set_bits(torch.ones(128, 128, 128, dtype=torch.bool))
    return model


def seen(view: np.ndarray | None, camera: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the true depth and normal of the ball where the camera sees it, and the alpha; by ray and sphere."""
    centre = MEAN_POSITION + CENTRE_M
    if view is not None:
        centre = view[:, :3] @ centre + view[:, 3]
    x, y = np.arange(camera.width) + 0.5, np.arange(camera.height)[:, None] + 0.5
    ray = np.stack(np.broadcast_arrays((x - camera.cx) / camera.focal_px, (camera.cy - y) / camera.focal_px, -1.0), -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    along = ray @ centre
    inside = along**2 - centre @ centre + RADIUS_M**2
    place = ray * (along - np.sqrt(np.maximum(inside, 0)))[..., None]
    return -place[..., 2], (place - centre) / RADIUS_M, inside > 0


@pytest.mark.parametrize("view", [None, View(25, -10, 5).transform(MEAN_POSITION)], ids=["front", "aside"])
def test_depth_and_normals_of_a_ball(view: np.ndarray | None) -> None:
    found = ball_model().surface(np.eye(3), MEAN_POSITION, np.zeros(52), np.zeros(32), CAMERA, view=view)
    true_depth, true_normal, is_seen = seen(view)
    inner = cv2.erode(is_seen.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    outer = cv2.dilate(is_seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    far, way = depth(found).numpy(), normal(found).numpy()
    assert inner.sum() > 1000 and not far[~outer].any() and not way[~outer].any()
    assert np.abs(far - true_depth)[inner].max() < 0.001  # 0.8 mm between samples
    angle = np.degrees(np.arccos(np.clip((way * true_normal).sum(-1), -1, 1)))[inner]
    assert np.median(angle) < 4 and np.percentile(angle, 95) < 12
    assert np.allclose(np.linalg.norm(way[inner], axis=-1), 1, atol=1e-4)


def test_a_step_in_depth_is_no_slope() -> None:
    place = torch.zeros(8, 16, 4)
    place[..., 0], place[..., 1] = torch.arange(16) * 0.001, -torch.arange(8)[:, None] * 0.001
    place[..., 2], place[..., 3] = -1.0, 1.0
    place[:, 8:, 2] = -1.05
    way = normal(place)
    assert torch.allclose(way[:, [2, 4, 11, 13]], torch.tensor([0.0, 0.0, 1.0]), atol=1e-4)


def still(n: int) -> Motion:
    expression, residual = np.zeros((n, 52), np.float32), np.zeros((n, N_RESIDUAL), np.float32)
    return Motion(expression, residual, np.tile(np.eye(3, dtype=np.float32), (n, 1, 1)), np.tile(MEAN_POSITION, (n, 1)))


def person() -> Avatar:
    return Avatar(fake_bundle(64), FakePerson(), None)


def test_layers_lie_beside_the_output(tmp_path: Path) -> None:
    shown = person().render(still(3), "yaw=5", stereo_mm=63, size=96, aov="depth,normal")
    shown.save(tmp_path / "hello.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello-depth", "hello-normal", "hello.mp4"]
    deep = cv2.imread(str(tmp_path / "hello-depth" / "000002.png"), cv2.IMREAD_UNCHANGED)
    assert deep is not None and deep.dtype == np.uint16 and deep.shape == (96, 192)
    assert set(np.unique(deep)) == {0, 1100}
    way = cv2.imread(str(tmp_path / "hello-normal" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert way is not None and way.shape == (96, 192, 3)
    assert way[48, 48].tolist() == [255, 128, 128] and way[0, 0].tolist() == [128, 128, 128]  # BGR
    record = json.loads((tmp_path / "hello-depth" / "frames.json").read_text())
    assert record["n_frames"] == 3 and "millimetres" in record["meaning"] and "synthetic" in record["synthetic"]
    with pytest.raises(InputError, match="hello-depth exists"):
        person().render(still(1), aov="depth").save(tmp_path / "hello.webm")
    person().render(still(1), aov="depth").save(tmp_path / "hello.mp4", force=True)
    assert sorted(path.name for path in (tmp_path / "hello-depth").iterdir()) == ["000000.png", "frames.json"]


def test_frames_carry_what_was_asked_for() -> None:
    frame = next(person().render(still(1), aov=["depth"]).frames())
    assert list(frame.layers) == ["depth"] and frame.layers["depth"].max() == pytest.approx(1.1)
    assert not next(person().render(still(1)).frames()).layers
    with pytest.raises(InputError, match="Unknown layer 'z'. Expected one or more of: depth, normal"):
        person().render(still(1), aov="depth,z")
    assert parse_layers("normal, depth,normal") == ("normal", "depth")


def test_a_failing_speech_leaves_no_layers(tmp_path: Path) -> None:
    (tmp_path / "hello-depth").mkdir()
    (tmp_path / "hello-depth" / "mine.txt").write_text("dear")
    with pytest.raises(InputError, match="something other"):
        person().render(still(1), aov="depth").save(tmp_path / "hello.mp4", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["hello-depth"]


def test_far_places_do_not_wrap_around() -> None:
    assert encode("depth", np.array([[0.0, 0.97123, 100.0]], np.float32)).tolist() == [[0, 971, 65535]]
