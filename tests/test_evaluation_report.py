"""The rows of an evaluation on a capture that is known exactly, with a person who is drawn exactly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.records import Camera, Motion
from aednerf.evaluation import protocols
from aednerf.evaluation.evaluate import evaluate
from aednerf.evaluation.protocols import EXPLANATIONS, GENERATED, PEERS, RECONSTRUCTION, TRAIN, WITHOUT_RESIDUAL
from aednerf.evaluation.regions import REGIONS
from aednerf.media.image import read_image
from aednerf.media.video import probe
from aednerf.motion.channels import IDLE_COLUMNS, SPEECH_COLUMNS
from fake_avatar import FakePerson, FakeVoice, fake_bundle
from tiny_capture import RESIDUAL_SIZE, _draw, make_tiny_capture

N_FRAMES = 66  # 60 train, 6 test


class ExactPerson:
    """Draws the tiny capture's person as the capture does; without a residual code the picture is tinted."""

    def __init__(self, tint: float = 0.0) -> None:
        self.config = SimpleNamespace(n_residual=RESIDUAL_SIZE, n_posture=0)
        self.tint = tint
        self.device = torch.device("cpu")

    def code(self, read: np.ndarray) -> np.ndarray:
        return read

    def render(
        self, rotation: np.ndarray, translation: np.ndarray, expression: np.ndarray, residual: np.ndarray,
        camera: Camera, *, view: np.ndarray | None = None, shot: int | None = None, posture: np.ndarray | None = None,
    ) -> torch.Tensor:  # fmt: skip
        black = np.zeros((camera.height, camera.width, 3), np.uint8)
        colour, matte, _ = _draw(expression, rotation, translation, camera, black)
        tint = 0.0 if residual.any() else self.tint
        tinted = np.clip(colour / 255.0 + tint, 0, 1) * (matte > 0)[..., None]
        return torch.from_numpy(np.concatenate([tinted, matte[..., None] / 255.0], -1)).float()


class Finder:
    """Landmarks that depend on the picture: the lips are as wide as the picture's middle is bright."""

    reason = ""

    def find(self, rgb: np.ndarray) -> np.ndarray | None:
        if (rgb[-4:, :, 0] == 255).any():  # the red torso of FakePerson
            return None
        angle = np.linspace(0, 20, 478)
        return (rgb[30:50].mean() * np.stack([np.sin(angle), np.cos(angle)], 1)).astype(np.float32)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("tiny") / "capture", n_frames=N_FRAMES, clips=2, invalid=(3, 62))


def avatar(person: Any = None) -> Avatar:
    return Avatar(fake_bundle(64), person or ExactPerson(), FakeVoice(RESIDUAL_SIZE))


def test_rows_take_the_right_frames_and_columns(capture: Capture) -> None:
    rows, missing = protocols.self_rows(avatar(), capture)
    by_name = {row.name: row for row in rows}
    test = [60, 61, 63, 64, 65, *range(126, 132)]
    assert not missing and list(by_name) == [RECONSTRUCTION, WITHOUT_RESIDUAL, TRAIN, PEERS, GENERATED]
    assert all(by_name[name].frames.tolist() == test for name in by_name if name != TRAIN)
    train = by_name[TRAIN].frames
    assert len(train) == len(test) and 3 not in train and set(train) <= {*range(60), *range(66, 126)}
    tracked = capture.motion(np.array(test))
    assert np.array_equal(by_name[RECONSTRUCTION].motion.residual, tracked.residual)
    zeroed = by_name[WITHOUT_RESIDUAL].motion
    assert not zeroed.residual.any() and np.array_equal(zeroed.expression, tracked.expression)
    spoken, mixed = by_name[GENERATED].motion, by_name[PEERS].motion
    assert np.array_equal(mixed.expression[:, IDLE_COLUMNS], tracked.expression[:, IDLE_COLUMNS])
    assert np.array_equal(mixed.expression[:, SPEECH_COLUMNS], spoken.expression[:, SPEECH_COLUMNS])
    assert np.array_equal(mixed.rotation, tracked.rotation) and np.array_equal(mixed.residual, spoken.residual)
    assert not np.array_equal(spoken.translation, tracked.translation)


def test_speech_belongs_to_its_frames(capture: Capture) -> None:
    """The motion of a frame is that of its own piece of sound: invalid frames and the train part shift nothing."""
    row = next(row for row in protocols.self_rows(avatar(), capture)[0] if row.name == GENERATED)
    for frame, expression in zip(row.frames, row.motion.expression, strict=True):
        clip = capture.clips[capture.clip_of(int(frame))]
        sound = capture.audio(capture.clip_of(int(frame)))
        assert sound is not None
        piece = sound[(frame - clip.first) * 640 :][:640]
        assert expression[SPEECH_COLUMNS].max() == pytest.approx(min(1.0, 2 * np.abs(piece).mean()), abs=1e-5)


def test_every_and_max_frames(capture: Capture) -> None:
    frames = capture.test_frames
    assert protocols.chosen(frames, 2, None).tolist() == frames[::2].tolist()
    few = protocols.chosen(frames, 1, 3)
    assert few[0] == frames[0] and few[-1] == frames[-1] and len(few) == 3
    for every, most in ((0, None), (1, 0)):
        with pytest.raises(InputError, match="at least 1"):
            protocols.chosen(frames, every, most)
    with pytest.raises(InputError, match="no test frame"):
        protocols.chosen(frames[:0], 1, None)


def test_an_exact_person_scores_high_and_speech_lower(capture: Capture, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    out = tmp_path / "report"
    report = evaluate(
        avatar(ExactPerson(0.05)), capture, out, landmarks=Finder(),
        progress=lambda step, done, total, note="": steps.append((done, total)),
    )  # fmt: skip
    exact, without, train, peers, generated = (report.row(name) for name in EXPLANATIONS)
    assert exact.n_frames == 11 and steps[-1] == (22, 22)
    for region in REGIONS:
        # What is left is the mp4's: at 64 pixels the eyes' edges and the neck lose most by its halved colour.
        assert exact.regions[region]["psnr"] > 24 and exact.regions[region]["ssim"] > 0.84, region
        assert 0.8 < exact.regions[region]["sharpness"] < 1.25
    assert abs(train.regions["face"]["psnr"] - exact.regions["face"]["psnr"]) < 3
    assert without.regions["face"]["psnr"] < exact.regions["face"]["psnr"] - 3
    assert peers.regions["mouth"]["psnr"] < without.regions["mouth"]["psnr"]
    assert generated.regions["full"]["psnr"] < peers.regions["full"]["psnr"] - 1
    assert exact.lmd is not None and generated.lmd is not None and exact.lmd < generated.lmd
    assert exact.ms_per_frame > 0 and exact.lmd_reason == ""
    assert exact.pasted_psnr > exact.regions["full"]["psnr"]
    assert generated.steadiness is None and train.steadiness is None
    steady = exact.steadiness
    assert steady is not None and steady.n_pairs == 8  # 60-61, 63-64-65, and 126 to 131
    assert steady.flicker_background == 0 and steady.warp_error < steady.real_warp_error + 2


def test_the_report_is_written_whole(capture: Capture, tmp_path: Path) -> None:
    out = tmp_path / "report"
    evaluate(avatar(), capture, out, landmarks=Finder(), max_frames=3)
    assert sorted(p.name for p in out.iterdir()) == ["comparison.mp4", "comparison.png", "report.json", "report.md"]
    record = json.loads((out / "report.json").read_text())
    assert [row["name"] for row in record["rows"]] == [RECONSTRUCTION, WITHOUT_RESIDUAL, TRAIN, PEERS, GENERATED]
    assert record["rows"][0]["regions"].keys() == set(REGIONS) and record["rows"][0]["lpips"].startswith("n/a: ")
    assert record["rows"][0]["sync_c"].startswith("n/a: ")
    assert record["ground_truth"]["regions"]["full"]["psnr"] == "inf"
    assert record["settings"] == {"protocol": "self", "every": 1, "max_frames": 3}
    assert all(len(digest) == 64 for digest in record["capture"].values()) and record["machine"]["torch"]
    text = (out / "report.md").read_text()
    assert "full, all but the head real |" in text and "## Steadiness" in text
    assert record["rows"][0]["pasted_psnr"] > 20 and record["rows"][0]["steadiness"] is None
    assert "| reconstruction | 3 |" in text and "self-driven, peers' protocol" in text and "n/a" in text
    info = probe(out / "comparison.mp4")
    assert (info.width, info.height, info.has_audio) == (6 * 64, 64 + 24, True)
    assert read_image(out / "comparison.png").shape == (3 * (24 + 192 + 2 * 96), 6 * 192, 3)
    with pytest.raises(InputError, match="--force"):
        evaluate(avatar(), capture, out)
    evaluate(avatar(), capture, out, landmarks=Finder(), max_frames=1, every=2, force=True)
    assert not probe(out / "comparison.mp4").has_audio


def test_a_failure_leaves_no_report(capture: Capture, tmp_path: Path) -> None:
    class Broken(ExactPerson):
        def render(self, *args: Any, **options: Any) -> torch.Tensor:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        evaluate(avatar(Broken()), capture, tmp_path / "report", landmarks=Finder())
    assert not list(tmp_path.iterdir())


def test_frames_without_a_face_in_our_picture_are_counted(capture: Capture, tmp_path: Path) -> None:
    report = evaluate(avatar(FakePerson()), capture, tmp_path / "report", landmarks=Finder(), max_frames=2)
    row = report.row(RECONSTRUCTION)
    assert row.n_without_face == 2 and row.lmd is None and "no face" in row.lmd_reason


def test_a_machine_without_the_detector_says_so(capture: Capture, tmp_path: Path) -> None:
    class Missing(Finder):
        reason = "MediaPipe is not installed"

    report = evaluate(avatar(), capture, tmp_path / "report", landmarks=Missing(), max_frames=1)
    assert report.row(RECONSTRUCTION).lmd is None
    assert "LMD: n/a, MediaPipe is not installed." in (tmp_path / "report" / "report.md").read_text()


def test_a_machine_without_video_and_torchmetrics_still_measures(
    capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("evaluate", "metrics"):
        monkeypatch.setattr(f"aednerf.evaluation.{module}.find_spec", lambda name: None)
    report = evaluate(avatar(), capture, tmp_path / "report", landmarks=Finder(), max_frames=1)
    figures = report.row(RECONSTRUCTION).regions["full"]
    assert figures["psnr"] > 25 and math.isnan(figures["ssim"])
    assert report.missing == {"ssim": "torchmetrics is not installed", "comparison.mp4": "PyAV is not installed"}
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == ["comparison.png", "report.json", "report.md"]


def test_silent_captures_and_voiceless_avatars_have_fewer_rows(capture: Capture, tmp_path: Path) -> None:
    voiceless = Avatar(fake_bundle(64), ExactPerson(), None)
    rows, missing = protocols.self_rows(voiceless, capture)
    assert len(rows) == 3 and missing[PEERS] == "the avatar has no motion network"
    silent = make_tiny_capture(tmp_path / "silent", n_frames=33, with_audio=False)
    rows, missing = protocols.self_rows(avatar(), silent)
    assert len(rows) == 3 and missing[GENERATED] == "the capture has no sound in its test part"
    report = evaluate(avatar(), silent, tmp_path / "report", landmarks=Finder())
    assert "n/a, the capture has no sound" in report.markdown()
    assert not probe(tmp_path / "report" / "comparison.mp4").has_audio


def test_mismatches_are_refused(capture: Capture, tmp_path: Path) -> None:
    other = ExactPerson()
    other.config = SimpleNamespace(n_residual=9, n_posture=0)
    with pytest.raises(InputError, match="expected 9"):
        evaluate(avatar(other), capture, tmp_path / "report")
    with pytest.raises(InputError, match="Unknown protocol 'emotions'"):
        evaluate(avatar(), capture, tmp_path / "report", protocol="emotions")
    with pytest.raises(InputError, match="no views of unseen cameras"):
        evaluate(avatar(), capture, tmp_path / "report", protocol="view")
    with pytest.raises(InputError, match="view only"):
        evaluate(avatar(), capture, tmp_path / "report", truth=capture)
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match="no report"):
        evaluate(avatar(), capture, tmp_path / "holiday", force=True)


def test_motions_without_a_code_get_zeros(capture: Capture) -> None:
    motion: Motion = replace(capture.motion(np.array([0, 1])), residual=np.zeros((2, 0), np.float32))
    assert avatar().fitted(motion).residual.shape == (2, RESIDUAL_SIZE)


def test_unknown_figures_become_null(capture: Capture, tmp_path: Path) -> None:
    from aednerf.evaluation.figures import Tally

    tally = Tally([{name: dict.fromkeys(("psnr", "ssim", "gradient", "real_gradient"), math.nan) for name in REGIONS}])
    tally.seconds.append(0.5)
    figures = tally.figures(RECONSTRUCTION, "")
    assert math.isnan(figures.regions["face"]["psnr"]) and figures.ms_per_frame == 500
    from aednerf.evaluation.report import Report

    assert Report((figures,)).to_dict()["rows"][0]["regions"]["face"]["psnr"] is None
