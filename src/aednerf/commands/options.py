"""Options that many commands have, as the types of their parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

Out = Annotated[Path, arg(aliases=["-o"])]
Device = Literal["auto", "cpu", "cuda"]
