"""Small sets of shards, and samples that depend on (seed, id, view) alone."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from kdkit.sampling import sample_generator
from kdkit.streaming import ShardIndex, ShardSample, write_shard

SIZES = (7, 3, 11, 5, 9, 1, 8, 6)  # 50 samples


def members(number: int) -> dict[str, bytes]:
    buffer = io.BytesIO()
    np.save(buffer, np.full((2, 3), number, dtype=np.float32), allow_pickle=False)
    return {"npy": buffer.getvalue(), "json": json.dumps({"number": number}).encode()}


class Noisy:
    """A data set that is read by (shard sample, view)."""

    def __getitem__(self, index: tuple[ShardSample, int]) -> dict[str, torch.Tensor]:
        sample, view = index
        noise = sample_generator(5, sample.id, view).standard_normal((2, 3), dtype="float32")
        return {
            "image": torch.from_numpy(sample.array("npy") + noise),
            "id": torch.tensor(sample.id),
            "view": torch.tensor(view),
        }


@pytest.fixture
def make_shards(tmp_path: Path) -> Callable[..., Path]:
    def make(sizes: Sequence[int] = SIZES, name: str = "shards") -> Path:
        pytest.importorskip("webdataset", reason="the extra 'streaming' is not installed")
        folder, first, written = tmp_path / name, 100, []
        for number, size in enumerate(sizes):
            samples = [(f"{first + i:012d}", members(first + i)) for i in range(size)]
            written.append(write_shard(folder / f"shard-{number:05d}.tar", samples))
            first += size
        ShardIndex(tuple(written)).write(folder)
        return folder

    return make


@pytest.fixture
def noisy() -> Noisy:
    return Noisy()
