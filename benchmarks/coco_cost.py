"""What examples/coco_odkd.py takes on COCO: hours from measured times, memory and disk by counting.

    python benchmarks/coco_cost.py                                      # by the committed results
    python benchmarks/coco_cost.py benchmarks/results/<machine>.json    # by a machine's own, after make bench-gpu
    python benchmarks/coco_cost.py --annotations person_keypoints_train2017.json    # counts persons and the pack
    python benchmarks/coco_cost.py --page                               # and puts it into docs/how-to/coco.md

hours = persons * epochs / (persons a second) / 3600. Nothing is scaled from one network, input size or machine to
another: what was not measured is said to be that. Without annotations there are 150,000 persons, the number that
HRNet's paper (arXiv 1902.09212, section 4.1) gives for train2017.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.measuring import Results  # noqa: E402
from benchmarks.page import read_results  # noqa: E402
from kdkit_pose import CocoKeypoints, models  # noqa: E402
from kdkit_pose.codecs import MSRA  # noqa: E402
from kdkit_pose.data import packed_bytes  # noqa: E402

PAGE = ROOT / "docs" / "how-to" / "coco.md"
BEGIN, END = "<!-- Made by benchmarks/coco_cost.py --page: -->\n```text\n", "```\n<!-- to here. -->"
PERSONS, EPOCHS = 150_000, 210
INPUT = (192, 256)  # width, height
LOADED = 32  # persons a call of the suite `loader`
BYTES = 4  # of a float32


@dataclass(frozen=True)
class Speed:
    """How many persons a second something takes.

    Attributes:
        what: was measured.
        persons: a second.
    """

    what: str
    persons: float

    def hours(self, persons: int, epochs: int) -> float:
        """How long so many epochs of so many persons take."""
        return persons * epochs / self.persons / 3600


def training_speeds(results: Results) -> Iterator[Speed]:
    """The speeds of whole training steps that kdkit's trainer took, as far as they were measured."""
    # By suite, the labels that are steps of kdkit's trainer; the others are what it is compared with, or no steps.
    steps = {
        "overhead": ("Trainer",),
        "cached": ("plain training", "cached distillation"),
        "performance": ("max", "max, CUDA graphs"),
        "distill_gpu": ("plain training", "online", "cached"),
    }
    for record in results.records:
        found = re.search(r"\d+x\d+, batch (\d+)", record.name)
        for label in steps.get(record.suite, ()):
            if found is not None and label in record.candidates:
                seconds = record.candidates[label]
                yield Speed(f"{record.name}: {label}", int(found[1]) / seconds)


def loading_speeds(results: Results) -> Iterator[Speed]:
    """The speeds of one core that reads samples at 256x192, with masks where that was measured."""
    labels = ("decoded, with masks", "packed, with masks")
    for record in results.records:
        for label in labels if record.suite == "loader" else ():
            if label in record.candidates:
                yield Speed(label, LOADED / record.candidates[label])


def record_sizes(results: Iterable[Results]) -> dict[str, int]:
    """The bytes of a record of a cache, by its codec, for 17 keypoints at 256x192."""
    pattern = re.compile(r"a record of (.+) for \[17, 64, 48\]")
    return {
        found[1]: int(record.figures[0].value)
        for one in results
        for record in one.records
        if record.suite == "cache" and (found := pattern.fullmatch(record.name)) is not None
    }


def saved_bytes(network: nn.Module, inputs: Sequence[Tensor]) -> int:
    """The bytes that autograd keeps for the backward pass of a forward, parameters and buffers not counted."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network.train()(*inputs)  # holds what is kept, so that no address is used twice
    del output
    return sum(kept.values())


@dataclass(frozen=True)
class Memory:
    """What a network takes of a device's memory.

    Attributes:
        parameters: their number.
        buffers: the number of their values, as BatchNorm's statistics.
        saved: the bytes that training keeps for the backward pass of one person.
    """

    parameters: int
    buffers: int
    saved: int

    @classmethod
    def of(cls, name: str, mask_fusion: str = "none") -> "Memory":
        """Count a network's."""
        network = models.create(name, mask_fusion=mask_fusion)
        width, height = INPUT
        channels = {"image": 3, "mask": 1}
        inputs = [torch.zeros(1, channels[field], height, width) for field in network.inputs]
        buffers = sum(buffer.numel() for buffer in network.buffers())
        return cls(models.count_parameters(network), buffers, saved_bytes(network, inputs))

    @property
    def weights(self) -> int:
        """The bytes of the network itself."""
        return BYTES * (self.parameters + self.buffers)

    @property
    def trained(self) -> int:
        """The same with gradients and Adam's two moments."""
        return self.weights + 3 * BYTES * self.parameters

    def training(self, batch: int, teacher: "Memory | None" = None) -> int:
        """The least bytes that training it takes, with a teacher's weights beside it.

        Not in it: what a layer computes with, the teacher's activations, the samples, what the allocator leaves
        unused. Of several teachers only the stage's own is on the device.
        """
        return self.trained + (teacher.weights if teacher else 0) + batch * self.saved


def time_lines(results: Sequence[Results], persons: int) -> Iterator[str]:
    """What was measured of training and loading, and how long that makes epochs."""
    yield f"Time, for {persons:,} persons: hours = persons * epochs / (persons a second) / 3600"
    yield f"{'persons/s':>11}{'h an epoch':>12}{f'h for {EPOCHS}':>12}  measured"
    for one in results:
        for speed in training_speeds(one):
            hours = f"{speed.hours(persons, 1):>12.2f}{speed.hours(persons, EPOCHS):>12.0f}"
            yield f"{speed.persons:>11.1f}{hours}  {speed.what} ({one.machine.name})"
    experiments = [line for one in results for line in experiment_lines(one, persons)]
    yield from experiments
    if not experiments:
        yield "  Steps of 256x192, and any on a GPU: not measured. Those above only show how hours are computed."
    yield "  HRNet-W48's own training, and steps with HRNet-W32 as the teacher: not measured."
    yield ""
    yield "Samples of 256x192 that one core reads: a step that takes n persons/s needs n / (this) cores"
    for one in results:
        for speed in loading_speeds(one):
            yield f"{speed.persons:>11.0f} persons/s  {speed.what} ({one.machine.name})"


def experiment_lines(results: Results, persons: int) -> Iterator[str]:
    """How long the students of the experiment take where their steps were measured, a line for each batch size."""
    for record in results.records:
        if record.suite == "distill_gpu" and {"plain training", "online", "cached"} <= record.candidates.keys():
            speeds = {one.what: one for one in training_speeds(Results(results.machine, (record,)))}
            hours = {
                label: speeds[f"{record.name}: {label}"].hours(persons, EPOCHS) for label in record.candidates
            }
            what = f"{record.name.removeprefix('cached, ')} ({results.machine.name})"
            yield f"  {what}: the student's {EPOCHS} epochs"
            yield f"    plain {hours['plain training']:.1f} h, from caches {hours['cached']:.1f} h"
            yield f"    distill {hours['online']:.1f} h at most: as if the primary were as slow as the senior"


def network_line(title: str, memory: Memory) -> str:
    """What a network takes, alone and in training."""
    weights, trained, saved = (f"{size / 1e6:.0f} MB" for size in (memory.weights, memory.trained, memory.saved))
    return f"  {title}: {weights} weights; in training {trained}, and {saved} a person"


def memory_lines(batch: int) -> Iterator[str]:
    """What the networks of the experiment take of a device's memory at least."""
    student, primary = Memory.of("hrnet_w16"), Memory.of("hrnet_w32")
    senior = Memory.of("hrnet_w48", "concat")
    yield "Memory at 256x192, counted, in float32: weights; in training weights, gradients and Adam's two moments,"
    yield "and what the backward pass needs of each person"
    networks = {"HRNet-W16": student, "HRNet-W32": primary, "HRNet-W48 + mask": senior}
    yield from (network_line(title, memory) for title, memory in networks.items())
    least = {
        "plain": student.training(batch),
        "distill": student.training(batch, senior),
        "senior": senior.training(batch),
    }
    told = ", ".join(f"{step} {count / 1e9:.1f} GB" for step, count in least.items())
    yield f"  With {batch} persons a step, at least: {told}"
    yield "  Peaks, and what bf16 and the compiler save: not measured."


def disk_lines(results: Sequence[Results], persons: int, packed: int | None) -> Iterator[str]:
    """What packed persons and caches take of the disk."""
    yield f"Disk, for {persons:,} persons"
    yield f"  packed persons: {'give --annotations' if packed is None else f'{packed / 1e9:.1f} GB'}"
    shown = {
        "BitWindow(size=11)": ("the senior's 105 views, binarized", 105),
        "Window(size=11, dtype='uint8')": ("a canonical cache", 1),
    }
    for codec, size in record_sizes(results).items():
        if codec in shown:
            what, views = shown[codec]
            yield f"  {what}: {persons * views * size / 1e9:.1f} GB ({codec}, {size:,} bytes a record)"


def count(annotations: Path) -> tuple[int, int]:
    """How many persons are trained on, and the bytes that packing them takes; no picture is looked at."""
    data = CocoKeypoints(annotations, annotations.parent, codec=MSRA(INPUT), verify=False)
    return len(data), packed_bytes(data)


def report(results: Sequence[Results], annotations: Path | None = None, batch: int = 128) -> str:
    """All of it as text.

    Args:
        results: of each machine.
        annotations: of the training persons, to count them and what packing them takes; 150,000 without.
        batch: persons a step.
    """
    persons, packed = (PERSONS, None) if annotations is None else count(annotations)
    parts = (time_lines(results, persons), memory_lines(batch), disk_lines(results, persons, packed))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def on_page(page: str, text: str) -> str:
    """The page's text with the report in its place."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + text + END + rest.split(END)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="*", help="files of results; the committed ones by default")
    parser.add_argument("--annotations", type=Path, help="of the training persons")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--page", action="store_true", help="write what it gives for the committed results there")
    options = parser.parse_args()
    committed = read_results(ROOT / "benchmarks" / "results")
    results = [Results.read(path) for path in options.results] or committed
    print(report(results, options.annotations, options.batch_size), end="")
    if options.page:
        PAGE.write_text(on_page(PAGE.read_text(encoding="utf-8"), report(committed)), encoding="utf-8")


if __name__ == "__main__":
    main()
