import copy

import torch
from torch import nn

from kdkit.training.moving_average import MovingAverage


class Counting(nn.Module):
    """BatchNorm, and a buffer that is replaced by another tensor in every forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("again", self.seen)
        self.register_buffer("nothing", None)

    def forward(self, image):
        self.seen = self.seen + 1
        self.again = self.seen
        return self.norm(self.layer(image))


def moved(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        network(torch.randn(4, 2, 3, 3, generator=generator))
        for value in network.parameters():
            value.add_(torch.randn(value.shape, generator=generator))


def test_it_is_the_definition_and_counts_are_the_networks_own():
    network = Counting()
    average = MovingAverage(network, 0.9)
    expected = None
    for seed in range(4):
        moved(network, seed)
        average.update()
        now = copy.deepcopy(network.state_dict())
        expected = now if expected is None else {k: 0.9 * expected[k] + 0.1 * now[k] for k in now}
        for name, value in average.module.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(value, expected[name])
            else:
                assert torch.equal(value, now[name])
        assert average.updates == seed + 1
    assert average.module.norm.num_batches_tracked == 4
    assert 1 < float(average.module.seen) < 4


def test_the_network_is_left_alone_and_the_average_is_no_alias():
    network = Counting()
    average = MovingAverage(network, 0.5)
    moved(network, 0)
    before = copy.deepcopy(network.state_dict())
    average.update()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    average.module.layer.weight.data.zero_()
    assert network.layer.weight.abs().sum() > 0


def test_a_network_without_parameters_or_buffers_has_an_average():
    for network in (nn.Identity(), nn.Linear(2, 2), nn.BatchNorm2d(3, affine=False)):
        average = MovingAverage(network, 0.5)
        average.update()
        average.update()
        assert average.updates == 2
