"""A small cache and what it is made of; run as a program, a process that builds it, and may be killed at it.

python builds.py FOLDER [die-at-sample N | die-before-rename N | die-after-rename N]
"""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from kdkit import Binarize, ModuleTeacher, build_cache
from kdkit.cache import BitWindow, BuildReport, Dense
from kdkit.sampling import sample_generator

SHAPE = (5, 8, 6)
SAMPLES, VIEWS, SHARD = 12, 3, 7  # 36 records in 6 shards, the last of 1


class Views(Dataset[dict[str, Tensor]]):
    """Noise that depends on (seed, id, view) alone; ids are out of order, and large."""

    def __init__(self, samples: int = SAMPLES, seed: int = 0, size: tuple[int, int] = (8, 6)) -> None:
        self.seed, self.size = seed, size
        self.annotation_ids = tuple(9_000_000_000 - 17 * (index * 5 % samples) for index in range(samples))
        self.reads = 0

    def fingerprint(self) -> str:
        return f"{len(self)} pictures of noise"

    def __len__(self) -> int:
        return len(self.annotation_ids)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        index, view = key
        self.reads += 1
        draw = sample_generator(self.seed, self.annotation_ids[index], view)
        return {
            "image": torch.from_numpy(draw.standard_normal((3, *self.size), dtype="float32")),
            "heatmap": torch.from_numpy(draw.random((5, *self.size), dtype="float32")),
            "id": torch.tensor(self.annotation_ids[index]),
            "view": torch.tensor(view),
        }


class Mortal(Views):
    """Kills its process at a read."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        if self.reads == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)


def teacher(seed: int = 1) -> ModuleTeacher:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.Sigmoid())
    return ModuleTeacher("large", network, inputs="image", outputs="heatmap")


def build(folder: Path, dataset: Views | None = None, **options: object) -> BuildReport:
    settings = {"codecs": {"heatmap": Dense("float16")}, "views": VIEWS, "shard_records": SHARD, "batch_size": 3}
    who = options.pop("teacher", None) or teacher()
    return build_cache(folder, who, Views() if dataset is None else dataset, **{**settings, **options})


def bits(threshold: float = 0.5) -> dict[str, object]:
    return {"codecs": {"heatmap": BitWindow(4)}, "transforms": {"heatmap": Binarize(threshold)}}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _die_at_rename(number: int, after: bool) -> None:
    replace, done = os.replace, []

    def mortal(source, target):
        done.append(target)
        if after:
            replace(source, target)
        if len(done) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        if not after:
            replace(source, target)

    os.replace = mortal


def _build_and_die(folder: Path, death: str) -> None:
    when, _, count = death.partition("=")
    if when.endswith("rename"):
        _die_at_rename(int(count), after=when == "after-rename")
    build(folder, Mortal(int(count)) if when == "at-sample" else Views())


def _main(folder: Path, order: str, deaths: list[str]) -> None:
    # Forked, not started afresh: importing torch takes longer than all the rest.
    processes = [
        multiprocessing.get_context("fork").Process(target=_build_and_die, args=(folder, death))
        for death in deaths
    ]
    for process in processes:
        process.start()
        if order == "after-another":
            process.join()
            print(process.exitcode, len(list(folder.glob("shard-*.bin"))))
    if order == "at-once":
        for process in processes:
            process.join()
            print(process.exitcode)


if __name__ == "__main__":
    torch.set_num_threads(1)
    _main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
