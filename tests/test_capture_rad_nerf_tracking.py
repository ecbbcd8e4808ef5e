"""Folders of other programs become captures: our steps find what they lack, and their poses are kept if asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture.capture import Capture
from aednerf.capture.rad_nerf_export import export_rad_nerf
from aednerf.capture.rad_nerf_folder import RadNerfFolder
from aednerf.capture.rad_nerf_import import import_rad_nerf
from aednerf.core.errors import InputError
from aednerf.face.pose import rotation_angle, rotation_from_vector
from aednerf.synthetic.shipped import shipped

CLIPS = ("01-neutral", "02-happy")
SCALE, TURN, SHIFT = 1.15, rotation_from_vector(np.array([[0.08, -0.03, 0.02]]))[0], np.array([0.004, -0.03, 0.05])
"""From our head frame to one like the Basel face model's: X_theirs = s Q X_ours + d."""


@pytest.fixture(scope="module")
def mara(assets: Path) -> Capture:
    return Capture.open(shipped("mara"))


@pytest.fixture(scope="module")
def foreign(mara: Capture, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders as another program leaves them: no alpha, nothing of ours, poses in another head frame."""
    root, folders = tmp_path_factory.mktemp("foreign"), []
    for clip in CLIPS:
        folder = root / f"of {clip}"
        export_rad_nerf(mara, folder, clip=clip)
        for name in ("aednerf", "alpha", "teeth_mask", "face_mask"):
            shutil.rmtree(folder / name)
        found = layout.read_transforms(folder)
        rotation = found.rotation @ TURN.T
        translation = SCALE * found.translation - rotation @ SHIFT
        n = int(found.is_train.sum())
        for name, part in ((layout.TRAIN_NAME, slice(0, n)), (layout.VAL_NAME, slice(n, None))):
            layout.write_transforms(
                folder / name, found.camera, found.frames[part].tolist(), rotation[part], translation[part]
            )
        folders.append(folder)
    return folders


def exact(mara: Capture, clip: str) -> slice:
    record = next(record for record in mara.clips if record.name == clip)
    return slice(record.first, record.end)


def test_a_foreign_folder_is_tracked_anew(mara: Capture, foreign: list[Path], tmp_path: Path) -> None:
    steps: set[str] = set()
    made = import_rad_nerf(
        [f"{foreign[0]}:sad:0.25"], tmp_path / "own", progress=lambda step, *_: steps.add(step), consent="test"
    )
    found, rows = made.capture, exact(mara, CLIPS[0])
    clip = found.clips[0]
    assert (clip.name, clip.emotion, clip.intensity) == ("of_01-neutral", "sad", 0.25)
    assert steps == {
        "frames",
        "survey",
        "landmarks",
        "head pose",
        "first look",
        "steady pose",
        "expression",
        "residual",
        "masks",
        "posture",
        "report",
    }
    assert found.tracking.valid.all() and found.manifest.consent == "test" and "hard edge" in made.notes[0]
    truth = mara.tracking.landmarks_px[rows]
    # MediaPipe's points against the mesh's own: measured 1.9 px of 256 in the mean.
    assert np.linalg.norm(found.tracking.landmarks_px - truth, axis=-1).mean() < 4
    # Measured 1.0 degree.
    relative = np.swapaxes(found.tracking.rotation, 1, 2) @ mara.tracking.rotation[rows]
    assert np.rad2deg(rotation_angle(np.swapaxes(relative[:1], 1, 2) @ relative)).max() < 4
    parts, mattes = np.stack(list(found.parts())), np.stack(list(found.mattes()))
    assert np.array_equal(parts, np.stack(list(mara.parts(rows.start, rows.stop))))
    assert np.array_equal(mattes, (parts > 0) * np.uint8(255))
    assert found.audio(0) is not None and found.manifest.health["clips"]


def test_given_poses_are_kept_but_for_the_head_frame(mara: Capture, foreign: list[Path], tmp_path: Path) -> None:
    made = import_rad_nerf(foreign, tmp_path / "given", tracking="given")
    found = made.capture
    assert [clip.name for clip in found.clips] == ["of_01-neutral", "of_02-happy"] and found.tracking.valid.all()
    for index, path in enumerate(foreign):
        clip, camera = found.clips[index], found.camera(index)
        rotation, translation = RadNerfFolder.open(path, "given").poses()
        rows, own = slice(clip.first, clip.end), found.tracking
        # R_ours = R Q and t_ours = (R d + t) / s with the same Q, d and s in every frame.
        turn = np.swapaxes(rotation, 1, 2) @ own.rotation[rows]
        assert np.abs(turn - turn[0]).max() < 1e-6
        unknown = np.concatenate([rotation, translation[:, :, None]], 2).reshape(-1, 4)
        solution, *_ = np.linalg.lstsq(unknown, own.translation[rows].reshape(-1).astype(float), rcond=None)
        assert np.abs(unknown @ solution - own.translation[rows].reshape(-1)).max() < 1e-6
        assert camera.focal_px == mara.clips[0].focal_px
        # Q undoes the turn of the other model to within two models' idea of "frontal": measured 1.1 and 1.5 degrees.
        assert np.rad2deg(rotation_angle(turn[:1] @ TURN.T))[0] < 5
        # Measured 0.26 and 0.35 px.
        assert np.median(own.error_px[rows]) < 1
    assert not (tmp_path / "given.unfinished").exists()


def test_masks_may_be_cut_out_anew(mara: Capture, foreign: list[Path], tmp_path: Path) -> None:
    for name in ("parsing", "bc.jpg"):
        path = foreign[1] / name
        path.rename(path.with_name(f"{name}.away"))
    try:
        with pytest.raises(InputError, match="--masks own"):
            import_rad_nerf([foreign[1]], tmp_path / "own")
        found = import_rad_nerf([foreign[1]], tmp_path / "own", tracking="given", masks="own").capture
    finally:
        for name in ("parsing", "bc.jpg"):
            (foreign[1] / f"{name}.away").rename(foreign[1] / name)
    rows = exact(mara, CLIPS[1])
    person = np.stack(list(found.mattes())) > 127
    truth = np.stack(list(mara.mattes(rows.start, rows.stop))) > 127
    assert (person & truth).sum() / (person | truth).sum() > 0.9  # measured 0.99
    soft = np.stack(list(found.mattes()))
    assert ((soft > 20) & (soft < 235)).any() and found.clips[0].measured.backdrop_motion is not None


def test_frames_without_landmarks_are_left_to_our_tracker(foreign: list[Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(foreign[0], tmp_path / "me"))
    (folder / "ori_imgs" / "9.lms").unlink()
    (folder / "ori_imgs" / "20.jpg").unlink()
    with pytest.raises(InputError, match=r"frame 20: no picture .* frame 9: no landmarks"):
        import_rad_nerf([folder], tmp_path / "back")
    valid = import_rad_nerf([folder], tmp_path / "back", allow_missing=True).capture.tracking.valid
    assert np.flatnonzero(~valid).tolist() == [20]
