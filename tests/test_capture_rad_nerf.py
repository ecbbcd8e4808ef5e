"""Captures go out in the RAD-NeRF layout and come back the same; what does not belong together is named."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import peer_loader
from aednerf import cli
from aednerf.capture import rad_nerf_export, rad_nerf_import
from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture.capture import Capture
from aednerf.capture.rad_nerf_export import export_rad_nerf
from aednerf.capture.rad_nerf_folder import RadNerfFolder, find_folders
from aednerf.capture.rad_nerf_import import import_rad_nerf
from aednerf.core.errors import InputError, MachineError
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.face.topology import IBUG68
from aednerf.media.audio import load_audio
from aednerf.media.image import read_image, write_image
from tiny_capture import make_tiny_capture

TABLES = ("valid", "landmarks_px", "rotation", "translation", "expression", "residual", "error_px", "identity")
HOLES = (0, 7, 8, 21)
N = 44


class Stop(Exception):
    """Stands for a process that is killed."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("rad") / "capture", size=64, n_frames=N)


@pytest.fixture(scope="module")
def exported(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_rad_nerf(capture, tmp_path_factory.mktemp("rad") / "me").folders[0]


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(exported, tmp_path / "spoilt"))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def assert_same(found: Capture, expected: Capture, least_psnr: float) -> None:
    """Assert that two captures hold the same, pictures to within their compression."""
    assert found.n_frames == expected.n_frames and found.size == expected.size
    for name in TABLES:
        a, b = getattr(found.tracking, name), getattr(expected.tracking, name)
        assert np.array_equal(a, b, equal_nan=name != "valid"), name
    valid = expected.tracking.valid
    streams = (found.images, expected.images), (found.mattes, expected.mattes), (found.parts, expected.parts)
    images, mattes, parts = (list(zip(own(), other(), strict=True)) for own, other in streams)
    assert min(psnr(a, b) for (a, b), seen in zip(images, valid, strict=True) if seen) > least_psnr
    assert all(np.array_equal(a, b) for a, b in [*mattes, *parts])
    assert [replace(clip, measured=expected.clips[0].measured) for clip in found.clips] == [
        replace(clip, measured=expected.clips[0].measured) for clip in expected.clips
    ]
    for index in range(len(expected.clips)):
        a, b = found.audio(index), expected.audio(index)
        assert (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
    for index in range(len(expected.shots)):
        assert np.array_equal(found.plate(index), expected.plate(index))
    assert np.array_equal(found.face.deltas, expected.face.deltas)


def test_peers_find_all_they_open_and_it_is_ours(capture: Capture, exported: Path) -> None:
    train, val = peer_loader.load(exported, "train"), peer_loader.load(exported, "val")
    assert train.numbers == list(range(N * 10 // 11)) and val.numbers == list(range(N * 10 // 11, N))
    t, frames = capture.tracking, np.array(train.numbers)
    world_to_camera = np.linalg.inv(train.camera_to_world)
    assert np.abs(world_to_camera[:, :3, :3] - t.rotation[frames]).max() < 1e-6
    assert np.abs(world_to_camera[:, :3, 3] - t.translation[frames]).max() < 1e-6
    assert train.intrinsics == (capture.camera(0).focal_px, 32.0, 32.0)
    assert np.abs(train.landmarks - t.landmarks_px[frames][:, list(IBUG68)]).max() < 1e-5
    assert np.array_equal(train.blendshapes, t.expression[frames])
    blink = t.expression[frames][:, [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]].mean(1)
    assert np.abs(train.blinks - blink).max() < 1e-4
    assert train.features.shape == (40, 16, 29) and train.features.std() > 0.01
    parts = np.stack(list(capture.parts()))[frames]
    assert np.array_equal(train.face | train.mouth, parts == 1)
    # Measured at worst: 34.4 dB whole, since the soft edge now stands on a clean plate; 44.6 person, 46.5 torso: JPEG.
    images = np.stack(list(capture.images()))[frames][..., ::-1]
    assert min(psnr(a, b) for a, b in zip(train.images, images, strict=True)) > 32
    assert min(psnr(a[p > 0], b[p > 0]) for a, b, p in zip(train.images, images, parts, strict=True)) > 42
    behind = zip(train.backgrounds, train.images, parts, strict=True)
    assert min(psnr(a[p >= 2], b[p >= 2]) for a, b, p in behind) > 44


def test_the_peers_own_axes_put_a_point_where_ours_do(capture: Capture, exported: Path) -> None:
    view, t, camera = peer_loader.load(exported, "train"), capture.tracking, capture.camera(0)
    focal, cx, cy = view.intrinsics
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (len(view.numbers), 3))
    for matrix, frame, point in zip(view.camera_to_world, view.numbers, points, strict=True):
        u, v = camera.project(t.rotation[frame] @ point + t.translation[frame])
        # RAD-NeRF, ER-NeRF, SyncTalk: rows y, z, x; last two columns negated; four times as large; rays along +z.
        turned = matrix[[1, 2, 0], :3] * (1, -1, -1)
        origin = 4 * matrix[[1, 2, 0], 3]
        ray = turned @ ((u - cx) / focal, (v - cy) / focal, 1)
        seen = 4 * point[[1, 2, 0]] - origin
        assert np.linalg.norm(np.cross(seen, ray)) < 1e-4 * np.linalg.norm(seen) * np.linalg.norm(ray)
        assert seen @ ray > 0 and np.abs(4 * point).max() < 1
        # TalkingGaussian: second and third column negated, inverted, u = f x / z + centre.
        colmap = matrix.copy()
        colmap[:3, 1:3] *= -1
        x, y, z, _ = np.linalg.inv(colmap) @ [*point, 1]
        assert np.allclose((focal * x / z + 32, focal * y / z + 32), (u, v), atol=1e-3) and z > 0


def test_track_params_are_plain_tensors_in_tenths_of_a_metre(capture: Capture, exported: Path) -> None:
    tensors = torch.load(exported / "track_params.pt", weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "id": (1, 100), "exp": (N, 79), "euler": (N, 3), "trans": (N, 3), "focal": (1,),
    }  # fmt: skip
    assert not tensors["id"].any() and not tensors["exp"].any()
    assert np.abs(tensors["trans"].numpy() / 10 - capture.tracking.translation).max() < 1e-6
    rotation = layout.rotation_of_euler(tensors["euler"].numpy().astype(float))
    assert np.abs(rotation - capture.tracking.rotation).max() < 1e-6


def test_the_round_trip_is_exact(capture: Capture, exported: Path, tmp_path: Path) -> None:
    made = import_rad_nerf([exported], tmp_path / "back")
    # Measured 40.5 dB at worst: JPEG, then H.264 as every capture has it.
    assert_same(made.capture, capture, least_psnr=38)
    assert made.capture.manifest.consent == "computer-generated" and not made.notes
    assert made.capture.manifest.health and (tmp_path / "back" / "report.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back"]
    stored = [read_image(exported / "ori_imgs" / f"{i}.jpg") for i in range(N)]
    assert min(psnr(a, b) for a, b in zip(stored, capture.images(), strict=True)) > 44  # measured 46.8: JPEG alone


def test_poses_come_from_the_transforms(capture: Capture, folder: Path, tmp_path: Path) -> None:
    found = RadNerfFolder.open(folder, tracking="given")
    rotation, translation = found.poses()
    assert np.abs(rotation - capture.tracking.rotation).max() < 1e-6
    assert np.abs(translation - capture.tracking.translation).max() < 1e-6
    value = json.loads((folder / layout.TRAIN_NAME).read_text())
    value["frames"][5]["transform_matrix"][2][3] += 0.25
    (folder / layout.TRAIN_NAME).write_text(json.dumps(value))
    made = import_rad_nerf([folder], tmp_path / "back")
    moved = made.capture.tracking.translation - capture.tracking.translation
    assert np.linalg.norm(moved[5]) == pytest.approx(0.25, abs=1e-5) and not np.delete(moved, 5, 0).any()
    assert any("1 poses" in note for note in made.notes)


def test_frames_without_a_face_leave_no_gap_and_come_back(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "capture", size=64, n_frames=N, invalid=HOLES)
    made = export_rad_nerf(capture, tmp_path / "me")
    folder, kept = made.folders[0], np.delete(np.arange(N), HOLES)
    assert len(made.notes) == 1 and "4 of 44 frames" in made.notes[0]
    train, val = peer_loader.load(folder, "train"), peer_loader.load(folder, "val")
    # Each frame stays in the part that it has in our own split.
    assert train.numbers == list(range(36)) and val.numbers == list(range(36, 40))
    assert np.array_equal(train.blendshapes, capture.tracking.expression[kept[:36]])
    sound, own = load_audio(folder / "aud.wav").reshape(-1, SAMPLES_PER_FRAME), capture.audio(0)
    assert own is not None and np.array_equal(sound, own.reshape(-1, SAMPLES_PER_FRAME)[kept])
    record = json.loads((folder / "aednerf" / "export.json").read_text())
    assert record["capture_frames"] == kept.tolist() and "log-mel" in record["audio_features"]["source"]
    back = import_rad_nerf([folder], tmp_path / "back").capture
    assert_same(back, capture, least_psnr=38)


def test_several_clips_are_a_folder_each(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "capture", size=64, n_frames=22, clips=3, invalid=(30,))
    made = export_rad_nerf(capture, tmp_path / "people")
    assert made.folders == tuple(tmp_path / "people" / f"tiny{i}" for i in range(3))
    for path in made.folders:
        peer_loader.load(path, "train")
    assert_same(import_rad_nerf([tmp_path / "people"], tmp_path / "back").capture, capture, least_psnr=38)
    one = export_rad_nerf(capture, tmp_path / "one", clip="tiny1").folders
    assert one == (tmp_path / "one",) and len(list((tmp_path / "one" / "ori_imgs").glob("*.jpg"))) == 21
    back = import_rad_nerf([f"{tmp_path / 'one'}:happy:0.5"], tmp_path / "relabelled").capture
    assert (back.clips[0].name, back.clips[0].emotion, back.clips[0].intensity) == ("tiny1", "happy", 0.5)
    with pytest.raises(InputError, match="no clip 'tiny9'. Its clips are: tiny0, tiny1, tiny2"):
        export_rad_nerf(capture, tmp_path / "nine", clip="tiny9")
    with pytest.raises(InputError, match="name it with --clip"):
        export_rad_nerf(capture, tmp_path / "nine", audio_features=tmp_path / "aud.npy")


def test_a_clip_with_cuts_keeps_them(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "capture", size=64, n_frames=22)
    clip = replace(capture.clips[0], cuts=(15,))
    write_image(capture.path / clip.plates[1], capture.plate(0)[:, ::-1])
    files = {**capture.manifest.files, clip.plates[1]: (capture.path / clip.plates[1]).stat().st_size}
    replace(capture.manifest, clips=(clip,), files=files).save(capture.path)
    capture = Capture.open(capture.path)
    made = export_rad_nerf(capture, tmp_path / "me")
    assert len(made.notes) == 1 and "cuts" in made.notes[0]
    longest = read_image(tmp_path / "me" / "bc.jpg")
    assert psnr(longest, capture.plate(0)) > 40
    assert_same(import_rad_nerf([tmp_path / "me"], tmp_path / "back").capture, capture, least_psnr=38)


def test_a_silent_clip_says_so(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "capture", size=64, n_frames=11, with_audio=False)
    made = export_rad_nerf(capture, tmp_path / "me")
    assert "silent" in made.notes[0] and not np.load(tmp_path / "me" / "aud_ds.npy").any()
    assert len(load_audio(tmp_path / "me" / "aud.wav")) == 11 * SAMPLES_PER_FRAME
    assert import_rad_nerf([tmp_path / "me"], tmp_path / "back").capture.audio(0) is None


def test_given_speech_features_are_written_under_both_names(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "capture", size=64, n_frames=11, invalid=(2,))
    array = np.random.default_rng(0).normal(size=(10, 16, 29))  # one short, as DeepSpeech's extractor leaves it
    np.save(tmp_path / "deepspeech.npy", array)
    export_rad_nerf(capture, tmp_path / "me", audio_features=tmp_path / "deepspeech.npy")
    for name in ("aud.npy", "aud_ds.npy"):
        rows = np.load(tmp_path / "me" / name)
        assert np.allclose(rows, array[[0, 1, 3, 4, 5, 6, 7, 8, 9, 9]], atol=1e-6)
    text = (tmp_path / "me" / "aednerf" / "export.json").read_text()
    assert json.loads(text)["audio_features"]["source"] == "deepspeech.npy" and str(tmp_path) not in text


def test_talking_gaussians_colours_mean_the_same_parts(capture: Capture, tmp_path: Path) -> None:
    export_rad_nerf(capture, tmp_path / "me", parsing="talking-gaussian")
    seen = peer_loader.load(tmp_path / "me", "train")
    parts = np.stack(list(capture.parts()))[seen.numbers]
    assert np.array_equal(seen.face.astype(int) + seen.hair + seen.mouth, parts == 1)
    assert seen.hair.any() and seen.mouth.any()
    assert_same(import_rad_nerf([tmp_path / "me"], tmp_path / "back").capture, capture, least_psnr=38)


def drop(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def renumber_without(number: int) -> Callable[[Path], None]:
    """Do what the peers' tracker does where it finds no face: leave the picture out and count on."""

    def spoil(folder: Path) -> None:
        (folder / "ori_imgs" / f"{number}.lms").unlink()
        found = layout.read_transforms(folder)
        keep = np.delete(np.arange(N), number)
        for name, part in ((layout.TRAIN_NAME, slice(0, 39)), (layout.VAL_NAME, slice(39, 43))):
            rows = keep[part]
            layout.write_transforms(
                folder / name, found.camera, np.arange(43)[part].tolist(), found.rotation[rows], found.translation[rows]
            )

    return spoil


def forget_pose(number: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        value = json.loads((folder / layout.TRAIN_NAME).read_text())
        value["frames"] = [frame for frame in value["frames"] if frame["img_id"] != number]
        (folder / layout.TRAIN_NAME).write_text(json.dumps(value))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (drop("ori_imgs/17.jpg"), ["frame 17: no picture", "43 pictures, 44 files of landmarks and 44 poses"]),
        (drop("ori_imgs/17.lms"), ["frame 17: no landmarks", "17.lms"]),
        (drop("ori_imgs/3.lms", "ori_imgs/4.lms", "ori_imgs/9.lms"), ["frames 3-4, 9: no landmarks"]),
        (forget_pose(17), ["frame 17: no pose"]),
        (renumber_without(17), ["frame 17: no landmarks", "from frame 17 on every pose belongs to a later picture"]),
    ],
)
def test_a_missing_frame_is_found_and_named(folder: Path, tmp_path: Path, spoil, told: list[str]) -> None:
    spoil(folder)
    with pytest.raises(InputError) as error:
        import_rad_nerf([folder], tmp_path / "back")
    assert all(text in str(error.value) for text in [*told, "--allow-missing"]) and "\n" not in str(error.value)
    assert not list(tmp_path.glob("back*"))


@pytest.mark.parametrize("spoil", [drop("ori_imgs/17.jpg"), drop("ori_imgs/17.lms"), renumber_without(17)])
def test_a_missing_frame_may_be_allowed(capture: Capture, folder: Path, tmp_path: Path, spoil) -> None:
    spoil(folder)
    made = import_rad_nerf([folder], tmp_path / "back", allow_missing=True)
    valid = made.capture.tracking.valid
    assert made.capture.n_frames == N and np.flatnonzero(~valid).tolist() == [17] and "frame 17" in made.notes[0]
    for name in ("rotation", "translation", "expression"):
        own, expected = getattr(made.capture.tracking, name), getattr(capture.tracking, name)
        assert np.array_equal(own[valid], expected[valid]), name  # nothing after it is shifted


def test_poses_that_may_be_shifted_are_not_taken(folder: Path) -> None:
    renumber_without(17)(folder)
    (folder / "ori_imgs" / "17.lms").write_text((folder / "ori_imgs" / "16.lms").read_text())
    for allow_missing in (False, True):
        for tracking in ("auto", "given"):
            with pytest.raises(InputError, match="or earlier ones have none and the rest is shifted.*--tracking own"):
                RadNerfFolder.open(folder, tracking, allow_missing)
    assert not len(RadNerfFolder.open(folder, "own", allow_missing=True).missing)


def test_poses_that_are_not_used_may_be_damaged(folder: Path) -> None:
    value = json.loads((folder / layout.TRAIN_NAME).read_text())
    value["frames"][3]["transform_matrix"][0][0] = float("nan")
    (folder / layout.TRAIN_NAME).write_text(json.dumps(value))
    with pytest.raises(InputError, match="pose of frame 3"):
        RadNerfFolder.open(folder, "given")
    assert not len(RadNerfFolder.open(folder, "own").missing)


def spoil_json(folder: Path) -> None:
    (folder / layout.VAL_NAME).write_text("{")


def spoil_size(folder: Path) -> None:
    for path in (folder / layout.TRAIN_NAME, folder / layout.VAL_NAME):
        value = json.loads(path.read_text())
        path.write_text(json.dumps({**value, "h": 80, "w": 80}))


def spoil_picture(folder: Path) -> None:
    write_image(folder / "ori_imgs" / "5.jpg", np.zeros((32, 32, 3), np.uint8))


def spoil_colours(folder: Path) -> None:
    write_image(folder / "parsing" / "5.png", np.full((64, 64, 3), (255, 0, 255), np.uint8))


def spoil_record(folder: Path) -> None:
    (folder / "aednerf" / "export.json").write_text('{"schema": 1, "clip_frames": [1, 0], "capture_frames": [0]}')


def add_picture(folder: Path) -> None:
    shutil.copyfile(folder / "ori_imgs" / "0.jpg", folder / "ori_imgs" / "44.jpg")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (drop(layout.TRAIN_NAME), "lacks transforms_train.json"),
        (spoil_json, "transforms_val.json is not valid JSON"),
        (spoil_size, "64x64 pixels, the transforms say 80x80"),
        (spoil_picture, "5.jpg is 32x32 pixels, the others are 64x64"),
        (spoil_colours, "5.png has the colour [255, 0, 255]"),
        (drop("parsing/5.png", "parsing/6.png"), "lacks pictures 5-6 of 44"),
        (drop("alpha/5.png"), "lacks picture 5 of 44"),
        (spoil_record, "export.json is damaged"),
        (add_picture, "44.jpg"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], None], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(folder)
    assert cli.run(["capture", "import", str(folder), "-o", str(tmp_path / "back"), "--format", "rad-nerf"]) == 2
    shown = capsys.readouterr().err
    assert shown.strip().split("\n")[-1].startswith("aednerf: error: ") and told in shown and "Traceback" not in shown
    assert not list(tmp_path.glob("back*"))


def test_folders_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, told in (("nowhere", "does not exist"), ("file", "is no folder"), ("empty", "not in the RAD-NeRF")):
        with pytest.raises(InputError, match=told):
            find_folders([tmp_path / name], "auto", False)
    with pytest.raises(InputError, match="none"):
        find_folders([], "auto", False)


def test_captures_of_two_people_are_not_mixed(exported: Path, tmp_path: Path) -> None:
    other = make_tiny_capture(tmp_path / "capture", size=64, n_frames=11)
    replace(other.tracking, identity=other.tracking.identity + 1).save(other.path)
    export_rad_nerf(Capture.open(other.path), tmp_path / "other")
    with pytest.raises(InputError, match="different captures"):
        import_rad_nerf([exported, tmp_path / "other"], tmp_path / "back")
    small = make_tiny_capture(tmp_path / "small", size=48, n_frames=11)
    export_rad_nerf(small, tmp_path / "small-out")
    with pytest.raises(InputError, match="one size"):
        import_rad_nerf([exported, tmp_path / "small-out"], tmp_path / "back")


def test_an_export_that_was_stopped_goes_on(capture: Capture, exported: Path, tmp_path: Path) -> None:
    starts: list[int] = []

    def stop(step: str, done: int, total: int, note: str = "") -> None:
        starts.append(done)
        if done == 20:
            raise Stop

    def watch(step: str, done: int, total: int, note: str = "") -> None:
        assert total == N
        starts.append(done)

    out = tmp_path / "me"
    with pytest.raises(Stop):
        export_rad_nerf(capture, out, progress=stop)
    assert not out.exists() and starts[0] == 0
    before = (tmp_path / "me.unfinished" / "gt_imgs" / "3.jpg").stat().st_mtime_ns
    starts.clear()
    export_rad_nerf(capture, out, progress=watch)
    assert starts == list(range(20, N + 1)) and (out / "gt_imgs" / "3.jpg").stat().st_mtime_ns == before
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert names == sorted(str(path.relative_to(exported)) for path in exported.rglob("*"))
    for name in names:
        if (out / name).is_file() and not name.endswith(".pt"):
            assert (out / name).read_bytes() == (exported / name).read_bytes(), name
    # Other options start again.
    with pytest.raises(Stop):
        export_rad_nerf(capture, tmp_path / "again", progress=stop)
    starts.clear()
    export_rad_nerf(capture, tmp_path / "again", parsing="talking-gaussian", progress=watch)
    assert starts[0] == 0


def test_an_import_that_was_stopped_goes_on(capture: Capture, exported: Path, tmp_path: Path) -> None:
    ran: list[str] = []

    def note_step(step: str, done: int, total: int, note: str = "") -> None:
        assert 0 <= done <= total
        ran.append(step)
        if stop_at == step and done == 10:
            raise Stop

    stop_at = "masks"
    with pytest.raises(Stop):
        import_rad_nerf([exported], tmp_path / "back", progress=note_step)
    assert not (tmp_path / "back").exists() and "frames" in ran
    ran.clear()
    stop_at = ""
    made = import_rad_nerf([exported], tmp_path / "back", progress=note_step)
    assert set(ran) == {"masks", "report"}
    assert_same(made.capture, capture, least_psnr=38)


def test_finished_work_is_replaced_only_when_forced(exported: Path, capture: Capture, tmp_path: Path) -> None:
    out, back = tmp_path / "me", tmp_path / "back"
    export_rad_nerf(capture, out)
    import_rad_nerf([out], back)
    for again in (lambda **k: export_rad_nerf(capture, out, **k), lambda **k: import_rad_nerf([out], back, **k)):
        with pytest.raises(InputError, match="--force"):
            again()
        again(force=True)
    for make in (lambda path: export_rad_nerf(capture, path, force=True),
                 lambda path: import_rad_nerf([exported], path, force=True)):  # fmt: skip
        (tmp_path / "thesis").mkdir(exist_ok=True)
        (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
        with pytest.raises(InputError, match="does not replace it"):
            make(tmp_path / "thesis")
        assert (tmp_path / "thesis" / "thesis.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "me", "thesis"]


def test_a_full_disk_keeps_what_is_done(capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "5.lms")

    with monkeypatch.context() as patch:
        patch.setattr(rad_nerf_export.layout, "write_landmarks", full)
        with pytest.raises(MachineError, match="Free some space"):
            export_rad_nerf(capture, tmp_path / "me")
    assert (tmp_path / "me.unfinished").is_dir()
    export_rad_nerf(capture, tmp_path / "me")
    with monkeypatch.context() as patch:
        patch.setattr(rad_nerf_import, "labels_of", full)
        with pytest.raises(MachineError, match="Free some space"):
            import_rad_nerf([tmp_path / "me"], tmp_path / "back")
    assert import_rad_nerf([tmp_path / "me"], tmp_path / "back").capture.n_frames == N


def test_a_damaged_capture_is_told(capture: Capture, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(capture.path, tmp_path / "capture"))
    (spoilt / "parts.mkv").unlink()
    assert cli.run(["capture", "export", str(spoilt), "-o", str(tmp_path / "me")]) == 2
    blind = make_tiny_capture(tmp_path / "blind", size=64, n_frames=11, invalid=tuple(range(11)))
    with pytest.raises(InputError, match="shows no face"):
        export_rad_nerf(blind, tmp_path / "me")
    assert not list(tmp_path.glob("me*"))


def test_the_commands_say_what_they_made(capture: Capture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, back = str(tmp_path / "me"), str(tmp_path / "back")
    assert cli.run(["capture", "export", str(capture.path), "-o", out, "--format", "rad-nerf"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert cli.run(["capture", "import", out, "-o", back, "--format", "rad-nerf", "--consent", "mine"]) == 0
    assert f"{back}: {N} frames." in capsys.readouterr().out
    assert Capture.open(back).manifest.consent == "mine"
    assert cli.run(["capture", "import", "-o", back]) == 2


def test_wide_pictures_keep_the_square_with_the_face(folder: Path) -> None:
    shutil.rmtree(folder / "aednerf")
    for path in [*folder.glob("ori_imgs/*.jpg"), *folder.glob("parsing/*.png"), *folder.glob("alpha/*.png")]:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        wide = np.zeros((64, 101, *image.shape[2:]), np.uint8)
        wide[:, 30:94] = image
        cv2.imwrite(str(path), wide)
    for path in folder.glob("ori_imgs/*.lms"):
        layout.write_landmarks(path, layout.read_landmarks(path) + (30, 0))
    for name in (layout.TRAIN_NAME, layout.VAL_NAME):
        value = json.loads((folder / name).read_text())
        value.update(w=101, cx=62.0)
        (folder / name).write_text(json.dumps(value))
    found = RadNerfFolder.open(folder)
    assert found.window.edge == 64 and abs(found.window.left - 30) <= 3 and found.window.top == 0
    assert found.camera.cx == 62 - found.window.left and found.picture(0).shape == (64, 64, 3)
    assert "square of 64 pixels" in found.notes[0]


def test_a_folder_of_another_program_is_too_short_to_track(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "aednerf")
    with pytest.raises(InputError, match="44 pictures; expected at least 50"):
        import_rad_nerf([folder], tmp_path / "back")
