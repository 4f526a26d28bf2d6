"""The hand-written minimal loop: a student's step, alone or with one teacher, and nothing besides.

It computes what these objectives do, and so is what a step of theirs may cost at least without changing how the
networks run:

    Supervise("heatmap", losses.mse, weight=0.5, region="visible")
    Distill(teacher, "heatmap", losses.mse, weight=0.5, region="visible")
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from kdkit import Batch

Step: TypeAlias = Callable[[Batch], Tensor]
Network: TypeAlias = Callable[..., Tensor]


def minimal_step(
    student: Network,
    optimizer: Optimizer,
    teacher: Network | None = None,
    *,
    teacher_inputs: tuple[str, ...] = ("image",),
    precision: torch.dtype | None = None,
) -> Step:
    """Return a function that trains the student on a batch and returns the loss, which stays on the device.

    Args:
        student: image [B, 3, H, W] to heatmaps [B, K, h, w]; in training mode.
        optimizer: of its parameters.
        teacher: gives heatmaps, too; in eval mode and frozen.
        teacher_inputs: the batch fields the teacher is called with.
        precision: of the student's autocast, or None for float32 throughout.
    """

    def step(batch: Batch) -> Tensor:
        visible = batch["visible"][:, :, None, None]
        target = None
        if teacher is not None:
            with torch.no_grad():
                target = teacher(*(batch[name] for name in teacher_inputs)).float()
        with autocast(batch["image"], precision):
            heatmap = student(batch["image"])
        heatmap = heatmap.float()
        loss = 0.5 * (F.mse_loss(heatmap, batch["heatmap"], reduction="none") * visible).mean()
        if target is not None:
            loss = loss + 0.5 * (F.mse_loss(heatmap, target, reduction="none") * visible).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def autocast(like: Tensor, precision: torch.dtype | None) -> AbstractContextManager[object]:
    """Return autocast to a precision on a tensor's device; none for None."""
    return nullcontext() if precision is None else torch.autocast(like.device.type, precision)
