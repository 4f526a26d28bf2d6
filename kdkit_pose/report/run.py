"""One trained network as the report shows it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdkit_pose.evaluation import Metrics


@dataclass(frozen=True)
class ReportedRun:
    """A network, how it was trained and what it reached.

    Args:
        name: What it is called, such as ``plain student``; a run with ``student`` in its name is one.
        network: The model's name, such as ``hrnet_w8_small``.
        parameters: The network's number of parameters.
        metrics: What the finished network reached, and where the boxes came from.
        lines: The lines of the run's ``metrics.jsonl``.
        seconds: How long the training took.
    """

    name: str
    network: str
    parameters: int
    metrics: Metrics
    lines: Sequence[Mapping[str, Any]]
    seconds: float

    @property
    def is_student(self) -> bool:
        """Whether the name says that this is a student."""
        return "student" in self.name.lower()

    def metric(self, name: str) -> float | None:
        """A figure of ``metrics``, 0..1; None where it is missing, undefined or not finite."""
        return finite(self.metrics.get(name))


def finite(value: object) -> float | None:
    """A finite number as a float; None for anything else, as ``metrics.jsonl`` has null for NaN."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
