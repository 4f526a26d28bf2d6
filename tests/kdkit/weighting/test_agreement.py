import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit import BatchError, ConfigurationError, losses
from kdkit.weighting import Agreement

SHAPES = {"sample": (3,), "channel": (3, 5), "position": (3, 1, 4, 2)}


def weigh(agreement: Agreement, target: torch.Tensor, **batch: torch.Tensor) -> torch.Tensor:
    return agreement.log_weight(target, batch).exp()


def maps(seed: int = 0) -> torch.Tensor:
    return torch.rand(3, 5, 4, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("per", SHAPES)
def test_a_perfect_target_weighs_1_and_any_other_less(per):
    agreement = Agreement("truth", losses.mse, per=per)
    assert torch.equal(weigh(agreement, maps(), truth=maps()), torch.ones(SHAPES[per]))
    others = weigh(agreement, maps(1), truth=maps())
    assert others.shape == SHAPES[per]
    assert ((others > 0) & (others < 1)).all()


@pytest.mark.parametrize("per", SHAPES)
@settings(deadline=None)
@given(seed=st.integers(0, 50), temperature=st.floats(0.05, 10.0))
def test_is_exp_of_the_mean_loss_so_that_less_loss_weighs_more(per, seed, temperature):
    dims = {"sample": (1, 2, 3), "channel": (2, 3), "position": (1,)}[per]
    loss = (maps(seed) - maps(seed + 1)).square().mean(dims, keepdim=per == "position")
    weights = weigh(Agreement("truth", losses.mse, temperature, per), maps(seed), truth=maps(seed + 1))
    torch.testing.assert_close(weights, (-loss / temperature).exp())
    assert torch.equal(weights.flatten().argsort(descending=True), loss.flatten().argsort())


def test_a_high_temperature_makes_weights_equal():
    weights = weigh(Agreement("truth", losses.mse, 1e9), maps(), truth=maps(1))
    torch.testing.assert_close(weights, torch.ones(3))


def test_class_labels_are_ground_truth_too():
    logits = torch.tensor([[0.0, 0.0, 0.0], [0.0, 50.0, 0.0]])
    weights = weigh(Agreement("label", losses.cross_entropy), logits, label=torch.tensor([2, 1]))
    torch.testing.assert_close(weights, torch.tensor([1 / 3, 1.0]))
    dense = torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(0))
    label = dense.argmax(1)
    by_position = weigh(Agreement("label", losses.cross_entropy, per="position"), dense, label=label)
    torch.testing.assert_close(by_position, dense.softmax(1).amax(1, keepdim=True))


@pytest.mark.parametrize("per", ["sample", "channel"])
def test_what_lies_outside_of_the_region_does_not_count(per):
    agreement = Agreement("truth", losses.mse, per=per, region="visible")
    visible = torch.tensor([[1.0, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    spoilt = torch.where(visible[..., None, None] > 0, maps(), math.nan)
    weights = weigh(agreement, spoilt, truth=maps(1), visible=visible)
    assert torch.equal(weights, weigh(agreement, maps(), truth=maps(1), visible=visible))
    every = weigh(Agreement("truth", losses.mse, per=per), maps(), truth=maps(1))
    torch.testing.assert_close(weights[1], every[1])
    assert (weights[2] == 1).all()
    if per == "sample":
        expected = (maps() - maps(1)).square()[0, :2].mean()
        torch.testing.assert_close(weights[0], (-expected).exp())


def test_the_region_weighs_the_mean():
    agreement = Agreement("truth", losses.l1, region="share")
    truth, share = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]])
    torch.testing.assert_close(
        weigh(agreement, torch.tensor([[0.0, 4.0]]), truth=truth, share=share).log(), -torch.ones(1)
    )


def test_the_empty_region_of_a_loss_a_sample_weighs_1():
    agreement = Agreement("truth", lambda target, truth: (target - truth).square().sum(1), region="chosen")
    batch = {"truth": torch.zeros(2, 2), "chosen": torch.tensor([1.0, 0.0])}
    assert agreement.log_weight(torch.ones(2, 2), batch).tolist() == [-2.0, 0.0]


def test_an_infinite_loss_weighs_0_and_a_negative_one_1(context):
    infinite = Agreement("truth", lambda target, truth: target / 0)
    assert infinite.weigh(torch.ones(2, 3), context({"truth": torch.ones(2, 3)})).tolist() == [0.0, 0.0]
    negative = Agreement("truth", lambda target, truth: -target)
    assert negative.weigh(torch.ones(2, 3), context({"truth": torch.ones(2, 3)})).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("per", SHAPES)
def test_the_host_waits_for_no_value(per):
    # Tensors on the meta device have no values: whoever asks for one fails.
    empty, visible = torch.empty(3, 5, 4, 2, device="meta"), torch.empty(3, 5, device="meta")
    agreement = Agreement("truth", losses.mse, per=per, region="visible")
    assert weigh(agreement, empty, truth=empty, visible=visible).shape == SHAPES[per]


def test_reads_and_repr():
    agreement = Agreement("truth", partial(losses.smooth_l1, beta=0.5), per="channel", region="visible")
    assert agreement.reads == ("truth", "visible")
    assert Agreement("truth", losses.mse).reads == ("truth",)
    assert repr(agreement) == (
        "Agreement('truth', smooth_l1(beta=0.5), temperature=1.0, per='channel', region='visible')"
    )


@pytest.mark.parametrize(
    "options", [{"loss": "mse"}, {"temperature": 0.0}, {"temperature": math.nan}, {"per": "batch"}], ids=str
)
def test_bad_arguments_are_refused(options):
    with pytest.raises(ConfigurationError, match="Agreement"):
        Agreement(**{"field": "truth", "loss": losses.mse, **options})


def test_unfit_batches_are_refused():
    with pytest.raises(BatchError, match="'truth', which the batch lacks"):
        weigh(Agreement("truth", losses.mse), maps())
    with pytest.raises(BatchError, match=r"Agreement\('truth', mse.*TransformedTeacher"):
        weigh(Agreement("truth", losses.mse), maps(), truth=torch.zeros(3, 5, 8, 4))
    with pytest.raises(BatchError, match="coarser"):
        weigh(Agreement("truth", losses.mse, per="position"), torch.zeros(3, 2), truth=torch.zeros(3, 2))
    agreement = Agreement("truth", losses.mse, region="visible")
    with pytest.raises(BatchError, match="region of shape"):
        weigh(agreement, maps(), truth=maps(), visible=torch.ones(3, 4))
