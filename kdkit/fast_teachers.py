"""A teacher at its best, and what was done to make it that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from kdkit.batch import Batch
from kdkit.folding import Folding
from kdkit.module_teacher import ModuleTeacher
from kdkit.teacher import Teacher
from kdkit.teacher_agreement import TeacherAgreement


@dataclass(frozen=True)
class Conversion:
    """What was done to one network.

    Attributes:
        teacher: the network's teacher.
        dtype: what it computes in.
        folding: its BatchNorms.
        compiled: whether it is compiled.
        failure: why it is not, where it was to be; else None.
    """

    teacher: str
    dtype: torch.dtype
    folding: Folding
    compiled: bool
    failure: str | None

    def __str__(self) -> str:
        how = "compiled" if self.compiled else "not compiled" + (f" ({self.failure})" if self.failure else "")
        return f"{_name(self.dtype)}, {self.folding.folded} of {self.folding.batchnorms} BatchNorms folded, {how}"


class FastTeacher(Teacher):
    """What :func:`~kdkit.fast_teacher` makes: a teacher's targets, computed faster.

    It holds nothing of the teacher that it was made of, but has that one's name, fingerprint and convention, so
    that a cache stays valid.

    Attributes:
        agreement: how far its outputs agree with those in float32, on the batch it was made with.
        conversions: what was done, a network each.
    """

    def __init__(
        self,
        original: Teacher,
        runs: Teacher,
        outputs: Sequence[str],
        agreement: TeacherAgreement,
        conversions: Sequence[Conversion],
    ) -> None:
        self.name, self.reads, self.outputs = original.name, runs.reads, tuple(outputs)
        self.agreement, self.conversions = agreement, tuple(conversions)
        self._runs = runs
        self._is_one_network = isinstance(original, ModuleTeacher)
        self._convention, self._usage = dict(original.convention), dict(original.usage)
        self._fingerprint = original.fingerprint()
        cut = "" if self.outputs == original.outputs else f", outputs={self.outputs}"
        dtypes = ", ".join(dict.fromkeys(_name(one.dtype) for one in self.conversions))
        # Without the agreement, which differs from machine to machine and must not make another run of it.
        self._description = f"FastTeacher({original!r}, {dtypes}{cut})"

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the targets, float32, without gradient.

        Raises:
            BatchError: if the batch lacks a field that the teacher reads, or does not fit.
        """
        targets = self._runs.targets(batch)
        return {name: targets[name] for name in self.outputs}

    def to(self, device: torch.device) -> Self:
        """Move the networks to ``device``; back on a device where they were compiled, that holds."""
        self._runs.to(device)
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the networks' parameters as they were changed."""
        return self._runs.parameters()

    @property
    def runs(self) -> Teacher:
        """The teacher that computes: of the changed networks."""
        return self._runs

    @property
    def convention(self) -> Mapping[str, str]:
        """That of the teacher it was made of."""
        return self._convention

    @property
    def usage(self) -> Mapping[str, str]:
        """That of the teacher it was made of."""
        return self._usage

    @property
    def members(self) -> tuple[Teacher, ...]:
        """The fast teachers it is made of, and the others that were left as they are."""
        return (self,) if self._is_one_network else self._runs.members

    @property
    def figures(self) -> Mapping[str, float]:
        """How far its outputs differ from float32's, as shares of their ranges: ``agreement/senior/heatmap``."""
        return self.agreement.figures

    def fingerprint(self) -> str | None:
        """Return that of the teacher it was made of."""
        return self._fingerprint

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the members that have one."""
        return self._runs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the members their state."""
        self._runs.load_state_dict(state)

    def __repr__(self) -> str:
        return self._description

    def __str__(self) -> str:
        done = "; ".join(
            f"{one}" if self._is_one_network else f"teacher '{one.teacher}' {one}" for one in self.conversions
        )
        return f"{self.agreement} ({done})"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
