"""What distiller and trainer add to a loop written by hand: at a real size, and with next to no network."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.measuring import ExtraSeconds, Time
from benchmarks.reference.kdkit_step import kdkit_step
from benchmarks.reference.minimal_loop import minimal_step
from benchmarks.reference.random_batches import random_batches
from kdkit import Batch
from kdkit_pose import models

ADAM = partial(torch.optim.Adam, lr=1e-3, fused=True)


class Empty(nn.Module):
    """One parameter and one product: a step of it is all overhead."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :1] * self.scale


def both(
    make: Callable[[], nn.Module], teacher: nn.Module | None, batches: Sequence[Batch], folder: Path
) -> dict[str, Callable[[Batch], object]]:
    """Return kdkit's step and the one by hand, each of its own student."""
    student = make()
    by_hand = minimal_step(student, ADAM(student.parameters()), teacher)
    by_kdkit = kdkit_step(make(), teacher, batches, folder, optimizer=ADAM, cpu=True)
    return {"Trainer": by_kdkit, "by hand": by_hand}


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "one teacher"])
def test_hrnet_w16(compare: Callable[..., Any], toy: bool, tmp_path: Path, taught: bool) -> None:
    batches = random_batches(3, 2 if toy else 16, (64, 64) if toy else (96, 128))
    make = partial(models.create, "hrnet_w8_small" if toy else "hrnet_w16")
    teacher = make().eval().requires_grad_(False) if taught else None
    name = "hrnet_w16, 128x96, batch 16" + (", a teacher of the same size" if taught else "")
    compare(name, both(make, teacher, batches, tmp_path / "run"), Time(at_most=1.02), inputs=batches, seconds=40)


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "one teacher"])
def test_empty_network(compare: Callable[..., Any], one_core: None, tmp_path: Path, taught: bool) -> None:
    batches = [
        {
            "image": torch.ones(2, 3, 2, 2),
            "heatmap": torch.ones(2, 1, 2, 2),
            "visible": torch.ones(2, 1),
            "id": torch.arange(2),
        }
    ]
    teacher = Empty().eval().requires_grad_(False) if taught else None
    compare(
        "an empty network" + (" and an empty teacher" if taught else ""),
        both(Empty, teacher, batches, tmp_path / "run"),
        ExtraSeconds(at_most=200e-6),
        inputs=batches,
        calls=200,
        rounds=50,
    )
