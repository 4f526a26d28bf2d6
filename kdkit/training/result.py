"""What a finished run gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run gave.

    Attributes:
        metrics: the last evaluation's.
        best: the monitored metric's best value, None where nothing was evaluated.
        epochs: epochs run, over all stages.
        steps: optimizer steps run.
        student: the exported file.
        selected: which student that is: ``last``, or the ``best`` by which metric, of which epoch and stage. The
            file's header says the same; ``metrics`` are the last one's.
    """

    metrics: Mapping[str, float]
    best: float | None
    epochs: int
    steps: int
    student: Path
    selected: str = "last"
