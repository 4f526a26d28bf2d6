import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit.weighting.shares import teacher_shares


def log_weights(teachers: int, seed: int) -> torch.Tensor:
    weights = torch.rand(teachers, 4, 3, generator=torch.Generator().manual_seed(seed))
    # A third of the weights is 0, so that some places are of nobody.
    return torch.where(weights < 1 / 3, 0, weights).log()


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 50), st.sampled_from(["share", "best"]))
def test_shares_sum_to_1_everywhere(teachers, seed, choose):
    shares = teacher_shares(log_weights(teachers, seed), choose)
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(0), torch.ones(4, 3))


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(0, 50))
def test_a_share_is_the_weight_divided_by_the_sum(teachers, seed):
    logs = log_weights(teachers, seed)
    total = logs.exp().sum(0)
    expected = torch.where(total > 0, logs.exp() / total, 1 / teachers)
    torch.testing.assert_close(teacher_shares(logs, "share"), expected)


def test_small_weights_stay_distinct():
    logs = torch.tensor([[-1000.0], [-1001.0]])
    torch.testing.assert_close(teacher_shares(logs, "share")[0], torch.tensor([1 / (1 + math.exp(-1))]))


def test_the_best_has_everything_and_the_first_of_equals():
    logs = torch.tensor([[0.1, 0.5, 0.0], [0.3, 0.5, 0.0], [0.2, 0.1, 0.0]]).log()
    assert teacher_shares(logs, "best").tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
