"""Cross-entropy: indices and probabilities."""

import pytest
import torch
from torch import Tensor

from kdkit import BatchError, losses


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_an_index_is_a_probability_of_one(dtype):
    logits = draw(2, 5, 3, 4)
    index = torch.randint(0, 5, (2, 3, 4), generator=torch.Generator().manual_seed(1))
    sure = torch.nn.functional.one_hot(index, 5).movedim(-1, 1).double()
    found = losses.cross_entropy(logits, index.to(dtype))
    assert found.shape == (2, 1, 3, 4)
    torch.testing.assert_close(found, losses.cross_entropy(logits, sure))


def test_ignored_places_give_zero_and_no_gradient():
    logits = draw(2, 5, 3).requires_grad_()
    loss = losses.cross_entropy(logits, torch.tensor([[0, 255, 4], [255, 255, 255]]), ignore_index=255)
    loss.sum().backward()
    assert (loss[:, 0] == 0).tolist() == [[False, True, False], [True, True, True]]
    assert logits.grad[0, :, 1].abs().max() == 0
    assert logits.grad[0, :, 0].abs().max() > 0
    assert logits.grad[1].abs().max() == 0


def test_is_the_divergence_and_the_targets_entropy():
    logits, teacher = draw(2, 5, 3), draw(2, 5, 3, seed=1)
    target = torch.softmax(teacher, 1)
    entropy = -(target * target.log()).sum(1, keepdim=True)
    torch.testing.assert_close(losses.cross_entropy(logits, target), losses.channel_kl(logits, teacher) + entropy)


def test_probabilities_may_be_of_another_precision():
    logits, target = draw(2, 5, 3), torch.softmax(draw(2, 5, 3, seed=1), 1)
    found = losses.cross_entropy(logits.half(), target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), losses.cross_entropy(logits, target), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((2, 1, 3, 4), r"target.squeeze\(1\)"),
        ((2, 6, 8), r"\(2, 6, 8\).*\(2, 5, 3, 4\).*\(2, 3, 4\).*nearest.*Adaptor"),
        ((2,), r"\(2,\).*\(2, 3, 4\)"),
    ],
)
def test_indices_that_do_not_fit_are_named(shape, complaint):
    with pytest.raises(BatchError, match=complaint):
        losses.cross_entropy(draw(2, 5, 3, 4), torch.zeros(shape, dtype=torch.int64))


def test_logits_need_classes():
    with pytest.raises(BatchError, match=r"logits have shape \(2,\)"):
        losses.cross_entropy(torch.zeros(2), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("target", [torch.zeros(2, 3, 4, dtype=torch.int64), torch.ones(2, 1, 3, 4)])
def test_of_one_class_nothing_can_be_learned(target):
    with pytest.raises(BatchError, match=r"cross_entropy needs logits .* use bce_with_logits"):
        losses.cross_entropy(draw(2, 1, 3, 4), target)
    with pytest.raises(BatchError, match=r"channel_kl needs logits .* use bce_with_logits"):
        losses.channel_kl(draw(2, 1, 3, 4), draw(2, 1, 3, 4))
