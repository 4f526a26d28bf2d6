"""Terms of equally large gradients."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from kdkit.balance.balance import Balance
from kdkit.balance.magnitude import require_decay
from kdkit.balance.running_means import RunningMeans
from kdkit.errors import ConfigurationError
from kdkit.student import Student

_AGE = "age of "


@dataclass(frozen=True, eq=False)
class GradientNorm(Balance):
    """Divides each loss by a running mean of its gradient's norm, so that all terms pull alike.

    With g_i the running mean of the norm of term i's gradient, the factor of term i is mean_j(g_j) / g_i over
    the terms of the step: constants for the gradient. A single term is left as it is, and one whose gradient has
    only been 0 keeps the factor 1.

    The gradient is taken with respect to the output that all the terms act on, which costs next to nothing,
    since nothing goes back through the network. Terms that act on different outputs need ``part``: then it is
    taken with respect to the parameters below that name, and each measurement costs, for every term, a backward
    pass from the loss to that part. Choose a late part that all the terms share, and measure every few steps.
    It does not go through a compiled student, which gives up its buffers in its first backward pass. In fp16 small
    gradients vanish, since the losses are not scaled yet: use bf16.

    Args:
        part: the dotted name of a part of the student's module, or none for the output.
        decay: how much of the mean is kept at each measurement, in [0, 1).
        every: a term is measured anew after so many steps in which it counted.

    Raises:
        ConfigurationError: if a setting is out of range; from the Distiller, if the student has no such part or a
            stage with such a term freezes it.

    Source: after Chen et al., GradNorm (arXiv 1711.02257). There the weights are learned, and favour terms
    that train slowly by an exponent alpha; here they are computed, as at alpha 0, where all norms shall be equal.

    >>> heatmap = torch.ones(2, 3, requires_grad=True)
    >>> losses = {"small": heatmap.sum(), "large": 3 * heatmap.sum()}
    >>> student, outputs = Student(nn.Identity()), {"small": "heatmap", "large": "heatmap"}
    >>> balanced = GradientNorm().balanced(losses, student, {"heatmap": heatmap}, outputs)
    >>> {name: loss.item() for name, loss in balanced.items()}
    {'small': 12.0, 'large': 12.0}
    """

    part: str = ""
    decay: float = 0.9
    every: int = 1
    _means: RunningMeans = field(init=False, repr=False)
    _ages: dict[str, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        require_decay(self.decay, self)
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise ConfigurationError(f"{self!r}: every must be a whole number of at least 1")
        object.__setattr__(self, "_means", RunningMeans(self.decay))

    def bind(self, key: str, objectives: tuple[str, ...]) -> nn.Module | None:
        """Begin a run; there is nothing to train."""
        self._means.clear()
        self._ages.clear()
        return None

    def check(self, student: Student, freeze: Sequence[str]) -> None:
        """Check that the part is the student's, and trains.

        Raises:
            ConfigurationError: if the student has no such part, or it is frozen.
        """
        if self.part:
            self._require_trained(self._named(student), student.trainable(freeze))

    def balanced(
        self,
        losses: Mapping[str, Tensor],
        student: Student,
        predictions: Mapping[str, Tensor],
        outputs: Mapping[str, str],
    ) -> dict[str, Tensor]:
        """Return the losses times their factors, which hold this step's measurement where one is due.

        Raises:
            ConfigurationError: if the terms share no output and no part is named, the student has no such part, or
                the part does not train.
        """
        names = sorted(losses)
        if not names:
            return {}
        if torch.is_grad_enabled() and self._is_due(names):
            inputs = self._inputs(names, student, predictions, outputs)
            self._means.add(names, torch.stack([gradient_norm(losses[name], inputs) for name in names]))
        factors = self._means.factors(names, losses[names[0]].device)
        by_name = dict(zip(names, factors, strict=True))
        return {name: loss * by_name[name] for name, loss in losses.items()}

    def _is_due(self, names: Sequence[str]) -> bool:
        # Each term has its own age, since terms that alternate would else always miss their turn.
        ages = {name: self._ages.get(name, self.every) for name in names}
        due = any(age >= self.every for age in ages.values())
        self._ages.update({name: 1 if due else age + 1 for name, age in ages.items()})
        return due

    def _inputs(
        self,
        names: Sequence[str],
        student: Student,
        predictions: Mapping[str, Tensor],
        outputs: Mapping[str, str],
    ) -> list[Tensor]:
        if self.part:
            named = self._named(student)
            training = {name for name, value in named.items() if value.requires_grad}
            self._require_trained(named, training)
            return [value for name, value in named.items() if name in training]
        shared = sorted({outputs[name] for name in names})
        if len(shared) > 1:
            raise ConfigurationError(
                f"{self!r} balances {list(names)}, which act on different outputs, {shared}, so that their "
                f"gradients cannot be compared there: name a part of the student that they share, part=..."
            )
        return [predictions[shared[0]]]

    def _named(self, student: Student) -> dict[str, Tensor]:
        named: dict[str, Tensor] = {
            name: value
            for name, value in student.module.named_parameters()
            if name == self.part or name.startswith(self.part + ".")
        }
        if not named:
            raise ConfigurationError(
                f"{self!r}: the student has no part '{self.part}': its parts are "
                f"{[name for name, _ in student.module.named_children()]}"
            )
        return named

    def _require_trained(self, named: Collection[str], training: Collection[str]) -> None:
        if not any(name in training for name in named):
            raise ConfigurationError(
                f"{self!r}: the part '{self.part}' is frozen, so that nothing has a gradient there: "
                f"name a part that trains"
            )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running means, and how many steps ago each term was measured."""
        return self._means.state_dict() | {_AGE + name: torch.tensor(age) for name, age in self._ages.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a saved state."""
        ages = {name.removeprefix(_AGE): value for name, value in state.items() if name.startswith(_AGE)}
        self._means.load_state_dict({name: value for name, value in state.items() if not name.startswith(_AGE)})
        self._ages.clear()
        self._ages.update({name: int(age) for name, age in ages.items()})


def gradient_norm(loss: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm [] of a loss's gradient with respect to tensors; its graph is kept.

    A loss that does not depend on the tensors has the norm 0.
    """
    if not loss.requires_grad:
        return torch.zeros_like(loss, dtype=torch.float32)
    gradients = torch.autograd.grad(loss, list(inputs), retain_graph=True, allow_unused=True)
    squares = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
    return torch.stack([*squares, loss.new_zeros((), dtype=torch.float32)]).sum().sqrt()
