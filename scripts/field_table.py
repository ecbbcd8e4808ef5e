"""Print the table of `docs/field.md` from a file of trials: one line a variant, PSNR in dB.

Usage: python scripts/field_table.py benchmarks/results/newsreader_field_trials.json
"""

from __future__ import annotations

import sys
from pathlib import Path

from aednerf.core.files import read_json

REGIONS = ("head", "face", "mouth", "eyes")
ROWS = (("reconstruction", "reconstruction"), ("residual_0", "residual 0"), ("train", "train frames"))


def main() -> None:
    """Print the table."""
    trials = read_json(Path(sys.argv[1]))["rows"]
    print("| variant |", " | ".join(f"{title}: {' / '.join(REGIONS)}" for _, title in ROWS), "|")
    print("|---" * (1 + len(ROWS)) + "|")
    for trial in trials:
        cells = (" / ".join(f"{trial['psnr_db'][key][region]:.2f}" for region in REGIONS) for key, _ in ROWS)
        print("|", trial["name"], "|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
