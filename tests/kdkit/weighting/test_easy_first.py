import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit import ConfigurationError, Linear, losses
from kdkit.step_context import StepContext
from kdkit.weighting import Agreement, Confidence, EasyFirst

SCORE = Confidence("probability")


def weigh(
    weighting: EasyFirst, target: torch.Tensor, progress: float = 0.0, **batch: torch.Tensor
) -> torch.Tensor:
    return weighting.weigh(target, StepContext(batch, {}, {}, lambda schedule: schedule(progress)))


def logits(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, 5, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(samples=st.integers(1, 40), tenths=st.integers(1, 100), seed=st.integers(0, 20))
def test_chooses_that_many_and_none_left_out_is_easier(samples, tenths, seed):
    target = logits(samples, seed)
    weights = weigh(EasyFirst(SCORE, tenths / 100), target)
    assert weights.shape == (samples,)
    assert set(weights.tolist()) <= {0.0, 1.0}
    # The ceiling in whole numbers, which floating point does not blur.
    assert weights.sum() == -(-tenths * samples // 100)
    easiness = SCORE.log_weight(target, {})
    if (weights == 0).any():
        assert easiness[weights == 1].min() >= easiness[weights == 0].max()


@settings(deadline=None)
@given(samples=st.integers(2, 20), seed=st.integers(0, 20))
def test_samples_in_another_order_are_chosen_alike(samples, seed):
    target = logits(samples, seed)
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    weighting = EasyFirst(SCORE, 0.4)
    assert torch.equal(weigh(weighting, target[order]), weigh(weighting, target)[order])


def test_the_whole_fraction_is_all_and_the_smallest_is_one():
    assert weigh(EasyFirst(SCORE, 1.0), logits(7)).tolist() == [1.0] * 7
    assert weigh(EasyFirst(SCORE, 1e-12), logits(7)).sum() == 1


@pytest.mark.parametrize(("fraction", "samples"), [(0.07, 100), (0.14, 50), (0.28, 25)])
def test_a_product_that_floating_point_rounds_up_is_the_whole_number_meant(fraction, samples):
    assert fraction * samples > 7
    assert weigh(EasyFirst(SCORE, fraction), logits(samples)).sum() == 7


def test_equals_are_chosen_in_their_order():
    assert weigh(EasyFirst(SCORE, 0.5), torch.zeros(200, 5)).tolist() == [1.0] * 100 + [0.0] * 100


def test_the_fraction_may_follow_a_schedule():
    weighting = EasyFirst(SCORE, Linear(0.25, 1.0))
    assert weighting.schedules() == (Linear(0.25, 1.0),)
    counts = [weigh(weighting, logits(8), progress).sum().item() for progress in (0.0, 1 / 3, 2 / 3, 1.0)]
    assert counts == [2, 4, 6, 8]


def test_a_finer_score_is_averaged_over_the_sample():
    maps = torch.tensor([[[0.5], [0.5]], [[1.0], [0.125]], [[0.0], [0.75]]])
    for fraction, chosen in ((0.3, [0.0, 1.0, 0.0]), (0.6, [1.0, 1.0, 0.0])):
        assert weigh(EasyFirst(Confidence("peak", per="channel"), fraction), maps).tolist() == chosen


def test_hard_samples_stay_distinct_where_their_weights_vanish():
    score = Agreement("truth", losses.l1)
    target = torch.tensor([[3000.0], [1000.0], [2000.0]])
    weighting = EasyFirst(score, 0.5)
    assert weighting.reads == ("truth",)
    assert weigh(weighting, target, truth=torch.zeros(3, 1)).tolist() == [0.0, 1.0, 1.0]


def test_samples_of_weight_0_may_be_chosen():
    weights = weigh(EasyFirst(Confidence("peak", per="channel"), 0.5), torch.zeros(4, 2, 3))
    assert weights.tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "fraction", [0.0, -0.5, 1.5, math.nan, "half", Linear(0.0, 1.0), Linear(0.5, 1.1)], ids=repr
)
def test_a_fraction_outside_is_refused(fraction):
    with pytest.raises(ConfigurationError, match="fraction"):
        EasyFirst(SCORE, fraction)


def test_the_host_waits_for_no_value():
    # Tensors on the meta device have no values: whoever asks for one fails.
    for score, shape in ((SCORE, (4, 5)), (Confidence("peak", per="channel"), (4, 5, 3))):
        weights = weigh(EasyFirst(score, Linear(0.5, 1.0)), torch.empty(shape, device="meta"))
        assert weights.shape == (4,)
        assert weights.device.type == "meta"


def test_only_a_score_says_how_easy():
    with pytest.raises(ConfigurationError, match="not a Score"):
        EasyFirst(losses.mse, 0.5)
