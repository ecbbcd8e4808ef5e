"""The command line's own doing: which commands there are, exit codes, and errors of one line."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aednerf import cli, doctor
from aednerf.core.errors import InputError, MachineError

SOURCE = Path(__file__).parents[1] / "src"


def leaves(commands, above=()):
    for name, command in commands.items():
        if isinstance(command, dict):
            yield from leaves(command, (*above, name))
        elif name:
            yield (*above, name), command


LEAVES = dict(leaves(cli.COMMANDS))


def exit_code(arguments) -> int:
    try:
        return cli.run(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_explains_itself(words, capsys):
    assert exit_code([*words, "-h"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (LEAVES[words].__doc__ or "").strip().split("\n")[0] in shown
    parameters = [name for name in LEAVES[words].__annotations__ if name != "return"]
    assert "Args:" in LEAVES[words].__doc__ or not parameters
    for name in parameters:
        assert f"        {name}: " in LEAVES[words].__doc__, f"--{name} has no help"


def test_the_list_of_commands_is_short(capsys):
    assert exit_code(["-h"]) == 0
    shown = capsys.readouterr().out
    assert all(f"• {name} " in shown for name in cli.COMMANDS)
    assert "For example" not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["capture"],
        ["capture", "fly"],
        ["doctor", "--fast"],
        ["prepare", "a.mp4"],
        ["train", "a", "-o", "b", "--preset", "huge"],
        ["train", "a", "-o", "b", "--seed", "one"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments, capsys):
    assert exit_code(arguments) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    "error, code, text",
    [
        (InputError("expected a, got b.\nUse a."), 2, "expected a, got b. Use a."),
        (MachineError("no library"), 1, "no library"),
        (OSError(errno.ENOSPC, "No space left on device", "out.mp4"), 1, "the disk is full (out.mp4)"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 1, "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 1, "no permission (out)"),
        (MemoryError(), 1, "out of memory"),
        (KeyboardInterrupt(), 130, "same command again"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(error, code, text, monkeypatch, capsys):
    def fail():
        """Fail."""
        raise error

    monkeypatch.setattr(cli, "COMMANDS", {"fail": fail, "other": fail})
    assert exit_code(["fail"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith("aednerf: error: ") and shown.count("\n") == 1 and text in shown


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    def fail():
        """Fail."""
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "COMMANDS", {"fail": fail, "other": fail})
    with pytest.raises(ZeroDivisionError):
        cli.run(["fail"])


def test_a_closed_pipe_is_no_error():
    code = (
        "import sys; from aednerf import cli\n"
        "def flood():\n"
        "    'Print much.'\n"
        "    for _ in range(100_000): print('x' * 80)\n"
        "cli.COMMANDS = {'flood': flood, 'other': flood}\n"
        "sys.exit(cli.run(['flood']))"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_the_version(capsys):
    import aednerf

    assert exit_code(["--version"]) == 0
    assert capsys.readouterr().out == f"aednerf {aednerf.__version__}\n"


@pytest.mark.parametrize("command", [["prepare"], ["prepare", "nowhere.mp4"]])
def test_prepare_names_a_missing_video(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code([*command, "-o", "capture"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_doctor_reports_what_is_there_and_what_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AEDNERF_ASSETS", str(tmp_path))
    monkeypatch.setenv("AEDNERF_CACHE", str(tmp_path / "cache"))
    assert exit_code(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert report["usable"] and found["video"]["state"] == "ok"
    assert found["face_landmarker"]["state"] == "warning" and "aednerf assets get" in found["face_landmarker"]["advice"]

    (tmp_path / "face_landmarker.task").write_bytes(b"wrong")
    assert exit_code(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "refused" in shown and "Not ready" in shown


def test_doctor_says_how_to_get_a_missing_library(monkeypatch, tmp_path):
    for name in ("av", "mediapipe", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    found = {finding.name: finding for finding in doctor.examine(tmp_path)}
    assert not doctor.is_usable(found.values())
    assert [found[name].advice for name in ("av", "mediapipe", "cv2")] == [
        "pip install av", "pip install mediapipe", "pip install opencv-contrib-python",
    ]  # fmt: skip


def test_assets_are_listed_with_licence_and_place(assets, monkeypatch, capsys):
    monkeypatch.setenv("AEDNERF_ASSETS", str(assets))
    assert exit_code(["assets", "list"]) == 0
    shown = capsys.readouterr().out
    assert "MIT" in shown and str(assets / "ict_facekit_light.npz") in shown
    assert exit_code(["assets", "get", "ict_facekit"]) == 0
    assert capsys.readouterr().out.strip() == str(assets / "ict_facekit_light.npz")
    assert exit_code(["assets", "get", "bfm"]) == 2
