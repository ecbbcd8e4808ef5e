"""Coefficients that the user sets by hand, for the whole speech or over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.files import read_json
from aednerf.core.records import ARKIT_NAMES, Array


@dataclass(frozen=True)
class ExpressionOverride:
    """Values over time for some of the 52 coefficients; the others are left alone."""

    keys: dict[str, tuple[tuple[float, float], ...]]
    """By name: (seconds, value) pairs in order of time, linear in between, held before the first and after the last."""

    @staticmethod
    def load(path: str | Path) -> ExpressionOverride:
        """Read JSON: `{"mouthSmileLeft": 0.4}`, or `[{"t": 0.0, "expression": {"mouthSmileLeft": 0.4}}, ...]`.

        Raises:
            InputError: the file is missing or is not as above, a name is unknown, or a value lies outside [0, 1].
        """
        content = read_json(path)
        keys = [{"t": 0.0, "expression": content}] if isinstance(content, dict) else content
        if not isinstance(keys, list) or not keys:
            raise InputError(f'{path}: expected coefficients such as {{"mouthSmileLeft": 0.4}}, or a list of keys over time.')
        collected: dict[str, list[tuple[float, float]]] = {}
        last = -math.inf
        for number, key in enumerate(keys):
            if not isinstance(key, dict) or key.keys() != {"t", "expression"} or not isinstance(key["expression"], dict):
                raise InputError(f"{path}: key {number} must have t and expression, got {key!r}.")
            time = _number(key["t"], 0.0, math.inf, f"{path}: t of key {number}")
            if time <= last:
                raise InputError(f"{path}: key {number} at {time} s does not come after the one before it: sort the keys.")
            last = time
            for name, value in key["expression"].items():
                if name not in ARKIT_NAMES:
                    raise InputError(f"{path}: {name!r} is none of the 52 ARKit coefficients (such as jawOpen or browInnerUp).")
                collected.setdefault(name, []).append((time, _number(value, 0.0, 1.0, f"{path}: {name}")))
        return ExpressionOverride({name: tuple(pairs) for name, pairs in collected.items()})

    def apply(self, expression: Array, time_s: float) -> None:
        """Set the named coefficients of one frame's expression [52], in place."""
        for name, pairs in self.keys.items():
            times, values = zip(*pairs, strict=True)
            expression[ARKIT_NAMES.index(name)] = np.interp(time_s, times, values)


def _number(value: Any, low: float, high: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or not math.isfinite(value):
        raise InputError(f"{what} must be a number in [{low:g}, {high:g}], got {value!r}.")
    return float(value)
