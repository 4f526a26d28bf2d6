"""Notices a teacher that is not what it was when the run began."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kdkit.batch import Batch, batch_size
from kdkit.distiller import Distiller
from kdkit.errors import ConfigurationError
from kdkit.fast_teachers import FastTeacher
from kdkit.teacher import Teacher
from kdkit.training.preparation import Preparation
from kdkit.training.random_state import capture_random_state, restore_random_state, seed_all

TOLERANCE = 0.05
"""How far a teacher's output may be from what it was: the norm of the difference, as a share of its norm.

Another device, other kernels or bf16 stay about an order of magnitude below it; a network that was trained another
time is above it.
"""
_DRAWN = TOLERANCE / 10
"""From here on, a teacher's output is another for other random numbers."""
_SAMPLES = 2
_VALUES = 16384


class TeacherWatch:
    """Keeps what each teacher gave for the run's first samples, and compares it with what it gives later.

    The samples and an even choice of the values are part of the checkpoint. Teachers that change anyway are left
    out: one that follows the student, see :func:`follows_student`, and one whose output depends on random numbers,
    such as dropout's. The random generators stay as they are.

    Args:
        distiller: whose teachers are watched.
        prepare: knows where batches are and how they are laid out.
        device: where the teachers of the active stage are.
        say: called with a line, where a teacher of no known weights gives something else.
    """

    def __init__(
        self,
        distiller: Distiller,
        prepare: Preparation,
        device: torch.device,
        say: Callable[[Sequence[str]], object],
    ) -> None:
        self._distiller, self._prepare, self._device, self._say = distiller, prepare, device, say
        self._state: dict[str, Any] = {}

    def begin(self, batch: Batch) -> None:
        """Keep what all teachers give for the first samples of a batch; nothing where that is done already.

        Args:
            batch: the run's first, as it is learned from.
        """
        if self._state:
            return
        teachers = [teacher for teacher in self._distiller.teachers if not follows_student(teacher)]
        rows = batch_size(batch)
        kept = {name: value for name, value in batch.items() if isinstance(value, Tensor)} if teachers else {}
        fields = {name: value[:_SAMPLES] for name, value in kept.items() if value.ndim and len(value) == rows}
        whole = {name: value for name, value in kept.items() if name not in fields}
        self._state = {"rows": rows, "fields": _stored(fields), "whole": _stored(whole), "targets": {}}
        for teacher in teachers:
            first, second = self._targets(teacher, seeds=(0, 1))
            if not any(_distance(value, second[name]) > _DRAWN for name, value in first.items()):
                self._state["targets"][teacher.name] = first

    def check(self, when: str) -> None:
        """Compare every teacher of the active stage with what it was; nothing where nothing was kept.

        Args:
            when: for the error.

        Raises:
            ConfigurationError: if one gives something else: it names the teacher, and how far apart it is.
        """
        known = self._state.get("targets", {})
        for teacher in self._distiller.stage.teachers:
            if teacher.name not in known:
                continue
            (found,) = self._targets(teacher)
            for name, expected in known[teacher.name].items():
                distance = _distance(expected, found.get(name))
                if not distance <= TOLERANCE:
                    self._tell(teacher, name, distance, when)

    def state_dict(self) -> dict[str, Any]:
        """Return samples and targets."""
        return self._state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`; from nothing, as of an older checkpoint, begin at the next batch."""
        self._state = dict(state)

    def _tell(self, teacher: Teacher, output: str, distance: float, when: str) -> None:
        text = (
            f"teacher '{teacher.name}' gives another '{output}' than when the run began: {when}, for the run's "
            f"first samples, it differs by {distance:.1%} of its norm, where {TOLERANCE:.0%} are allowed"
        )
        if any(member.fingerprint() is None for member in teacher.members):
            # Nothing says that it is frozen.
            self._say([f"warning: {text}"])
            return
        raise ConfigurationError(
            f"{text}: its weights, its code or what prepares its inputs are no longer those that the run was "
            f"started with; give these again, or start a new run in another folder"
        )

    def _targets(self, teacher: Teacher, seeds: Sequence[int] = (0,)) -> list[dict[str, Tensor]]:
        """Return an even choice of each output's values, on the CPU, for each seed of the random generators."""
        active, before = self._distiller.stage.teachers, capture_random_state()
        waits = teacher not in active
        try:
            if waits:
                # First make room: two stages' teachers may not fit at the same time.
                for other in active:
                    other.to(torch.device("cpu"))
                teacher.to(self._device)
            return [self._given(teacher, seed) for seed in seeds]
        finally:
            if waits:
                self._distiller.to(self._device)
            restore_random_state(before)

    def _given(self, teacher: Teacher, seed: int) -> dict[str, Tensor]:
        seed_all(seed)
        with torch.no_grad():
            given = teacher.targets(self._prepare.place(self._batch(teacher)))
        return {name: _choice(value) for name, value in given.items()}

    def _batch(self, teacher: Teacher) -> Batch:
        """Return the kept samples; for a compiled teacher repeated to a batch of the usual size."""
        rows = self._state["rows"] if any(isinstance(one, FastTeacher) for one in teacher.members) else _SAMPLES
        fields: dict[str, Tensor] = self._state["fields"]
        of_samples = {
            name: value.repeat(math.ceil(rows / len(value)), *[1] * (value.ndim - 1))[:rows]
            for name, value in fields.items()
        }
        return {**self._state.get("whole", {}), **of_samples}


def follows_student(teacher: Teacher) -> bool:
    """Return whether a teacher, or one that it is made of, changes as the student learns, by what it overrides."""
    return any(
        type(member).on_step_end is not Teacher.on_step_end
        or type(member).on_stage_start is not Teacher.on_stage_start
        for member in teacher.members
    )


def _stored(fields: Batch) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in fields.items()}


def _choice(value: Tensor) -> Tensor:
    flat = value.detach().flatten()
    places = torch.linspace(0, len(flat) - 1, min(_VALUES, len(flat)), dtype=torch.float64).long()
    return flat[places.to(flat.device)].float().cpu()


def _distance(expected: Tensor, found: Tensor | None) -> float:
    """Return how far apart two choices are; infinite where one cannot be compared with the other."""
    if found is None or found.shape != expected.shape:
        return math.inf
    # Values that are masked are infinite, say: they must be where they were.
    if not torch.equal(_kinds(expected), _kinds(found)):
        return math.inf
    before, now = (value[value.isfinite()].double() for value in (expected, found))
    apart, norm = float((before - now).norm()), float(before.norm())
    if apart == 0:
        return 0.0
    return apart / norm if norm > 0 else math.inf


def _kinds(values: Tensor) -> Tensor:
    return torch.stack([values.isnan(), values == math.inf, values == -math.inf])
