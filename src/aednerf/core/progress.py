"""How long work tells how far it is: a callable, so that libraries never print."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then while a step of some work goes on."""

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Take note that `done` of `total` units of `step` are finished; `note` is a short figure to show beside."""


def silent(step: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""
