"""A teacher that is the student's own past: its moving average."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from kdkit.batch import Batch
from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.module_teacher import ModuleTeacher
from kdkit.student import Student


class EMATeacher(ModuleTeacher):
    """An exponential moving average of the student's weights as its teacher: self-distillation.

    It starts as a copy of the student when a stage that needs it is entered, and follows every optimizer step
    of that stage. It is in eval mode, gives the student's outputs and features (adaptors stay the student's),
    and its state is part of a run's checkpoint.

    Args:
        name: the teacher's name, unique within a run.
        student: the student to follow.
        decay: in [0, 1), the share of the average that an optimizer step keeps.

    Raises:
        ConfigurationError: if the decay is out of range.

    Source: Tarvainen and Valpola, Mean teachers are better role models (arXiv 1703.01780).

    Example:
        >>> student = Student(torch.nn.Conv2d(3, 17, 1))
        >>> EMATeacher("past", student, decay=0.99).outputs
        ('heatmap',)
    """

    def __init__(self, name: str, student: Student, decay: float = 0.999) -> None:
        if not isinstance(student, Student):
            raise ConfigurationError(f"teacher '{name}' follows a Student, found a {type(student).__name__}")
        if not 0 <= decay < 1:
            raise ConfigurationError(f"teacher '{name}': the decay is {decay}, it must be in [0, 1)")
        self.decay = decay
        self._followed = student.module
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        own = copy.deepcopy(student.module)
        super().__init__(name, own, student.reads, student.module_outputs, features=student.features.places)
        self.on_stage_start()

    def fingerprint(self) -> None:
        """Return nothing: the average moves, and the student's weights are the run's own."""
        return None

    def on_stage_start(self) -> None:
        """Become a copy of the student as it is when first asked, after a wrapper may have synchronized it."""
        self._is_due = True

    def on_step_end(self) -> None:
        """Move the average by the student's weights and buffers."""
        self._copy_when_due()
        own, followed = self.module.state_dict(), self._followed.state_dict()
        # Tied weights stand under several names, and move once.
        once = {(value.data_ptr(), value.shape, value.stride()): name for name, value in own.items()}.values()
        moving = [name for name in once if own[name].is_floating_point()]
        with torch.no_grad():
            self._average([own[name] for name in moving], [followed[name] for name in moving], None)
            for name, value in own.items():
                if not value.is_floating_point():
                    value.copy_(followed[name])

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the average's outputs for a batch; see :meth:`ModuleTeacher.targets`."""
        self._copy_when_due()
        return super().targets(batch)

    def _copy_when_due(self) -> None:
        if self._is_due:
            self._is_due = False
            self.module.load_state_dict(self._followed.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        self._copy_when_due()
        return dict(self.module.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an average.

        Raises:
            CheckpointError: if it is of another network.
        """
        try:
            self.module.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(f"the saved teacher '{self.name}' is of another network: {error}") from error
        self._is_due = False

    def __repr__(self) -> str:
        return f"EMATeacher({self.name!r}, {type(self._followed).__name__}, decay={self.decay})"
