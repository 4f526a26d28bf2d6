from collections.abc import Callable

import pytest
from torch import Tensor

from kdkit.step_context import StepContext


@pytest.fixture
def context() -> Callable[..., StepContext]:
    """Makes the context of a step at some progress."""

    def make(
        batch: dict[str, Tensor] | None = None,
        targets: dict[str, dict[str, Tensor]] | None = None,
        progress: float = 0.0,
    ) -> StepContext:
        return StepContext(batch or {}, targets or {}, {}, lambda schedule: schedule(progress))

    return make
