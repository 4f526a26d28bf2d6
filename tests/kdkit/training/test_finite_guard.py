import pytest
import torch

from kdkit import NonFiniteLossError, StepLosses
from kdkit.training.finite_guard import FiniteGuard


def losses(**samples: list[float]) -> StepLosses:
    tensors = {name: torch.tensor(values) for name, values in samples.items()}
    return StepLosses(torch.zeros(()), {}, tensors, dict.fromkeys(tensors, 1.0))


def test_what_is_finite_passes_even_where_its_sum_is_not():
    guard = FiniteGuard()
    guard.watch(1, losses(a=[3e38, 3e38], b=[1.0, 2.0]), {})
    guard.watch(2, losses(), {})
    guard.check()
    guard.check()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_bad_step_its_terms_and_samples_are_named(bad):
    guard = FiniteGuard()
    ids = {"id": torch.tensor([70, 71, 72])}
    guard.watch(4, losses(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0]), ids)
    guard.watch(5, losses(a=[1.0, 2.0, 3.0], b=[1.0, bad, 3.0]), ids)
    guard.watch(6, losses(a=[bad, bad, bad], b=[1.0, 2.0, 3.0]), ids)
    with pytest.raises(NonFiniteLossError, match=r"step 5 in b, sample ids \[71\]"):
        guard.check()
    guard.check()  # what was told is not told again


def test_opposite_infinities_do_not_cancel():
    guard = FiniteGuard()
    guard.watch(1, losses(a=[float("inf"), -float("inf")]), {})
    with pytest.raises(NonFiniteLossError, match=r"batch positions \[0, 1\]"):
        guard.check()
