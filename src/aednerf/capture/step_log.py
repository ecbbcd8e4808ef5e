"""Which steps of an unfinished capture are done, and with what inputs: what makes `prepare` resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aednerf.core.errors import InputError
from aednerf.core.files import read_json, write_json

LOG_NAME = "steps.json"


class StepLog:
    """Run steps in sequence, each only if it was not finished before with the same inputs.

    A step's key is a hash of its name, its own inputs and the key of the step before it. So a change restarts the first
    step that it concerns and all that follow, and nothing before. Each step writes its files atomically; its key is
    noted after that, so a step that was killed runs again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME
        self._last_key = ""
        self._done = self._read()

    def run(self, name: str, inputs: dict[str, Any], work: Callable[[], None]) -> bool:
        """Run the step `name` unless it is done; return whether it ran.

        Args:
            name: the step's name, also used to name it to the user.
            inputs: everything that its result depends on besides the steps before it, as JSON.
            work: does the step.
        """
        text = json.dumps([name, inputs, self._last_key], sort_keys=True)
        self._last_key = hashlib.sha256(text.encode()).hexdigest()
        if self._done.get(name) == self._last_key:
            return False
        work()
        self._done[name] = self._last_key
        write_json(self._path, self._done)
        return True

    def _read(self) -> dict[str, str]:
        try:
            value = read_json(self._path)
        except InputError:
            return {}
        return {str(name): str(key) for name, key in value.items()} if isinstance(value, dict) else {}
