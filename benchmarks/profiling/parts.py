"""Which part of a step a moment of the host belongs to."""

from collections.abc import Sequence

from benchmarks.profiling.marks import BACKWARD, OPTIMIZER, STUDENT, TEACHER
from benchmarks.profiling.trace import Mark

LOSSES, OPTIMIZER_PART, REST = "losses", "optimizer", "rest"
PARTS = (TEACHER, STUDENT, LOSSES, BACKWARD, OPTIMIZER_PART, REST)


class StepParts:
    """The parts of one step.

    What lies between the first forward and the backward, and in neither forward, are the losses; what lies in no
    part is the rest: a batch made ready, what is watched and counted.

    Args:
        step: the step's mark.
        marks: all of the trace's.
    """

    def __init__(self, step: Mark, marks: Sequence[Mark]) -> None:
        self.step = step
        self._marks = [(part, mark) for mark in marks if step.holds(mark.start) and (part := _part(mark))]
        forwards = [mark.start for part, mark in self._marks if part in (TEACHER, STUDENT)]
        backwards = [mark.start for part, mark in self._marks if part == BACKWARD]
        self.losses = Mark(LOSSES, min(forwards, default=step.end), min(backwards, default=step.end))

    def at(self, moment: float) -> str:
        """Return the part that the host was in."""
        for part, mark in self._marks:
            if mark.holds(moment):
                return part
        return LOSSES if self.losses.holds(moment) else REST

    def seconds(self) -> dict[str, float]:
        """Return how long the host was in each part; together they are the step."""
        found = dict.fromkeys(PARTS, 0.0)
        for part, mark in self._marks:
            found[part] += mark.end - mark.start
        within = [mark for _, mark in self._marks if self.losses.holds(mark.start)]
        found[LOSSES] = max(self.losses.end - self.losses.start, 0.0) - sum(one.end - one.start for one in within)
        found[REST] = self.step.end - self.step.start - sum(found.values())
        return found


def _part(mark: Mark) -> str | None:
    if mark.name.startswith(OPTIMIZER):
        return OPTIMIZER_PART
    return mark.name if mark.name in (TEACHER, STUDENT, BACKWARD) else None
