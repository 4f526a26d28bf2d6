"""Names of the parts of a step in the profiler's trace; all are set from outside, the library knows none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.profiler import record_function

STEP, TEACHER, STUDENT, BACKWARD = "step", "teacher", "student forward", "backward"
OPTIMIZER = "Optimizer."
"""What torch's own marks of an optimizer begin with: ``Optimizer.step#Adam.step``."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def marked(name: str, function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a function whose calls have a name in the trace."""

    @wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with record_function(name):
            return function(*args, **kwargs)

    return run


class Marked(nn.Module):
    """A network whose calls have a name in the trace."""

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        self.name, self.network = name, network

    def forward(self, *inputs: Tensor) -> Any:
        with record_function(self.name):
            return self.network(*inputs)


@contextmanager
def marked_backward() -> Iterator[None]:
    """Mark every ``backward()`` while this lasts, whoever calls it."""
    with patch.object(torch.Tensor, "backward", marked(BACKWARD, torch.Tensor.backward)):
        yield
