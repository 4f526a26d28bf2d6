"""Learned weights of terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kdkit.balance.balance import Balance
from kdkit.errors import ConfigurationError
from kdkit.student import Student

LIMIT = 20.0
"""The largest |s|: factors stay between exp(-20) and exp(20)."""


@dataclass(frozen=True, eq=False)
class Uncertainty(Balance):
    """Learns how noisy each term is, and lets noisy ones count less.

    Each term i has a learned log-variance s_i, which starts at 0, and becomes exp(-s_i) * loss_i + s_i. For a
    fixed loss the least is at s_i = log(loss_i), where the first part is 1 for every term; the second part
    keeps the factor from going to 0. The sum may be negative.

    The log-variances are trained by the run's own optimizer, beside the student, and are not exported: its
    learning rate decides how soon they settle, and a weight decay pulls them to 0, the factor 1. Losses must
    not be negative. Beyond |s| = 20 the factor stands still.

    Source: Kendall, Gal and Cipolla (arXiv 1705.07115), equation 7, loss_i / (2 sigma_i^2) + log(sigma_i), with
    s_i = log(sigma_i^2) and twice as large, so that at the start every term is what it was.
    """

    _bound: dict[str, tuple[str, ...]] = field(init=False, repr=False, default_factory=dict)

    def bind(self, key: str, objectives: tuple[str, ...]) -> nn.Module | None:
        """Begin a run and return the module that holds the log-variances, [objectives]."""
        self._bound.clear()
        self._bound[key] = tuple(objectives)
        return LogVariances(len(objectives))

    def balanced(
        self,
        losses: Mapping[str, Tensor],
        student: Student,
        predictions: Mapping[str, Tensor],
        outputs: Mapping[str, str],
    ) -> dict[str, Tensor]:
        """Return exp(-s) * loss + s of every loss.

        Raises:
            ConfigurationError: if the balance was not bound, or knows nothing of an objective.
        """
        key = next((key for key in self._bound if key in predictions), None)
        names = self._bound[key] if key is not None else ()
        if key is None or (missing := sorted(losses.keys() - set(names))):
            found = f"nothing for {missing}" if key is not None else "no output of the student is its own"
            raise ConfigurationError(
                f"{self!r} has no log-variances here, {found}: a Distiller binds it to the objectives that were "
                f"given it, when the Distiller is made; in a loop without one call bind(key, objectives) and give "
                f"the module's tensor out as predictions[key]"
            )
        learned = dict(zip(names, predictions[key].float(), strict=True))
        return {name: _weigh(loss, learned[name]) for name, loss in losses.items()}


class LogVariances(nn.Module):
    """The learned log-variances.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(count))

    def forward(self) -> Tensor:
        """Return the log-variances [count]."""
        return self.log_variances.clone()


def _weigh(loss: Tensor, learned: Tensor) -> Tensor:
    # Limited in value but not in gradient, so that a term whose loss was 0 for long finds its way back.
    limited = learned + (learned.clamp(-LIMIT, LIMIT) - learned).detach()
    return torch.exp(-limited) * loss + limited
