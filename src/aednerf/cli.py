"""The command line: which commands there are, and what their errors and exit codes are.

What a command needs is imported when it runs, so that `aednerf -h` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes

from aednerf.commands.avatar import render, speak
from aednerf.commands.capture import capture_export, capture_import, capture_report, prepare
from aednerf.commands.choice import choice_of
from aednerf.commands.evaluation import evaluate
from aednerf.commands.machine import doctor
from aednerf.commands.models import assets_get, assets_list, assets_pack_ict
from aednerf.commands.synthetic import demo, synthesize
from aednerf.commands.training import train
from aednerf.core.errors import AednerfError

COMMANDS: Mapping[str, Any] = {
    "doctor": doctor,
    "demo": demo,
    "prepare": prepare,
    "synthesize": synthesize,
    "train": train,
    "speak": speak,
    "render": render,
    "evaluate": evaluate,
    "capture": {
        "": "Look at a capture again, or exchange it with other programs.",
        "report": capture_report,
        "export": capture_export,
        "import": capture_import,
    },
    "assets": {
        "": "List, download or pack the third-party models that the program uses.",
        "list": assets_list,
        "get": assets_get,
        "pack-ict": assets_pack_ict,
    },
}
"""Each command's name and function; a group maps its own commands, and "" to the group's help."""

DESCRIPTION = """Make an avatar of a person from a short video, and let it say anything, with any emotion.

The way: prepare a capture from video, train an avatar from the capture, let the avatar speak.
`aednerf COMMAND -h` explains a command and gives an example."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Returns:
        0, or what the command says; 1 where the machine failed; 2 where the input was wrong; 130 after an
        interruption from the keyboard.
    """
    try:
        if list(arguments) == ["--version"]:
            from aednerf import __version__

            print(f"aednerf {__version__}")
            return 0
        markers = (FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes)
        commands = choice_of(COMMANDS, arguments)
        return tyro.cli(commands, prog="aednerf", description=DESCRIPTION, args=arguments, config=markers) or 0
    except AednerfError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted. Give the same command again, without --force, to continue.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        return 1
    except Exception as error:
        reason = _machine_failure(error)
        if reason is None:
            raise
        return _fail(reason, 1)


def _machine_failure(error: Exception) -> str | None:
    """Say what is wrong with the machine, or return None where the error is the program's own."""
    code, reason, file = (error.errno, error.strerror, error.filename) if isinstance(error, OSError) else (None,) * 3
    where = f" ({file})" if file else ""
    # Libraries that write files themselves report a full disk as an error of their own kind.
    if code in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return f"the disk is full{where}. Free some space and give the same command again."
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission{where}: {reason}. Choose another place, or change the permissions."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory. Close other programs, or use a smaller --preset or --size."
    return None


def _fail(text: str, exit_code: int) -> int:
    print(f"aednerf: error: {' '.join(text.split())}", file=sys.stderr)
    return exit_code


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))
