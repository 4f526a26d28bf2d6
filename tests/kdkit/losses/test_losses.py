"""Every loss against a slow reference in double precision, its gradient, and its shape."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from kdkit import BatchError, losses


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def kl(student: list[float], teacher: list[float], temperature: float) -> float:
    p = softmax([value / temperature for value in teacher])
    q = softmax([value / temperature for value in student])
    return temperature**2 * sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


def elementwise(function):
    def reference(prediction: Tensor, target: Tensor) -> Tensor:
        pairs = zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True)
        return torch.tensor([function(a, b) for a, b in pairs], dtype=torch.float64).view_as(prediction)

    return reference


def spatial_reference(prediction: Tensor, target: Tensor, temperature: float) -> Tensor:
    rows = [
        [kl(p.flatten().tolist(), t.flatten().tolist(), temperature) for p, t in zip(ps, ts, strict=True)]
        for ps, ts in zip(prediction, target, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def channel_reference(prediction: Tensor, target: Tensor, function) -> Tensor:
    result = torch.zeros(prediction.shape[0], 1, *prediction.shape[2:], dtype=torch.float64)
    for b in range(prediction.shape[0]):
        for y in range(prediction.shape[2]):
            for x in range(prediction.shape[3]):
                result[b, 0, y, x] = function(prediction[b, :, y, x].tolist(), target[b, :, y, x].tolist())
    return result


def angle(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def smooth(beta: float):
    return elementwise(lambda a, b: 0.5 * (a - b) ** 2 / beta if abs(a - b) < beta else abs(a - b) - 0.5 * beta)


CASES = {
    "mse": (losses.mse, elementwise(lambda a, b: (a - b) ** 2)),
    "l1": (losses.l1, elementwise(lambda a, b: abs(a - b))),
    "smooth_l1": (losses.smooth_l1, smooth(1.0)),
    "smooth_l1 beta": (partial(losses.smooth_l1, beta=0.3), smooth(0.3)),
    "bce": (
        losses.bce_with_logits,
        elementwise(
            lambda a, b: -b * math.log(1 / (1 + math.exp(-a))) - (1 - b) * math.log(1 / (1 + math.exp(a)))
        ),
    ),
    "spatial_kl": (losses.spatial_kl, partial(spatial_reference, temperature=1.0)),
    "spatial_kl T": (partial(losses.spatial_kl, temperature=3.0), partial(spatial_reference, temperature=3.0)),
    "channel_kl": (losses.channel_kl, partial(channel_reference, function=partial(kl, temperature=1.0))),
    "channel_kl T": (
        partial(losses.channel_kl, temperature=4.0),
        partial(channel_reference, function=partial(kl, temperature=4.0)),
    ),
    "cosine": (losses.cosine, partial(channel_reference, function=angle)),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def draw(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    return prediction, torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)


def test_agrees_with_the_reference(case):
    loss, reference = case
    prediction, target = draw()
    torch.testing.assert_close(loss(prediction, target), reference(prediction, target), rtol=1e-10, atol=1e-10)


def test_gradient(case):
    loss, _ = case
    prediction, target = draw(1)
    assert torch.autograd.gradcheck(lambda value: loss(value, target), prediction.requires_grad_())


def test_is_unreduced_and_batch_first(case):
    loss, _ = case
    prediction, target = draw(2)
    whole = loss(prediction, target)
    assert whole.shape[0] == 2
    torch.testing.assert_close(whole[1:], loss(prediction[1:], target[1:]))


@pytest.mark.parametrize("name", ["mse", "l1", "smooth_l1", "cosine", "spatial_kl", "channel_kl"])
def test_is_zero_where_student_equals_teacher(name):
    prediction, _ = draw(3)
    assert getattr(losses, name)(prediction, prediction).abs().max() < 1e-12


def test_another_size_asks_for_resize(case):
    loss, _ = case
    with pytest.raises(BatchError, match=r"4x5.*8x10.*Resize\(4, 5\)"):
        loss(torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 8, 10))


def test_other_channels_ask_for_an_adaptor(case):
    loss, _ = case
    with pytest.raises(BatchError, match="Adaptor"):
        loss(torch.zeros(2, 3, 4, 5), torch.zeros(2, 6, 4, 5))


def test_spatial_kl_needs_space():
    with pytest.raises(BatchError, match="maps"):
        losses.spatial_kl(torch.zeros(2, 3), torch.zeros(2, 3))
