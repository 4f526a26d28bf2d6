"""When things happened in a run, from the lines of its ``metrics.jsonl``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kdkit_pose.report.run import finite

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class StageSpan:
    """A stage's name, and the epochs done when it began and when it ended."""

    name: str
    begin: float
    end: float


def epochs_done(lines: Lines) -> list[float]:
    """How many epochs were done at each line. A stage may end inside of an epoch, so this counts steps."""
    if not lines:
        return []
    steps_per_epoch = lines[0]["step"] / lines[0]["epoch"]
    return [line["step"] / steps_per_epoch for line in lines]


def series(lines: Lines, key: str) -> tuple[list[float], list[float]]:
    """The epochs done and the values of ``key``, where a line has a finite one."""
    values = [finite(line.get(key)) for line in lines]
    known = [(epoch, v) for epoch, v in zip(epochs_done(lines), values, strict=True) if v is not None]
    return [epoch for epoch, _ in known], [value for _, value in known]


def stage_spans(lines: Lines) -> list[StageSpan]:
    """The stages of a run in their order."""
    spans: list[StageSpan] = []
    for name, group in groupby(zip(lines, epochs_done(lines), strict=True), key=lambda pair: pair[0]["stage"]):
        begin = spans[-1].end if spans else 0.0
        spans.append(StageSpan(str(name), begin, [epoch for _, epoch in group][-1]))
    return spans
