"""What records the work that a function gives a device, to repeat it without the function."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")
Replay = Callable[[], None]
"""Repeats recorded work: on the same tensors, with what they then hold."""


class Recorder(ABC):
    """Records a function's work on tensors.

    What the function does in Python is done once, when it is recorded; a replay repeats its operations alone. So
    what changes from one to the next must be in tensors that the function reads, and what it returns is
    overwritten by the next replay.
    """

    @abstractmethod
    def rehearse(self, function: Callable[[], Result]) -> tuple[Result, str]:
        """Run a function as it will be recorded, without recording it.

        Returns:
            What it returned, and why it cannot be recorded, in words; nothing where no reason was seen.
        """

    @abstractmethod
    def record(self, function: Callable[[], Result]) -> tuple[Result, Replay]:
        """Run a function once and record it.

        It must have run several times before, so that all is there that it makes for later.

        Returns:
            What it returned, and what repeats it.

        Raises:
            ConfigurationError: if it cannot be recorded.
        """

    @abstractmethod
    def forget(self) -> None:
        """Begin anew, after all recordings were dropped: their memory is not used again."""


def make_recorder(device: torch.device) -> Recorder | None:
    """Return what records on a device, or None where nothing does."""
    if device.type != "cuda":
        return None
    from kdkit.training.cuda_graph import CudaGraphRecorder

    return CudaGraphRecorder(device)
