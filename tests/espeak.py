"""Whether espeak-ng speaks here: it is loaded and asked, not looked for."""

from __future__ import annotations

import pytest

from aednerf.synthetic.voice import is_available

needs_espeak = pytest.mark.skipif(not is_available(), reason="espeak-ng is not installed")
