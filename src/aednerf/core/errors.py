"""The errors that a user can meet; the command line prints their text on one line and exits with their code."""


class AednerfError(Exception):
    """Base of the errors that are explained to the user instead of shown as a traceback."""

    exit_code = 1


class InputError(AednerfError):
    """The input is not what was expected; the text says what was expected, what came, and what to do."""

    exit_code = 2


class MachineError(AednerfError):
    """The machine failed (a full disk, a missing library); the text says what to do."""

    exit_code = 1
