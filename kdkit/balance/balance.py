"""The abstract balance."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from kdkit.errors import CheckpointError
from kdkit.student import Student


class Balance(ABC):
    """Makes the terms of one step comparable, whatever the scale of their losses.

    One object is given to all the objectives that it shall balance, ``Supervise(..., balance=balance)``; two
    objects know nothing of each other, even with the same settings. Each objective's own weight is multiplied
    on afterwards, so a weight of 2 says that a term shall count twice as much, in the balance's own sense.

    A balance's settings never change, and its repr tells them alone. What it has measured is kept within and
    saved with the run. Nothing is measured while gradients are off.
    """

    def bind(self, key: str, objectives: tuple[str, ...]) -> nn.Module | None:
        """Begin a run: forget what was measured.

        Args:
            key: unique in the run; the output under which the student gives the returned module's tensor.
            objectives: the names of all that this object balances, over all stages.

        Returns:
            A module to train beside the student, whose ``forward()`` takes nothing and gives one tensor, or None.
        """
        return None

    def check(self, student: Student, freeze: Sequence[str]) -> None:  # noqa: B027  # most measure losses alone
        """Check that it can measure in a stage, before the first one begins; by default it can.

        Args:
            student: the student.
            freeze: the parts of the student that do not train in the stage.

        Raises:
            ConfigurationError: if it cannot, saying why.
        """

    @abstractmethod
    def balanced(
        self,
        losses: Mapping[str, Tensor],
        student: Student,
        predictions: Mapping[str, Tensor],
        outputs: Mapping[str, str],
    ) -> dict[str, Tensor]:
        """Return the balanced losses under the same names.

        Args:
            losses: unweighted mean losses [] with their graph, by objective; only those that count at this step.
            student: the student.
            predictions: its outputs by name.
            outputs: the student's output that each objective acts on.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Return what was measured, as tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where :meth:`state_dict` was taken.

        Raises:
            CheckpointError: if the state is another balance's.
        """
        if state:
            raise CheckpointError(
                f"{self!r} measures nothing, but the saved balance has measured {sorted(state)}: resume with the "
                f"balance the run was started with"
            )
