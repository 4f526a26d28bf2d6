"""The abstract target transform and its composition."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor


class TargetTransform(ABC):
    """A pure map on targets, for a teacher's and for ground truth alike.

    ``a >> b`` applies ``a`` first, then ``b``. A transform holds no parameters and changes nothing in place.
    """

    @abstractmethod
    def __call__(self, target: Tensor) -> Tensor:
        """Return the transformed target, batch dimension first."""

    def __rshift__(self, then: "TargetTransform") -> "TargetTransform":
        return Chain((*_steps(self), *_steps(then)))


@dataclass(frozen=True)
class Identity(TargetTransform):
    """Leaves the target as it is."""

    def __call__(self, target: Tensor) -> Tensor:
        """Return the target itself."""
        return target


@dataclass(frozen=True)
class Chain(TargetTransform):
    """Transforms applied one after the other; written ``a >> b >> c``."""

    steps: tuple[TargetTransform, ...]

    def __call__(self, target: Tensor) -> Tensor:
        """Return the target after every step."""
        for step in self.steps:
            target = step(target)
        return target

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self.steps)) or "Identity()"


def _steps(transform: TargetTransform) -> tuple[TargetTransform, ...]:
    if isinstance(transform, Identity):
        return ()
    return transform.steps if isinstance(transform, Chain) else (transform,)
