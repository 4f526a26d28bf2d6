"""The limit of a distillation step: the teacher's forward alone and the student's training step alone, each at
its best, one after the other. A step of both can only reach it by losing nothing in between.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.reference.minimal_loop import Step, minimal_step
from kdkit import Batch


def best_student_step(
    student: nn.Module,
    *,
    precision: torch.dtype | None = torch.bfloat16,
    compile_mode: str | None = "default",
    learning_rate: float = 1e-3,
) -> Step:
    """Return the fastest training step of a student without a teacher.

    Channels lie innermost, the forward and its backward are compiled, autocast is on, and Adam is one fused kernel
    on the device.

    Args:
        student: moved to channels_last in place.
        precision: of the autocast; None for float32.
        compile_mode: of ``torch.compile``; None leaves it out.
        learning_rate: Adam's.
    """
    student = student.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate, fused=True)
    run: Callable[[Tensor], Tensor] = student
    student.train()
    if compile_mode is not None:
        run = torch.compile(student, mode=compile_mode)
    return minimal_step(run, optimizer, precision=precision)


def best_teacher(
    teacher: nn.Module,
    inputs: tuple[str, ...],
    *,
    precision: torch.dtype = torch.bfloat16,
    compile_mode: str | None = "default",
) -> Callable[[Batch], Tensor]:
    """Return the fastest forward of a frozen network: weights cast once, channels innermost, compiled.

    ``torch.compile`` fuses each BatchNorm in eval mode, which is a multiplication and a sum a channel, into its
    neighbours.

    Args:
        teacher: is copied.
        inputs: the batch fields it is called with.
        precision: of its weights and inputs.
        compile_mode: of ``torch.compile``; None leaves it out.
    """
    cast = copy.deepcopy(teacher).eval().requires_grad_(False)
    cast = cast.to(precision).to(memory_format=torch.channels_last)
    run = cast if compile_mode is None else torch.compile(cast, mode=compile_mode)

    def targets(batch: Batch) -> Tensor:
        fields = [batch[name].to(precision, memory_format=torch.channels_last) for name in inputs]
        with torch.no_grad():
            heatmap: Tensor = run(*fields).float()
        return heatmap

    return targets
