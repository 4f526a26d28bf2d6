import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit import BatchError, ConfigurationError
from kdkit.weighting import Confidence

LOGIT_KINDS = ["probability", "entropy"]


def weigh(confidence: Confidence, target: torch.Tensor) -> torch.Tensor:
    return confidence.log_weight(target, {}).exp()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("confidence", "shape", "expected"),
    [
        (Confidence("peak"), (3, 5, 4, 2), (3,)),
        (Confidence("peak", per="channel"), (3, 5, 4, 2), (3, 5)),
        (Confidence("peak", per="channel"), (3, 5, 7), (3, 5)),
        (Confidence("probability"), (3, 5), (3,)),
        (Confidence("entropy"), (3, 5, 4, 2), (3,)),
        (Confidence("probability", per="position"), (3, 5, 4, 2), (3, 1, 4, 2)),
        (Confidence("entropy", per="position"), (3, 5, 7), (3, 1, 7)),
    ],
    ids=repr,
)
def test_weights_have_the_granularity_and_are_between_0_and_1(confidence, shape, expected):
    for scale in (0.0, 1.0, 100.0):
        weights = weigh(confidence, noise(*shape) * scale)
        assert weights.shape == expected
        assert ((weights >= 0) & (weights <= 1)).all()


@pytest.mark.parametrize(("kind", "uniform"), [("probability", 1 / 7), ("entropy", 0.0)])
def test_certain_logits_weigh_1_and_uniform_ones_the_least(kind, uniform):
    confidence = Confidence(kind)
    certain = torch.full((2, 7), -math.inf).index_fill(1, torch.tensor([3]), 0.0)
    assert weigh(confidence, certain).tolist() == [1.0, 1.0]
    assert weigh(confidence, noise(2, 7).mul(1e4)).tolist() == [1.0, 1.0]
    torch.testing.assert_close(
        weigh(confidence, torch.full((2, 7), 0.3)), torch.full((2,), uniform), atol=1e-6, rtol=0
    )


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(1.05, 5.0))
def test_sharper_logits_weigh_more(seed, factor):
    logits = noise(4, 5, seed=seed)
    for kind in LOGIT_KINDS:
        assert (weigh(Confidence(kind), logits * factor) > weigh(Confidence(kind), logits)).all()
        softer = weigh(Confidence(kind, temperature=factor), logits)
        torch.testing.assert_close(softer, weigh(Confidence(kind), logits / factor))


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(-20.0, 20.0))
def test_a_constant_added_to_logits_changes_nothing(seed, constant):
    logits = noise(3, 5, 2, 2, seed=seed)
    for kind in LOGIT_KINDS:
        confidence = Confidence(kind, per="position")
        torch.testing.assert_close(
            weigh(confidence, logits + constant), weigh(confidence, logits), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("kind", LOGIT_KINDS)
def test_a_sample_weighs_the_mean_of_its_positions(kind):
    logits = noise(3, 5, 4, 2)
    by_position = weigh(Confidence(kind, per="position"), logits)
    torch.testing.assert_close(weigh(Confidence(kind), logits), by_position.mean((1, 2, 3)))


@pytest.mark.parametrize("kind", LOGIT_KINDS)
def test_a_position_is_weighed_as_logits_of_its_own(kind):
    logits = noise(3, 5, 4, 2)
    alone = weigh(Confidence(kind), logits.movedim(1, -1).reshape(-1, 5))
    torch.testing.assert_close(weigh(Confidence(kind, per="position"), logits), alone.reshape(3, 1, 4, 2))


def test_entropy_is_that_of_two_equal_classes_of_four():
    logits = torch.tensor([[0.0, 0.0, -math.inf, -math.inf]])
    torch.testing.assert_close(weigh(Confidence("entropy"), logits), torch.tensor([0.5]))


def test_peak_is_the_height_of_each_map_cut_to_0_and_1():
    maps = torch.tensor([[[0.1, 0.75, 0.2], [-1.0, -2.0, -3.0], [0.5, 1.5, 0.0]]])
    assert weigh(Confidence("peak", per="channel"), maps).tolist() == [[0.75, 0.0, 1.0]]
    torch.testing.assert_close(weigh(Confidence("peak"), maps), torch.tensor([1.75 / 3]))


def test_the_logarithm_of_no_confidence_is_minus_infinity(context):
    confidence = Confidence("peak", per="channel")
    assert confidence.log_weight(torch.zeros(1, 2, 3), {}).tolist() == [[-math.inf, -math.inf]]
    assert confidence.weigh(torch.zeros(1, 2, 3), context()).tolist() == [[0.0, 0.0]]
    uniform = torch.full((2, 3), math.pi)
    assert not Confidence("entropy").log_weight(uniform, {}).isnan().any()


@pytest.mark.parametrize("confidence", [Confidence("probability"), Confidence("entropy"), Confidence("peak")])
def test_half_precision_is_weighed_in_single(confidence):
    target = noise(3, 5, 4, 2).to(torch.bfloat16)
    assert weigh(confidence, target).dtype == torch.float32
    assert torch.equal(weigh(confidence, target), weigh(confidence, target.float()))


def test_weights_carry_no_gradient(context):
    target = noise(2, 5).requires_grad_()
    assert not Confidence("entropy").weigh(target, context()).requires_grad


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "margin"},
        {"kind": "peak", "per": "position"},
        {"kind": "entropy", "per": "channel"},
        {"kind": "peak", "per": "pixel"},
        {"kind": "entropy", "temperature": 0.0},
        {"kind": "entropy", "temperature": math.inf},
        {"kind": "peak", "temperature": 2.0},
    ],
    ids=str,
)
def test_bad_arguments_are_refused(options):
    with pytest.raises(ConfigurationError, match="Confidence"):
        Confidence(**options)


@pytest.mark.parametrize(
    ("confidence", "shape", "message"),
    [
        (Confidence("peak"), (2, 5), "must be maps"),
        (Confidence("entropy"), (2, 1, 4, 4), "two channels or more"),
        (Confidence("probability"), (2,), "two channels or more"),
        (Confidence("probability", per="position"), (2, 5), "coarser"),
    ],
)
def test_unfit_targets_are_refused(confidence, shape, message):
    with pytest.raises(BatchError, match=message):
        confidence.log_weight(torch.zeros(shape), {})
