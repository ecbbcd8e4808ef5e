"""The clock: which source frame is shown at each tick of a constant frame rate, by time stamp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

Item = TypeVar("Item")


def nearest_in_time(
    timed: Iterable[tuple[Fraction, Fraction, Item]], fps: Fraction | int, start_s: Fraction | int = 0
) -> Iterator[Item]:
    """Yield, for each tick `start_s + k / fps`, the item whose time is nearest (the earlier one of two as near).

    Times are exact fractions, so that nothing drifts however long the stream is. The last item lasts for its duration:
    the number of ticks is the length of the stream from `start_s` times `fps`, rounded to the nearest, and at least 1
    where anything lies at or after `start_s`.

    Args:
        timed: (time in seconds, duration in seconds, item), in the order of showing; an item that is not later than
            the one before it is left out.
        fps: ticks per second.
        start_s: time of the first tick in seconds.

    >>> thirty = ((Fraction(i, 30), Fraction(1, 30), i) for i in range(12))
    >>> list(nearest_in_time(thirty, 25))
    [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]
    """
    tick = 0
    held: tuple[Fraction, Fraction, Item] | None = None
    for entry in timed:
        if held is not None:
            if entry[0] <= held[0]:
                continue
            middle = (held[0] + entry[0]) / 2
            while start_s + Fraction(tick) / fps <= middle:
                yield held[2]
                tick += 1
        held = entry
    if held is None:
        return
    time, duration, item = held
    end = time + duration
    if end <= start_s:
        return
    n_ticks = max(1, int((end - start_s) * fps + Fraction(1, 2)))
    while tick < n_ticks:
        yield item
        tick += 1
