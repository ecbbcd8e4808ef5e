"""Print the bare videos of a computer-generated capture as `aednerf prepare` takes them, with their emotions.

Usage: aednerf prepare $(python benchmarks/bare_clips.py captures/mara) -o captures/mara_prepared
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aednerf.capture.capture import Capture
from aednerf.capture.truth import TRUTH_FOLDER


def main() -> None:
    """Print one clip a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    capture = Capture.open(parser.parse_args().capture)
    for clip in capture.clips:
        print(f"{capture.path / TRUTH_FOLDER / 'video' / clip.name}.mp4:{clip.emotion}:{clip.intensity:g}")


if __name__ == "__main__":
    main()
