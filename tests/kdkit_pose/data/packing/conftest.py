from collections.abc import Callable
from pathlib import Path

import pytest

from kdkit_pose.data import CocoKeypoints, pack


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    """Packs a data set into a folder of its own."""

    def make(data: CocoKeypoints, **options: object) -> Path:
        return pack(data, tmp_path / f"packed{len(list(tmp_path.iterdir()))}", **options)  # type: ignore[arg-type]

    return make
