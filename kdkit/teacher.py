"""The abstract teacher."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from kdkit.batch import Batch
from kdkit.errors import CheckpointError


class Teacher(ABC):
    """Something that gives targets for a batch.

    A teacher is not an ``nn.Module`` and never becomes part of one, so nothing that trains can put it into
    train mode, move it, save it or change it. It is frozen: its parameters and buffers never change, save in
    a teacher made to follow the student (:class:`~kdkit.EMATeacher`).

    Subclasses set the three attributes and implement :meth:`targets`.

    Attributes:
        name: how objectives and logs call it; unique within a run.
        reads: the batch fields it reads; those that the student does not read are privileged.
        outputs: the names of the targets it gives.
    """

    name: str
    reads: tuple[str, ...]
    outputs: tuple[str, ...]

    @abstractmethod
    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the targets by output name, batch dimension first, without gradient."""

    def to(self, device: torch.device) -> Self:
        """Move what the teacher holds to ``device``; a teacher that holds nothing stays as it is."""
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters the teacher holds, to notice those it shares with a student."""
        return ()

    @property
    def convention(self) -> Mapping[str, str]:
        """What the targets mean, in strings that a :class:`~kdkit.Trainer` compares with the training data's."""
        return {}

    @property
    def usage(self) -> Mapping[str, str]:
        """What else is worth knowing of its targets, in strings that nothing is compared with."""
        return {}

    @property
    def members(self) -> "tuple[Teacher, ...]":
        """The teachers it is made of, each once; itself, where it is not made of others."""
        return (self,)

    @property
    def figures(self) -> Mapping[str, float]:
        """What was measured of it, by names for a run's log; nothing by default.

        They may differ from machine to machine, so they are never compared when a run is gone on with.
        """
        return {}

    def on_stage_start(self) -> None:  # noqa: B027  # most teachers need nothing
        """Prepare for a stage that needs the teacher, where the stage before did not; nothing by default.

        The distiller tells a teacher's :attr:`members`, each once, however many teachers they are part of.
        """

    def on_step_end(self) -> None:  # noqa: B027
        """Follow an optimizer step in a stage that needs the teacher; nothing by default. Members are told."""

    def fingerprint(self) -> str | None:
        """Return what tells this teacher's weights from all others; None where nothing does, or they move."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must have back: tensors and plain types; nothing for a frozen teacher."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        Raises:
            CheckpointError: if the state is of another teacher.
        """
        if state:
            raise CheckpointError(
                f"teacher '{self.name}' has no state, but the saved run holds one for it, {sorted(state)}: resume "
                f"with the teachers the run was started with"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, reads={self.reads}, outputs={self.outputs})"
