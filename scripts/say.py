"""Say a text by espeak-ng, and write beside the sound when which speech sound is heard.

    python scripts/say.py "Bob and Pam may be home by May." -o bob.wav --voice en-us+f3

makes `bob.wav` and `bob.phonemes.json`, from which `aednerf evaluate --protocol cross --audio bob.wav` counts closed
lips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aednerf.media.audio import write_wav
from aednerf.speech.phoneme import phoneme_file, save_phonemes
from aednerf.synthetic.voice import Voice, speak


def main() -> None:
    """Say the text of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the .wav to write")
    parser.add_argument("--voice", default="en-us", help="a voice of espeak-ng, such as en-us+f3 or de")
    options = parser.parse_args()
    said = speak(options.text, Voice(options.voice))
    write_wav(options.out, said.samples)
    save_phonemes(phoneme_file(options.out), said.phonemes)


if __name__ == "__main__":
    main()
