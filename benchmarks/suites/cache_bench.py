"""What a record of a target cache takes, and how fast records are read in random order.

Raw is how a loader's workers read them: they travel with the batch, and are decoded together on the training's
device. The target is for these.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.measuring import PerSecond
from kdkit import Batch, Binarize, TargetCache, Teacher, build_cache
from kdkit.cache import BitWindow, Dense, RecordCodec, Window
from kdkit.cache.header import CHECKSUM_BYTES

SHAPE = (17, 64, 48)
BATCH = 64
SHARDS = 128  # as many as there are of a large cache
# Where records are large, fewer make a cache that is larger than what a core has for itself.
RECORDS = {BitWindow: 16_384, Window: 8192, Dense: 2048}

Keys = tuple[Tensor, Tensor]


class Persons(Dataset[dict[str, Tensor]]):
    """Nothing but ids and views."""

    def __init__(self, count: int) -> None:
        self.annotation_ids = range(count)

    def fingerprint(self) -> str:
        return "numbers"

    def __len__(self) -> int:
        return len(self.annotation_ids)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        return {"id": torch.tensor(key[0]), "view": torch.tensor(key[1])}


class Peaks(Teacher):
    """A Gaussian a map, somewhere."""

    name, reads, outputs = "peaks", ("id", "view"), ("heatmap",)

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        channels, height, width = SHAPE
        start = (
            batch["id"][:, None] * 7919 + batch["view"][:, None] * 31 + torch.arange(channels) * 613
        ).unsqueeze(2)
        down = torch.exp(-(torch.arange(height) - start % height).square() / 8)
        across = torch.exp(-(torch.arange(width) - start % width).square() / 8)
        return {"heatmap": down.unsqueeze(3) * across.unsqueeze(2)}

    def fingerprint(self) -> str:
        return "peaks"


def built(folder: Path, codec: RecordCodec, records: int, shards: int) -> TargetCache:
    """Return a cache of two views of each person."""
    build_cache(
        folder,
        Peaks(),
        Persons(records // 2),
        codecs={"heatmap": codec},
        transforms={"heatmap": Binarize(0.5)} if isinstance(codec, BitWindow) else {},
        views=2,
        batch_size=256,
        shard_records=-(-records // shards),
    )
    return TargetCache.open(folder)


@pytest.fixture(scope="module")
def cache_of(toy: bool, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RecordCodec], TargetCache]:
    """A cache of records of a codec, made once."""
    caches: dict[RecordCodec, TargetCache] = {}

    def make(codec: RecordCodec) -> TargetCache:
        if codec not in caches:
            folder = tmp_path_factory.mktemp("cache") / "cache"
            records, shards = (256, 4) if toy else (RECORDS[type(codec)], SHARDS)
            caches[codec] = built(folder, codec, records, shards)
        return caches[codec]

    return make


def draws(cache: TargetCache) -> list[Keys]:
    """Return batches of random keys."""
    generator = torch.Generator().manual_seed(0)
    samples = len(cache.ids)
    return [
        (
            cache.ids[torch.randint(samples, (BATCH,), generator=generator)],
            torch.randint(cache.views, (BATCH,), generator=generator),
        )
        for _ in range(32)
    ]


@pytest.mark.parametrize("codec", [BitWindow(11), Window(11), Dense("uint8"), Dense("float16")], ids=repr)
def test_size(measure: Callable[..., None], codec: RecordCodec) -> None:
    most = 330 if isinstance(codec, BitWindow) else None
    size = codec.record_bytes(SHAPE) + CHECKSUM_BYTES
    measure(f"a record of {codec} for {list(SHAPE)}", size, "bytes", at_most=most)


@pytest.mark.parametrize("codec", [BitWindow(11), Window(11), Dense("float16")], ids=repr)
def test_random_reads(
    compare: Callable[..., Any], one_core: None, cache_of: Callable[..., TargetCache], codec: RecordCodec
) -> None:
    cache = cache_of(codec)
    inputs: Sequence[Keys] = draws(cache)
    compare(
        f"random reads of {codec}, records as they are stored",
        {"TargetCache.read_records": lambda keys: cache.read_records(*keys)},
        target=PerSecond(at_least=50_000 if isinstance(codec, BitWindow) else None, items=BATCH, things="records"),
        inputs=inputs,
        calls=20,
        seconds=5,
    )


@pytest.mark.parametrize("codec", [BitWindow(11), Window(11), Dense("float16")], ids=repr)
def test_decoding(
    compare: Callable[..., Any], one_core: None, cache_of: Callable[..., TargetCache], codec: RecordCodec
) -> None:
    cache = cache_of(codec)
    compare(
        f"random reads of {codec}, decoded to float32 on the CPU",
        {"TargetCache.read": lambda keys: cache.read(*keys)["heatmap"]},
        target=PerSecond(items=BATCH, things="records"),
        inputs=draws(cache),
        calls=3,
        seconds=5,
    )


@pytest.mark.parametrize("codec", [BitWindow(11), Dense("float16")], ids=repr)
def test_decoding_on_a_gpu(
    cuda_compare: Callable[..., Any], device: torch.device, toy: bool, tmp_path: Path, codec: RecordCodec
) -> None:
    cache = built(tmp_path / "cache", codec, 256 if toy else 2048, 4)
    moved = [cache.read_records(*keys).to(device) for keys in draws(cache)]
    cuda_compare(
        f"{codec}, decoded to float32 where the batch is",
        {"TargetCache.decode": lambda records: cache.decode(records)["heatmap"]},
        target=PerSecond(items=BATCH, things="records"),
        inputs=moved,
        calls=10,
    )
