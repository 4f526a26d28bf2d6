"""What a dry run found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kdkit.check import CheckReport
from kdkit.errors import ConfigurationError

_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class StageTrial:
    """One stage of a dry run.

    Attributes:
        stage: its name.
        seconds: that an optimizer step took.
        losses: each objective's weighted loss by ``loss/<name>``, and the ``loss/total``.
    """

    stage: str
    seconds: float
    losses: Mapping[str, float]


@dataclass(frozen=True)
class DryRun:
    """What a dry run checked, with figures; printed, it is a table.

    Attributes:
        check: what :meth:`kdkit.Distiller.check` said of the batch.
        samples: in an optimizer step here.
        batch: in one of the run.
        reading: seconds for a batch of the run to be read, in one process.
        stages: an optimizer step of each.
        metrics: the evaluation's; nothing where nothing is evaluated.
        evaluation: seconds that it took.
        checkpoint: bytes of a checkpoint.
        needed: bytes that the run's folder needs, beside what it holds.
        free: bytes that are free there.
        memory: the most bytes that were in use: of the accelerator, or of this process.
        hours: what the run's steps take at this pace, evaluations left out; None where its length is not known.
        further: what else was checked, and what was seen.
        problems: what makes the run fail, or be in vain.
        warnings: what is probably not as it is meant.
    """

    check: CheckReport
    samples: int
    batch: int
    reading: float
    stages: tuple[StageTrial, ...]
    metrics: Mapping[str, float]
    evaluation: float
    checkpoint: int
    needed: int
    free: int
    memory: int | None
    hours: float | None
    further: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def require_sound(self) -> None:
        """Raise a ConfigurationError that names all problems, where there is one."""
        if self.problems:
            raise ConfigurationError("; ".join(self.problems))

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """What was checked, and what was seen."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        used = {name: shape for name, shape in self.check.fields.items() if name not in self.check.unused}
        fields = ", ".join(f"{name} {list(shape[1:])}" for name, shape in used.items())
        yield "batch", f"{self.samples} samples: {fields}; {self.batch} are read in {self.reading:.2f} s"
        yield from self.further
        for trial in self.stages:
            losses = {name.removeprefix("loss/"): value for name, value in trial.losses.items()}
            told = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
            yield f"stage {trial.stage}", f"a step in {trial.seconds:.2f} s, losses: {told}"
        if self.metrics:
            name, value = next(iter(self.metrics.items()))
            more = f" and {len(self.metrics) - 1} more" if len(self.metrics) > 1 else ""
            yield "evaluation", f"in {self.evaluation:.1f} s: {name} {value:.3f}{more}"
        yield "checkpoint", f"{size(self.checkpoint)}, written, read and put back: the same to the bit"
        yield "disk", f"{size(self.needed)} needed, {size(self.free)} free"
        if self.memory is not None:
            yield "memory", f"{size(self.memory)} at most"
        if self.hours is not None:
            part = f", from steps of {self.samples} of {self.batch} samples" if self.samples < self.batch else ""
            yield "time", f"about {_duration(self.hours)} without evaluations{part}"

    def __str__(self) -> str:
        rows = [*self.lines, *(("warning", text) for text in self.warnings)]
        rows += [("problem", text) for text in self.problems]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {text}" for name, text in rows)


def size(count: int) -> str:
    """Return a number of bytes in words, by powers of 1000.

    >>> size(1234), size(98_765_432)
    ('1.2 kB', '98.8 MB')
    """
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{max(hours * 60, 0.1):.1f} minutes"
    return f"{hours:.1f} hours"
