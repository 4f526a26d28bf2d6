"""A run's evaluations: when they are due, what they gave, and which was the best."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from kdkit.curriculum import Curriculum
from kdkit.errors import ConfigurationError
from kdkit.processes import Processes
from kdkit.training.checks import check_stages

Evaluate = Callable[[nn.Module], Mapping[str, float]]


class Evaluation:
    """Evaluates the network when that is due, and keeps what is known of the metrics.

    Args:
        evaluate: called with the network in eval mode; None evaluates nothing.
        every: epochs between evaluations.
        monitor: the metric that says which network is the best; the first one's by default.
        mode: whether a larger (``max``) or smaller (``min``) metric is better.
        curriculum: whose stages may wait for metrics.

    Attributes:
        monitor: the monitored metric, or None before the first evaluation.
        best: its best value so far.
        metrics: the last evaluation's.

    Raises:
        ConfigurationError: if a stage waits for metrics that it will not get.
    """

    def __init__(
        self,
        evaluate: Evaluate | None,
        every: int,
        monitor: str | None,
        mode: Literal["max", "min"],
        curriculum: Curriculum,
    ) -> None:
        self._evaluate, self._every, self._mode, self._curriculum = evaluate, every, mode, curriculum
        self.monitor = monitor
        self.best: float | None = None
        self.metrics: dict[str, float] = {}
        check_stages(curriculum, evaluate is not None, monitor, mode)

    @property
    def is_due(self) -> bool:
        """Whether the epoch that now ends is evaluated; the last one always is."""
        return self._curriculum.finished or (self._curriculum.epochs + 1) % self._every == 0

    def run(self, network: nn.Module, processes: Processes | None = None) -> dict[str, float]:
        """Return the network's metrics, in eval mode and without gradients; none where nothing is evaluated.

        Args:
            network: to evaluate.
            processes: those that train together; all evaluate, and go on with the first one's metrics.

        Raises:
            ConfigurationError: if no metrics by name were returned, or the monitored one is not among them.
        """
        if self._evaluate is None:
            return {}
        network.eval()
        with torch.no_grad():
            given = self._evaluate(network)
        if not isinstance(given, Mapping):
            raise ConfigurationError(
                f"evaluate returned a {type(given).__name__}: it must return metrics by name, as "
                f"{{'val/error': 0.1}}"
            )
        metrics = {name: float(value) for name, value in given.items()}
        if processes is not None:
            metrics = processes.from_main(metrics)
        if self.monitor is None and metrics:
            self.monitor = next(iter(metrics))
            check_stages(self._curriculum, True, self.monitor, self._mode)
        if self.monitor not in metrics:
            raise ConfigurationError(
                f"the monitored metric '{self.monitor}' is not among those the evaluation gave: "
                f"{sorted(metrics)}; set monitor=..."
            )
        self.metrics = metrics
        return metrics

    def is_improvement(self, metrics: Mapping[str, float]) -> bool:
        """Return whether the monitored metric is the best so far, and keep it then; NaN never is."""
        if self.monitor is None or self.monitor not in metrics:
            return False
        value = metrics[self.monitor]
        if math.isnan(value):
            return False
        better = self.best is None or (value > self.best if self._mode == "max" else value < self.best)
        if better:
            self.best = value
        return better

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best, "monitor": self.monitor, "metrics": self.metrics}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.best, self.monitor, self.metrics = state["best"], state["monitor"], dict(state["metrics"])
