"""How far two ways of computing a teacher's targets agree."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OutputAgreement:
    """How far one output agrees with what it was, over all values of a batch.

    Attributes:
        largest: the largest absolute difference.
        mean: the mean absolute difference.
        relative: the largest difference as a share of the output's range, its maximum less its minimum. Where the
            output is constant, 0 without a difference, else infinite.
        cosine: the cosine between the two, each taken as one vector; 1 where both are 0.
    """

    largest: float
    mean: float
    relative: float
    cosine: float

    @classmethod
    def measure(cls, expected: Tensor, found: Tensor) -> "OutputAgreement":
        """Compare what was found with what was expected, of one shape; what is not finite agrees with nothing."""
        exact, other = expected.double().flatten(), found.double().flatten()
        difference = (exact - other).abs()
        largest = float(difference.max())
        extent = float(exact.max() - exact.min())
        of_constant = 0.0 if largest == 0 else float("inf")
        relative = largest / extent if extent > 0 else of_constant
        norms = float(exact.norm() * other.norm())
        cosine = float(exact @ other) / norms if norms != 0 else float(largest == 0)
        return cls(largest, float(difference.mean()), relative, cosine)

    def __str__(self) -> str:
        return f"{self.largest:.2g} at most, {self.relative:.2g} of its range (mean {self.mean:.2g})"


@dataclass(frozen=True)
class TeacherAgreement:
    """How far a teacher's outputs agree with what they were; printed, it is one line for a log.

    Attributes:
        teacher: the teacher's name.
        outputs: by the output's name. Of a teacher made of others, each network's own outputs, with the network's
            teacher before them: ``senior/heatmap``.
    """

    teacher: str
    outputs: Mapping[str, OutputAgreement]

    @classmethod
    def measure(
        cls, teacher: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
    ) -> "TeacherAgreement":
        """Compare every output that was found with what was expected of it."""
        with torch.no_grad():
            return cls(teacher, {name: OutputAgreement.measure(expected[name], found[name]) for name in found})

    @property
    def figures(self) -> dict[str, float]:
        """The relative differences under names for a log: ``agreement/senior/heatmap``."""
        return {f"agreement/{self.teacher}/{name}": value.relative for name, value in self.outputs.items()}

    def __str__(self) -> str:
        said = "; ".join(f"{name} by {value}" for name, value in self.outputs.items())
        return f"teacher '{self.teacher}' differs from float32 in {said}"
