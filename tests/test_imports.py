"""What an import loads: `aednerf -h` answers at once, and the parts for GPU machines do without video libraries."""

from __future__ import annotations

import ast
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
HEAVY = ("torch", "mediapipe", "cv2", "av", "scipy", "torchmetrics")


def python(code: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


HELP = "import sys; from aednerf.cli import run\ntry: run(['-h'])\nexcept SystemExit as end: assert end.code == 0"


@pytest.mark.parametrize("code", [HELP, "import sys; import aednerf; dir(aednerf)"])
def test_a_fresh_interpreter_loads_nothing_heavy(code):
    loaded = python(f"{code}\nprint('loaded', sorted(set({HEAVY}) & set(sys.modules)))").splitlines()[-1]
    assert loaded == "loaded []"


def test_help_answers_in_under_half_a_second():
    """The command's own processor time, which other programs on the machine do not change, and the clock's."""
    clock, processor = [], []
    for _ in range(5):
        before, start = os.times(), time.perf_counter()
        python(HELP)
        after = os.times()
        clock.append(time.perf_counter() - start)
        processor.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert statistics.median(processor) < 0.5
    assert min(clock) < 0.5 or statistics.median(clock) > 1.5 * statistics.median(processor)  # or the machine is busy


def test_every_public_name_is_there():
    import aednerf

    for name in aednerf.__all__:
        assert getattr(aednerf, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = aednerf.nothing_of_the_kind


def test_the_names_for_type_checkers_are_those_that_are_looked_up():
    import aednerf

    tree = ast.parse((SOURCE / "aednerf" / "__init__.py").read_text())
    declared = {
        alias.name: node.module.removeprefix("aednerf.")
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert declared == aednerf._HOME
    assert sorted(declared) == sorted(aednerf.__all__)


def test_parts_for_gpu_machines_import_without_video_libraries():
    modules = [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("avatar", "field", "render", "training")
        for path in sorted((SOURCE / "aednerf" / folder).glob("*.py"))
    ]
    assert len(modules) > 4
    python(
        "import sys, importlib\n"
        "for name in ('av', 'mediapipe', 'tyro', 'pooch'): sys.modules[name] = None\n"
        f"for name in {[*modules, 'aednerf.capture.capture']}: importlib.import_module(name)"
    )
