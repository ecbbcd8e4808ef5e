"""What the documentation says of the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def commands_in_documents() -> list[str]:
    """Every command line that the documents give, in a block or inside a sentence."""
    found: list[str] = []
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for block in text.split("```")[1::2]:
            found += re.findall(r"^aednerf [a-z].*", block, re.MULTILINE)
        found += re.findall(r"`(aednerf [a-z][^`\n]*)`", text)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("line", commands_in_documents())
def test_commands_in_the_documents_exist_with_their_options(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = re.sub(r"['\"{].*?['\"}]", "TEXT", line).split()[1:]
    known = cli.COMMANDS[words[0]]
    names = words[: 2 if isinstance(known, dict) and len(words) > 1 else 1]
    assert len(names) == 1 or names[1] in known
    with pytest.raises(SystemExit):
        cli.run([*names, "-h"])
    shown = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b(?!-)", shown), f"{line}: no {option}"
