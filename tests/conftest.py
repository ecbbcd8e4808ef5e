"""Fixtures shared by all tests: the folders of third-party models and of recordings, where they exist."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    path = Path(value.split(os.pathsep)[0])
    if not path.is_dir():
        pytest.skip(f"{variable} names {path}, which is no folder")
    return path


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of third-party models, `AEDNERF_ASSETS`; the test is skipped without it."""
    return _folder("AEDNERF_ASSETS")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recordings, `AEDNERF_DATA`; the test is skipped without it."""
    return _folder("AEDNERF_DATA")
