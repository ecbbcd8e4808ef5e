"""What the documentation says of the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from aednerf import cli
from aednerf.core.records import EMOTIONS
from aednerf.face import topology

ROOT = Path(__file__).parents[1]


def test_the_landmark_lists_are_those_of_the_code():
    text = " ".join((ROOT / "docs" / "conventions.md").read_text().split())
    for start, points in {
        "the face model's 52 coefficients move them least): ": topology.RIGID,
        "Outer lips ": topology.LIPS_OUTER,
        "inner lips ": topology.LIPS_INNER,
    }.items():
        listed = re.match(r"[\d ]+", text.partition(start)[2])
        assert listed and tuple(map(int, listed[0].split())) == tuple(points), start


def test_the_emotions_are_those_of_the_code():
    assert f"`{' '.join(EMOTIONS)}`" in (ROOT / "docs" / "conventions.md").read_text()


def test_the_readme_lists_the_commands_that_exist():
    text = (ROOT / "README.md").read_text()
    listed = {name.split()[0] for name in re.findall(r"^\| `([a-z -]+)` \|", text, re.MULTILINE)}
    assert listed == set(cli.COMMANDS)


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
