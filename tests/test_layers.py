"""The package keeps to the order of its layers, and the check that says so catches every kind of wrong import."""

from __future__ import annotations

from pathlib import Path

import pytest

from layers import violations

SOURCE = Path(__file__).parents[1] / "src"


def test_the_package_keeps_to_its_layers():
    assert violations(SOURCE) == []


def plant(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "aednerf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.parents:
            if parent == folder:
                break
            (parent / "__init__.py").touch()
    return folder


GOOD = {
    "__init__.py": "__version__ = '1'\n",
    "core/units.py": "FPS = 25\n",
    "media/video.py": "import av\nfrom aednerf.core.units import FPS\n",
    "capture/manifest.py": "from aednerf import __version__\nfrom aednerf.core import units\n",
    "capture/capture.py": "from aednerf.capture.manifest import x\n",
    "field/model.py": "import torch\nfrom ..core.units import FPS\n",
    "training/run.py": "def f():\n    from aednerf.media.video import read\nfrom aednerf.field.model import y\n",
    "cli.py": "import tyro\ndef train():\n    from aednerf.training.run import train\n",
}


def test_a_good_tree_passes(tmp_path):
    assert violations(plant(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    "name, text, complaint",
    [
        ("core/units.py", "from aednerf.media.video import read\n", "lies above"),
        ("core/units.py", "import aednerf.media.video\n", "lies above"),
        ("core/units.py", "from aednerf.media import video\n", "lies above"),
        ("core/units.py", "from aednerf import cli\n", "lies above"),
        ("core/units.py", "from ..media.video import read\n", "lies above"),
        ("core/units.py", "def f():\n    from aednerf.training.run import x\n", "lies above"),
        ("core/units.py", "class A:\n    def f(self):\n        import aednerf.cli\n", "lies above"),
        ("core/units.py", "import typing\nif typing.TYPE_CHECKING:\n    import aednerf.cli\n", "lies above"),
        ("core/units.py", "import importlib\nimportlib.import_module('aednerf.cli')\n", "lies above"),
        ("core/units.py", "from aednerf import Avatar\n", "no layer"),
        ("gadgets/thing.py", "", "no place in the order"),
        ("gadgets.py", "", "no place in the order"),
        ("evaluation/rows.py", "from aednerf.training.run import x\n", "must not know"),
        ("live/server.py", "def f():\n    import aednerf.training.run\n", "must not know"),
        ("studio/page.py", "from aednerf.training import run\n", "must not know"),
        ("capture/manifest.py", "from aednerf.capture.capture import x\n", "in a circle"),
        ("capture/manifest.py", "def f():\n    from aednerf.capture import capture\n", "in a circle"),
        ("avatar/avatar.py", "import av\n", "must do without"),
        ("field/model.py", "from mediapipe.tasks import python\n", "must do without"),
        ("render/rays.py", "from aednerf.media.video import read\n", "must do without"),
        ("training/run.py", "try:\n    import tyro\nexcept ImportError:\n    pass\n", "must do without"),
        ("capture/__init__.py", "import pooch\n", "must do without"),
        ("core/units.py", "class A:\n    import pooch\n", "must do without"),
    ],
)
def test_a_planted_wrong_import_is_caught(tmp_path, name, text, complaint):
    found = violations(plant(tmp_path, GOOD | {name: text}))
    assert any(complaint in line and name.split("/")[0].removesuffix(".py") in line for line in found), found
