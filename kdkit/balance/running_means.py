"""Running means of measured magnitudes, and the factors that make them equal."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, distributed

from kdkit.errors import CheckpointError

LARGEST_FACTOR = 1e12


class RunningMeans:
    """Exponential running means by name, corrected for their start at zero. Nothing in them makes the host wait.

    Args:
        decay: how much of the mean is kept at each measurement, in [0, 1).
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        # By name, [2]: the decayed sum of the measurements, and of the weights they were counted with.
        self._sums: dict[str, Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._sums

    def clear(self) -> None:
        """Forget everything."""
        self._sums.clear()

    def add(self, names: Sequence[str], values: Tensor) -> None:
        """Count a measurement of every name; one that is not finite is left out.

        Args:
            names: whose measurements they are.
            values: [names], not negative, detached; several processes count their mean.
        """
        values = mean_over_processes(values.float())
        for name, value in zip(names, values, strict=True):
            before = self._sums.get(name, torch.zeros(2)).to(value.device)
            after = self._decay * before + (1 - self._decay) * torch.stack([value, torch.ones_like(value)])
            self._sums[name] = torch.where(torch.isfinite(value), after, before)

    def factors(self, names: Sequence[str], device: torch.device) -> Tensor:
        """Return factors [names] that make the named means equal and keep their sum.

        A mean of 0, or one not known, has the factor 1 and does not count among the others.
        """
        none = torch.zeros(2)
        total, weight = torch.stack([self._sums.get(name, none).to(device) for name in names]).unbind(1)
        known = total > 0
        means = torch.where(known, total / weight, 1.0)
        common = torch.where(known, means, 0.0).sum() / known.sum().clamp_min(1)
        return torch.where(known, common / means, 1.0).clamp_max(LARGEST_FACTOR)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums, [2] by name."""
        return {name: value.clone() for name, value in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state_dict` gave.

        Raises:
            CheckpointError: if a value is not of the shape [2].
        """
        for name, value in state.items():
            if tuple(value.shape) != (2,):
                raise CheckpointError(
                    f"the saved balance of '{name}' has the shape {list(value.shape)}, expected [2]: "
                    f"resume with the balance the run was started with"
                )
        self._sums = {name: value.detach().clone() for name, value in state.items()}


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean of every process's values, so that all go on with the same; alone, the values themselves."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
