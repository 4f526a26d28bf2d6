"""What a step holds in memory: weights, the optimizer's state, and what it allocates beside them."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from benchmarks.profiling.marks import BACKWARD, STEP
from benchmarks.profiling.trace import Trace


@dataclass(frozen=True)
class Memory:
    """Bytes.

    Attributes:
        student: of the student's weights and buffers.
        teacher: of the teacher's weights.
        optimizer: of its state.
        gradients: of the student's gradients, when there are all.
        at_backward: allocated beside weights, state and batch when the backward begins: activations that it needs,
            targets, and gradients where a loop still holds the last ones.
        peak: the most that is allocated beside weights, state and batch.
    """

    student: int
    teacher: int
    optimizer: int
    gradients: int
    at_backward: int
    peak: int

    @property
    def total(self) -> int:
        """All that is held at the peak, the batch aside."""
        return self.student + self.teacher + self.optimizer + self.peak


def held_bytes(tensors: Iterable[object]) -> int:
    """Return the bytes of tensors; what is none counts nothing."""
    return sum(one.numel() * one.element_size() for one in tensors if isinstance(one, Tensor))


def step_memory(trace: Trace, *, gpu: bool) -> tuple[int, int]:
    """Return what the last step of a trace had allocated when its backward began, and at its peak, in bytes.

    The trace begins before a first step, with no gradient held: what is allocated then is not counted.
    """
    step = trace.named(STEP)[-1]
    backward = next(mark.start for mark in trace.named(BACKWARD) if step.holds(mark.start))
    events = [event for event in trace.allocations if event.on_gpu == gpu]
    if not events:
        return 0, 0
    before = events[0].total - events[0].change
    within = [event.total for event in events if step.holds(event.moment)]
    forward = [event.total for event in events if event.moment < backward]
    return (forward[-1] if forward else before) - before, max(within, default=before) - before
