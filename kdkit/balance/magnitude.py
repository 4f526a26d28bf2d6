"""Terms of equal size."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kdkit.balance.balance import Balance
from kdkit.balance.running_means import RunningMeans
from kdkit.errors import ConfigurationError
from kdkit.student import Student


@dataclass(frozen=True, eq=False)
class Magnitude(Balance):
    """Divides each loss by a running mean of its size, so that all terms weigh alike.

    With m_i the running mean of |loss_i|, corrected for its start at zero, the factor of term i is
    mean_j(m_j) / m_i over the terms of the step: constants for the gradient, which keep the terms' sum at its
    size. A single term is left as it is. A loss that has only been 0 keeps the factor 1, and a loss that is not
    finite is not counted.

    A term that is nearly learned is amplified as its loss shrinks: what counts is the *relative* progress.

    Args:
        decay: how much of the mean is kept at each step, in [0, 1); 0 looks at the step alone, where every
            balanced loss has the same value.

    Raises:
        ConfigurationError: if the decay is out of range.

    >>> balance = Magnitude()
    >>> losses = {"truth": torch.tensor(0.5), "teacher": torch.tensor(7.5)}
    >>> balanced = balance.balanced(losses, Student(nn.Identity()), {}, {})
    >>> {name: round(loss.item(), 3) for name, loss in balanced.items()}
    {'truth': 4.0, 'teacher': 4.0}
    """

    decay: float = 0.99
    _means: RunningMeans = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_decay(self.decay, self)
        object.__setattr__(self, "_means", RunningMeans(self.decay))

    def bind(self, key: str, objectives: tuple[str, ...]) -> nn.Module | None:
        """Begin a run; there is nothing to train."""
        self._means.clear()
        return None

    def balanced(
        self,
        losses: Mapping[str, Tensor],
        student: Student,
        predictions: Mapping[str, Tensor],
        outputs: Mapping[str, str],
    ) -> dict[str, Tensor]:
        """Return the losses times their factors, which hold this step's measurement already."""
        names = sorted(losses)
        if not names:
            return {}
        values = torch.stack([losses[name].detach().abs() for name in names])
        if torch.is_grad_enabled():
            self._means.add(names, values)
        factors = dict(zip(names, self._means.factors(names, values.device), strict=True))
        return {name: loss * factors[name] for name, loss in losses.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running means."""
        return self._means.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from saved running means."""
        self._means.load_state_dict(state)


def require_decay(decay: float, whose: object) -> None:
    """Raise a ConfigurationError unless the decay is in [0, 1)."""
    if not 0 <= decay < 1:
        raise ConfigurationError(f"{whose!r}: the decay must be in [0, 1), found {decay!r}")
