from pathlib import Path

import pytest

from kdkit import TargetCache

from .builds import build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished cache."""
    build(tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> TargetCache:
    return TargetCache.open(folder)
