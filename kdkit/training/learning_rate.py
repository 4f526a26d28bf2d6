"""The optimizer's learning rate, as the active stage wants it."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from kdkit.curriculum import Curriculum
from kdkit.errors import ConfigurationError
from kdkit.schedule import Schedule


class LearningRate:
    """Sets an optimizer's rates from the stage's schedule and warm-up.

    Args:
        optimizer: its rates at this moment are its own, used in stages that set none.

    Raises:
        ConfigurationError: if the first group's rate is 0, to which no other rate has a ratio.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._own = [float(group["lr"]) for group in optimizer.param_groups]
        self.current = self._own[0]
        self._tensors: list[Tensor] = []
        self._filled: list[float] = []
        if self.current <= 0:
            raise ConfigurationError(f"the optimizer's learning rate is {self.current}: it must be above 0")

    def apply(self, curriculum: Curriculum) -> float:
        """Set the rates for the coming step and return the first group's."""
        stage = curriculum.stage
        factor = 1.0
        if isinstance(stage.learning_rate, Schedule):
            factor = curriculum.value(stage.learning_rate) / self._own[0]
        if curriculum.progress.steps < stage.warmup_steps:
            factor *= (curriculum.progress.steps + 1) / stage.warmup_steps
        if self._tensors:
            self._fill([own * factor for own in self._own])
        else:
            for group, own in zip(self._optimizer.param_groups, self._own, strict=True):
                group["lr"] = own * factor
        self.current = self._own[0] * factor
        return self.current

    def keep_on_device(self, device: torch.device) -> None:
        """Give the optimizer tensors [] for rates from now on, always the same, so that its step can be recorded.

        On CUDA they are in float32, which its fused optimizers read.
        """
        dtype = torch.float32 if device.type == "cuda" else torch.float64
        self._filled = list(self._own)
        self._tensors = [torch.tensor(own, dtype=dtype, device=device) for own in self._own]

    def _fill(self, rates: list[float]) -> None:
        for position, (group, rate) in enumerate(zip(self._optimizer.param_groups, rates, strict=True)):
            group["lr"] = self._tensors[position]
            if rate != self._filled[position]:
                self._tensors[position].fill_(rate)
                self._filled[position] = rate
