"""The mean of every loss over an epoch, summed on the device."""

from collections.abc import Mapping

from torch import Tensor

from kdkit.step_losses import StepLosses


class LossMeans:
    """Sums losses without a host sync; reading the means does one."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, losses: StepLosses) -> None:
        """Add a batch's total and parts."""
        for name, value in {"total": losses.total.detach(), **losses.parts}.items():
            # Summed in double precision, so that thousands of batches lose nothing.
            self._sums[name] = self._sums[name] + value.double() if name in self._sums else value.double()
            self._counts[name] = self._counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Return each loss's mean over the batches in which it had a weight, as ``loss/<name>``."""
        return {f"loss/{name}": float(value) / self._counts[name] for name, value in self._sums.items()}

    def state_dict(self) -> dict[str, tuple[Tensor, int]]:
        """Return sums and counts."""
        return {name: (value, self._counts[name]) for name, value in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, tuple[Tensor, int]]) -> None:
        """Go on from sums and counts."""
        self._sums = {name: value for name, (value, _) in state.items()}
        self._counts = {name: count for name, (_, count) in state.items()}
