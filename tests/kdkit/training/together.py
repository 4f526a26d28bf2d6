"""Courses of training for one process or several: a program that torchrun starts, and plain Python alone.

    python together.py FOLDER COURSE [COURSE ...]

``SIGNAL=1:4:15`` lets process 1 send itself signal 15 before its fifth step.
"""

import gc
import json
import os
import sys
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from torch import nn
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader, Dataset

from kdkit import (
    Binarize,
    CachedTeacher,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    ModuleTeacher,
    Plateau,
    RunFolderError,
    ShardedTeacher,
    Stage,
    Steps,
    Student,
    Supervise,
    TargetCache,
    Trainer,
    build_cache,
    losses,
)
from kdkit.cache import Dense
from kdkit.sampling import ViewSampler, sample_generator

COURSES = (
    "odkd",
    "features",
    "cached",
    "accumulated",
    "plateau",
    "uneven",
    "weighted",
    "shuffled",
    "batches",
    "sharded",
)
BATCH, SAMPLES = 6, 18
RANK = int(os.environ.get("RANK", "0"))


class Maps(Dataset):
    """Pictures and heatmaps of noise, drawn for a sample and a view."""

    seed = 0

    def __init__(self, samples: int = SAMPLES) -> None:
        self.annotation_ids = tuple(range(samples))

    def fingerprint(self) -> str:
        return f"{len(self)} maps of noise"

    def __len__(self) -> int:
        return len(self.annotation_ids)

    def __getitem__(self, key):
        index, view = key if isinstance(key, tuple) else (key, 0)
        draw = sample_generator(self.seed, index, view)
        numbers = {"image": draw.random((3, 8, 8)), "heatmap": draw.random((5, 8, 8))}
        named = {name: torch.from_numpy(value) for name, value in numbers.items()}
        return {**named, "id": torch.tensor(index), "view": torch.tensor(view)}


def network(width: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 5, 1)
    return nn.Sequential(*layers).double()


def teacher(name: str, seed: int) -> ModuleTeacher:
    return ModuleTeacher(name, network(12, seed), "image", "heatmap", features={"hidden": "1"})


def loader(samples: int = SAMPLES, batch: int = BATCH, views: int | None = None) -> DataLoader:
    sampler = ViewSampler(samples, seed=3, views=views)
    return DataLoader(Maps(samples), batch, sampler=sampler, generator=torch.Generator().manual_seed(0))


def error(module: nn.Module) -> dict[str, float]:
    held_out = Maps()[0, 99]
    with torch.no_grad():
        found = module(held_out["image"][None])
    return {"val/error": float((found - held_out["heatmap"]).square().mean())}


def one_stage(*objectives, until=None) -> Curriculum:
    return Curriculum(Stage("only", list(objectives), until=until or Epochs(2)))


def train(name: str, folder: Path) -> None:
    """Go through a course in a folder of its name."""
    student, batches, options = Student(network(4, 0)), loader(), {}
    truth = Supervise("heatmap", losses.mse)
    if name == "odkd":
        known = {"transform": Binarize(0.5), "weight": 0.5}
        stages = [
            Stage("primary", [truth, Distill(teacher("primary", 1), "heatmap", losses.mse)], until=Steps(4)),
            # Frozen when the student is distributed, and thawed later.
            Stage(
                *("senior", [truth, Distill(teacher("senior", 2), "heatmap", losses.mse, **known)]),
                until=Steps(5),
                freeze=("0",),
                optimizer="fresh",
            ),
            Stage("free", [truth], until=Steps(3)),
        ]
        curriculum = Curriculum(*stages)
        options = {"ema": 0.9, "clip_norm": 1.0}
    elif name == "features":
        wide = teacher("wide", 1)
        student = Student(network(4, 0), features={"hidden": "1"})
        torch.manual_seed(5)
        student.adapt("hidden_wide", "hidden", wide, {"image": Maps()[0, 0]["image"][None]}).module.double()
        hint = Distill(wide, "hidden_wide", losses.hint, target="hidden")
        # The adaptor is unused in the second stage.
        curriculum = Curriculum(
            Stage("hint", [truth, hint], until=Epochs(1)), Stage("plain", [truth], until=Epochs(1))
        )
    elif name == "cached":
        if RANK == 0:
            build_cache(
                folder / "targets", teacher("kept", 1), Maps(), codecs={"heatmap": Dense("float16")}, views=2
            )
            (folder / "made").touch()
        while not (folder / "made").exists():
            pass
        cached = CachedTeacher("kept", TargetCache.open(folder / "targets"))
        batches = loader(views=2)
        curriculum = one_stage(truth, Distill(cached, "heatmap", _of_any_type))
    elif name == "accumulated":
        curriculum = one_stage(truth, Distill(teacher("one", 1), "heatmap", losses.mse))
        batches, options = loader(batch=4), {"accumulate": 2}  # five batches an epoch: the last step is of one
    elif name == "plateau":
        stage = Stage("first", [truth], until=Plateau("val/error", patience=1, mode="min", min_delta=0.001))
        curriculum = Curriculum(stage, Stage("second", [truth], until=Epochs(2)))
        # Each process would find another end of the first stage.
        metrics = iter([1.0, 0.9, 0.9] + [0.5] * 9) if RANK == 0 else iter([1.0, 1.0] + [0.5] * 9)
        options = {"evaluate": lambda module: {"val/error": next(metrics)}}
    elif name == "sharded":
        whole = teacher("large", 1)
        if torch.distributed.is_initialized():
            whole = ShardedTeacher(whole, unit=100, device="cpu")
            assert whole.units == 2  # the first convolution, and the rest
            held = sum(value.to_local().numel() for value in whole.parameters())
            assert held < sum(value.numel() for value in whole.parameters())
        curriculum = one_stage(truth, Distill(whole, "heatmap", losses.mse))
    elif name == "uneven":
        curriculum, batches = one_stage(truth), loader(samples=14, batch=5)
    elif name == "weighted":
        # Each process has another share of the region, and of the samples.
        regional = Supervise("heatmap", losses.mse, region=_late_ids, reduction="weighted_mean")
        curriculum, batches = one_stage(regional), loader(samples=14, batch=5)
    elif name == "shuffled":
        torch.manual_seed(7 + RANK)  # the order is drawn from a generator that differs
        curriculum, batches = one_stage(truth), DataLoader(Maps(), BATCH, shuffle=True)
    else:
        parts = [[Maps()[index, 0] for index in range(start, start + BATCH)] for start in (0, 6, 12)]
        whole = [torch.utils.data.default_collate(part) for part in parts]
        curriculum, batches = one_stage(truth), whole
    options = {"evaluate": error, "mode": "min", **options}
    trainer = Trainer(
        *(Distiller(student, curriculum), batches),
        optimizer=partial(torch.optim.SGD, lr=0.05, momentum=0.9),
        out=folder / name,
        cpu=True,
        progress=False,
        log_every=1,
        checkpoint_steps=1,
        **options,
    )
    if "SIGNAL" in os.environ:
        rank, at, number = map(int, os.environ["SIGNAL"].split(":"))
        step = trainer.step

        def signalled(*group):
            if rank == RANK and trainer.distiller.curriculum.steps == at:
                os.kill(os.getpid(), number)
            return step(*group)

        trainer.step = signalled
    trainer.fit()
    if name == "sharded" and torch.distributed.is_initialized():
        assert all(isinstance(value, DTensor) for value in whole.parameters())  # nothing is kept whole


def refused(folder: Path) -> None:
    """Begin where files of another run lie, and write what each process is told."""
    if RANK == 0:
        (folder / "refused").mkdir()
        (folder / "refused" / "metrics.jsonl").touch()
    try:
        train("refused", folder)
    except RunFolderError as error:
        (folder / f"refused-{RANK}").write_text(str(error))


def _late_ids(batch):
    return (batch["id"] % 4)[:, None]


def _of_any_type(prediction, target):
    return losses.mse(prediction, target.to(prediction.dtype))


def main() -> None:
    torch.set_num_threads(1)
    PartialState(cpu=True)
    folder = Path(sys.argv[1])
    if "FOLDERS" in os.environ:  # as on machines that share none
        folder = Path(os.environ["FOLDERS"]) / str(RANK) / folder
    folder.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        refused(folder) if name == "refused" else train(name, folder)
    seen = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if seen > 1:
        gc.collect()
        torch.distributed.destroy_process_group()
    if RANK == 0:
        (folder / "processes.json").write_text(json.dumps(seen))
    if "sharded" in sys.argv:
        # PyTorch keeps a group that FSDP has used, and its threads now and then abort a process that ends.
        os._exit(0)
    left = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in left if "gloo" in name], f"threads outlive their group: {left}"


if __name__ == "__main__":
    main()
