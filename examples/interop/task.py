"""What the three recipes share: a small dense task, two teachers, a student, and a curriculum of two stages."""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import kdkit as kd
from kdkit.sampling import ViewSampler, sample_generator

SIZE, BATCH = 16, 8


class Squares(Dataset):
    """A bright square on noise, another one in every view; to find: where it is, in its colour's map."""

    def __init__(self, pictures: int, seed: int) -> None:
        self.pictures, self.seed = pictures, seed

    def __len__(self) -> int:
        return self.pictures

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Tensor]:
        index, view = key if isinstance(key, tuple) else (key, 0)
        draw = sample_generator(self.seed, index, view)
        colour, (top, left) = draw.integers(3), draw.integers(SIZE - 5, size=2)
        image = torch.from_numpy(draw.standard_normal((3, SIZE, SIZE), dtype="float32"))
        heatmap, mask = torch.zeros(3, SIZE, SIZE), torch.zeros(1, SIZE, SIZE)
        heatmap[colour, top : top + 5, left : left + 5] = mask[0, top : top + 5, left : left + 5] = 1
        return {"image": image + 2 * heatmap, "mask": mask, "heatmap": heatmap}


def loader(pictures: int = 48, *, train: bool) -> DataLoader:
    data = Squares(pictures, seed=0 if train else 1)
    sampler = ViewSampler(pictures, seed=0, shuffle=train, views=None if train else 1)
    # A generator of its own: drawing batches must not disturb the global one, which dropout draws from.
    return DataLoader(data, BATCH, sampler=sampler, generator=torch.Generator())


class Network(nn.Module):
    """Reads one field or several, side by side; gives a map for each colour."""

    def __init__(self, channels: int, width: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        first, last = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.layers = nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout2d(0.1), last)

    def forward(self, *fields: Tensor) -> Tensor:
        return self.layers(torch.cat(fields, 1))


def on(device: torch.device | str, batch: kd.Batch) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in batch.items()}


def error(predicted: Tensor, batch: kd.Batch) -> Tensor:
    return (predicted - batch["heatmap"]).square().mean()


def evaluate(network: nn.Module) -> dict[str, float]:
    network.eval()
    batches = (on(next(network.parameters()).device, batch) for batch in loader(train=False))
    with torch.no_grad():
        errors = [error(network(batch["image"]), batch) for batch in batches]
    return {"val/error": float(torch.stack(errors).mean())}


def distiller(first: kd.Condition, second: kd.Condition) -> kd.Distiller:
    # These teachers know nothing yet; yours come from files. The senior one also sees the square's mask.
    primary = kd.ModuleTeacher("primary", Network(3, 12, seed=1), inputs="image", outputs="heatmap")
    senior = kd.ModuleTeacher("senior", Network(4, 12, seed=2), inputs=("image", "mask"), outputs="heatmap")
    truth = kd.Supervise("heatmap", kd.losses.mse)
    fading = kd.Distill(primary, "heatmap", kd.losses.mse, weight=kd.Linear(0.5, 0.0))
    steady = kd.Distill(senior, "heatmap", kd.losses.mse, weight=0.1, transform=kd.Binarize(0.5))
    curriculum = kd.Curriculum(
        kd.Stage("primary", [truth, fading], until=first),
        kd.Stage("senior", [truth, steady], until=second, learning_rate=3e-3, optimizer="fresh"),
    )
    student = kd.Student(Network(3, 8, seed=3), inputs="image", outputs="heatmap")
    return kd.Distiller(student, curriculum)


def start(out: str) -> tuple[kd.Distiller, Path]:
    """Read a recipe's command line; the second stage ends early where the error no longer falls."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(out), help="folder to write to, and to go on from")
    parser.add_argument("--epochs", type=int, default=4, help="of each stage, at most")
    options = parser.parse_args()
    second = kd.Epochs(options.epochs) | kd.Plateau("val/error", patience=2, mode="min")
    return distiller(kd.Epochs(options.epochs), second), options.out
