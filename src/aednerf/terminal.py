"""What a person sees in a terminal while long work goes on: a bar for each step, or a line where there is no screen."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Steps:
    """A `core.progress.Progress` that draws; use it as a context manager.

    On a screen every step has a bar with the time passed and the time left. Elsewhere (a log file, CI) a step is one
    line when it is finished. Both go to standard error, so that standard output holds results only.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:<22}"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(), TimeRemainingColumn(compact=True), TextColumn("[dim]{task.fields[note]}"),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}

    def __enter__(self) -> Steps:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units of `step` are finished (a total of 0 is unknown)."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=total or None, note=note)
            self._started[step] = time.monotonic()
        self._bars.update(self._tasks[step], completed=done, total=total or None, note=note)
        if not self._console.is_terminal and total and done >= total and step in self._started:
            seconds = time.monotonic() - self._started.pop(step)
            self._console.print(f"{step}: {total} in {seconds:.1f} s{'; ' + note if note else ''}")
