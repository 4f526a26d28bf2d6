"""Where a run stands when a schedule is asked for its value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A moment of a run: all that a schedule may depend on, and a function of the curriculum's cursor alone.

    Attributes:
        stage: the stage's progress in [0, 1]; None where only metrics end the stage.
        run: the run's progress in [0, 1]; None unless every stage has a length in the same unit.
        steps: optimizer steps done in the stage.
        epochs: epochs ended in the stage.
    """

    stage: float | None = None
    run: float | None = None
    steps: int = 0
    epochs: int = 0
