"""A preparation that was stopped goes on where it was, and one that failed leaves nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from aednerf.capture import steps
from aednerf.capture.capture import Capture
from aednerf.capture.clip import Clip
from aednerf.capture.framing import FaceTrack
from aednerf.capture.job import Job
from aednerf.capture.manifest import Crop
from aednerf.capture.shots import Shots
from aednerf.capture.step_log import StepLog
from aednerf.capture.survey import ClipSurvey
from aednerf.core.errors import InputError, MachineError
from aednerf.media.video import VideoInfo
from tiny_capture import make_tiny_capture

NAMES = ["first", "second", "third"]


class Killed(Exception):
    """Stands for a process that ends in the middle."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


class Bench:
    """`prepare` with three steps that only say that they ran, and a tiny capture as their result."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.fail: dict[str, Exception] = {}
        self.out = folder / "capture"
        self.unfinished = folder / "capture.unfinished"
        self.video = folder / "me.mp4"
        self.video.write_bytes(b"a video")
        monkeypatch.setattr(steps.assets, "find", lambda name, progress=None: Path(name))
        monkeypatch.setattr(steps, "_survey", self._survey)
        monkeypatch.setattr(steps, "STEPS", tuple((name, self._step(name)) for name in NAMES))
        monkeypatch.setattr(steps, "_finish", self._finish)

    def prepare(self, **options: object) -> Capture:
        self.ran.clear()
        return steps.prepare([Clip(self.video)], self.out, **options)  # type: ignore[arg-type]

    def _note(self, name: str) -> None:
        self.ran.append(name)
        if name in self.fail:
            raise self.fail.pop(name)

    def _survey(self, *_: object) -> list[dict]:
        self._note("survey")
        info = VideoInfo(64, 64, 2.0, 25.0, False, "h264", "yuv420p", 8, False, 0, False, "bt709")
        face = FaceTrack(np.array([0]), np.zeros((1, 4)))
        return [ClipSurvey(44, info, Crop(0, 0, 64), face, 0, Shots((0,), (True,))).to_json()]

    def _step(self, name: str):
        def step(job: Job) -> None:
            self._note(name)
            (job.folder / name).write_text(name)

        return step

    def _finish(self, job: Job, *_: object) -> None:
        self._note("report")
        made = make_tiny_capture(job.folder / "tiny", n_frames=5)
        for path in list(made.path.iterdir()):
            path.replace(job.folder / path.name)


@pytest.mark.parametrize("where", ["survey", *NAMES, "report"])
def test_finished_steps_do_not_run_again(bench: Bench, where: str) -> None:
    order = ["survey", *NAMES, "report"]
    bench.fail[where] = Killed()
    with pytest.raises(Killed):
        bench.prepare()
    assert bench.ran == order[: order.index(where) + 1] and not bench.out.exists()
    assert bench.prepare().n_frames == 5
    assert bench.ran == order[order.index(where) :]
    assert not bench.unfinished.exists()
    assert not (bench.out / "work").exists() and not (bench.out / "steps.json").exists()


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"face": "2"}, ["survey", *NAMES, "report"]),
        ({"size": 256}, [*NAMES, "report"]),
        ({"consent": "yes"}, ["report"]),
    ],
)
def test_changed_options_restart_what_they_concern(bench: Bench, change: dict, again: list[str]) -> None:
    bench.fail["report"] = Killed()
    with pytest.raises(Killed):
        bench.prepare()
    bench.prepare(**change)
    assert bench.ran == again


def test_a_changed_source_restarts_everything(bench: Bench) -> None:
    bench.fail["third"] = Killed()
    with pytest.raises(Killed):
        bench.prepare()
    bench.video.write_bytes(b"another video")
    bench.prepare()
    assert bench.ran == ["survey", *NAMES, "report"]


def test_a_finished_capture_is_replaced_only_when_forced(bench: Bench) -> None:
    bench.prepare()
    before = (bench.out / "capture.json").stat().st_mtime_ns
    with pytest.raises(InputError, match="--force"):
        bench.prepare()
    bench.fail["second"] = Killed()
    with pytest.raises(Killed):
        bench.prepare(force=True)
    assert (bench.out / "capture.json").stat().st_mtime_ns == before and Capture.open(bench.out).n_frames == 5
    bench.prepare(force=True)
    assert (bench.out / "capture.json").stat().st_mtime_ns > before
    assert sorted(path.name for path in bench.out.parent.iterdir()) == ["capture", "me.mp4"]


def test_force_does_not_delete_what_is_no_capture(bench: Bench) -> None:
    bench.out.mkdir()
    (bench.out / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="no capture"):
        bench.prepare(force=True)
    assert (bench.out / "thesis.txt").exists()


def test_bad_input_leaves_nothing(bench: Bench) -> None:
    bench.fail["second"] = InputError("no face")
    with pytest.raises(InputError, match="no face"):
        bench.prepare()
    assert [path.name for path in bench.out.parent.iterdir()] == ["me.mp4"]


def test_a_full_disk_is_the_machine_s_failure_and_keeps_what_is_done(bench: Bench) -> None:
    bench.fail["third"] = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(MachineError, match="No space left.*goes on"):
        bench.prepare()
    bench.prepare()
    assert bench.ran == ["third", "report"]


@pytest.mark.parametrize(
    "options", [{"size": 511}, {"size": 32}, {"size": 4096}, {"max_seconds": 0.0}, {"max_seconds": float("nan")}]
)
def test_options_out_of_range_are_refused(bench: Bench, options: dict) -> None:
    with pytest.raises(InputError, match="--"):
        bench.prepare(**options)
    assert not bench.ran


def test_a_damaged_log_starts_again(tmp_path: Path) -> None:
    (tmp_path / "steps.json").write_text("{")
    ran = []
    assert StepLog(tmp_path).run("a", {}, lambda: ran.append("a"))
    assert not StepLog(tmp_path).run("a", {}, lambda: ran.append("a"))
    assert StepLog(tmp_path).run("a", {"x": 1}, lambda: ran.append("a")) and ran == ["a", "a"]
