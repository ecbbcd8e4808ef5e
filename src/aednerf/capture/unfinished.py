"""The folder of an unfinished result, beside its name: continued by the next run, put in place when all is done."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from aednerf.core.errors import InputError, MachineError
from aednerf.core.files import require_absent


def unfinished_name(out: str | Path) -> Path:
    """Return the name under which the folder `out` is made."""
    out = Path(out)
    return out.with_name(f"{out.name}.unfinished")


def require_replaceable(out: Path, force: bool, is_one: Callable[[Path], bool], kind: str) -> None:
    """Raise unless `out` is free, is an empty folder, or is one of its kind that may be replaced.

    Args:
        out: the folder to make.
        force: whether one of its kind may be replaced.
        is_one: says whether a folder is one of its kind.
        kind: what it is, for the message: "capture".

    Raises:
        InputError: something is there that may not be replaced.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    require_absent(out, force)
    if out.exists() and not (out.is_dir() and is_one(out)):
        raise InputError(f"{out} exists and is no {kind}, so --force does not replace it. Choose another name.")


def put_in_place(folder: Path, out: Path) -> None:
    """Give the finished folder its name; what it replaces goes only after that."""
    old = out.with_name(f"{out.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.replace(old)
    folder.replace(out)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def explained_failures(folder: Path) -> Iterator[None]:
    """Delete the unfinished `folder` where the input was wrong, and explain a failure of the machine.

    Raises:
        InputError: as it came; nothing of an input that cannot be used is kept.
        MachineError: a file could not be written; the folder stays, and the next run goes on with it.
    """
    try:
        yield
    except InputError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except OSError as error:
        advice = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Put that right"
        raise MachineError(
            f"{error.filename or folder} could not be written: {error.strerror or error}. {advice}, then run the same "
            "command again: it goes on where it stopped."
        ) from error
