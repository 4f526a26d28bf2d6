"""Feature distillation of HRNet-W32 into HRNet-W16: eager, compiled, and in two processes, with the same losses.

The teacher's and the student's third stage are named by module path, a 1x1 convolution brings 16 channels to 32,
and the same four random pictures are learned from in three ways, two pictures at a time: one eager process, the
same with the student under torch.compile(fullgraph=True), and two processes under DistributedDataParallel.
Prints each step's loss and the largest relative difference from the eager one.

    python benchmarks/feature_distillation.py                          # inductor: minutes of compiling on a CPU
    python benchmarks/feature_distillation.py --backend aot_eager      # the same graph, without generated code
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import kdkit as kd
from kdkit_pose import models

PROCESSES = 2


def make_distiller(options: argparse.Namespace) -> kd.Distiller:
    """The same networks, weights and adaptor in every process."""
    torch.manual_seed(0)
    strong, light = models.create(options.teacher), models.create(options.student)
    place = {"stage3": "stage3[0]"}  # of the list of branches that stage 3 returns, the finest
    senior = kd.ModuleTeacher("senior", strong, "image", "heatmap", features=place)
    adaptor = kd.Adaptor.conv("stage3", light.config.width, strong.config.width)
    learner = kd.Student(light, features=place, adaptors={"stage3_wide": adaptor})
    if options.double:
        strong.double(), learner.double()
    objectives = [
        kd.Supervise("heatmap", kd.losses.mse),
        kd.Distill(senior, "stage3_wide", kd.losses.hint, target="stage3"),
    ]
    return kd.Distiller(learner, kd.Curriculum(kd.Stage("features", objectives, until=kd.Steps(options.steps))))


def batches(options: argparse.Namespace) -> list[dict[str, Tensor]]:
    """One batch a process."""
    draw, size = torch.Generator().manual_seed(1), options.size
    dtype = torch.float64 if options.double else torch.float32
    return [
        {
            "image": torch.randn(2, 3, size, size, generator=draw).to(dtype),
            "heatmap": torch.rand(2, 17, size // 4, size // 4, generator=draw).to(dtype),
        }
        for _ in range(PROCESSES)
    ]


def train(distiller: kd.Distiller, own: list[dict[str, Tensor]], share: float) -> list[float]:
    """Learn from the batches in every step, each one's loss counting ``share``; return the steps' losses."""
    optimizer = torch.optim.SGD(distiller.student.parameters(), lr=0.01, momentum=0.9)
    losses = []
    while not distiller.curriculum.finished:
        total = 0.0
        for batch in own:
            step = distiller(batch)
            (step.total * share).backward()
            total += float(step.total.detach()) / len(own)
        optimizer.step()
        optimizer.zero_grad()
        distiller.advance()
        losses.append(total)
    return losses


def train_in_process(rank: int, folder: str, options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=PROCESSES
    )
    distiller = make_distiller(options)
    distiller.distribute(DistributedDataParallel)
    # The gradients are averaged over the processes, so each one's loss counts in full.
    losses = torch.tensor(train(distiller, [batches(options)[rank]], share=1.0), dtype=torch.float64)
    torch.distributed.all_reduce(losses)
    if rank == 0:
        Path(folder, "losses.json").write_text(json.dumps((losses / PROCESSES).tolist()), encoding="utf-8")
    torch.distributed.destroy_process_group()


def train_in_two_processes(options: argparse.Namespace) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train_in_process, (folder, options), nprocs=PROCESSES)
        losses: list[float] = json.loads(Path(folder, "losses.json").read_text(encoding="utf-8"))
    return losses


def check_export(distiller: kd.Distiller, name: str) -> int:
    """Save the student, load it into a fresh network, and return the number of its entries."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "student.safetensors")
        models.save(distiller.student.module, path)
        state = load_file(path)
    fresh = models.create(name)
    fresh.load_state_dict(state, strict=True)
    assert state.keys() == fresh.state_dict().keys()
    return len(state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="hrnet_w32", choices=models.names())
    parser.add_argument("--student", default="hrnet_w16", choices=models.names())
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps")
    parser.add_argument("--size", type=int, default=64, help="height and width of the pictures, in pixels")
    parser.add_argument("--double", action="store_true", help="in float64, where rounding is no excuse")
    parser.add_argument("--json", type=Path, help="write the losses here too")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    runs: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for name in ("eager", f"compiled ({options.backend})", "two processes"):
        start = time.monotonic()
        if name == "two processes":
            runs[name] = train_in_two_processes(options)
        else:
            distiller = make_distiller(options)
            if name != "eager":
                distiller.compile(fullgraph=True, backend=options.backend)
            runs[name] = train(distiller, batches(options), share=1 / PROCESSES)
        seconds[name] = time.monotonic() - start
    entries = check_export(distiller, options.student)

    print(f"{options.teacher} -> {options.student}, {options.size}x{options.size} pixels, features at stage3[0]")
    for name, losses in runs.items():
        apart = max(abs(a - b) / abs(b) for a, b in zip(losses, runs["eager"], strict=True))
        values = " ".join(f"{loss:.6f}" for loss in losses)
        print(f"{name:22} losses {values}   largest difference {apart:.1e}   {seconds[name]:.0f} s")
    print(f"exported: {entries} entries, those of a fresh {options.student}, no adaptor among them")
    if options.json:
        options.json.write_text(json.dumps({"losses": runs, "entries": entries}), encoding="utf-8")


if __name__ == "__main__":
    main()
