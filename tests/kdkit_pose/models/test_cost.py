"""What networks cost: the figures of the field, and layers counted by hand."""

import pytest
import torch
from torch import nn

from kdkit import BatchError, ConfigurationError
from kdkit_pose import models
from kdkit_pose.models.cost import count_macs, count_parameters
from kdkit_pose.models.network import PoseNetwork

# Parameters in millions, GMAC at 256x192 and at 384x288 (height x width).
PUBLISHED = {
    "hrnet_w16": (7.45, 2.75, 6.18),
    "hrnet_w18": (9.32, 3.19, 7.17),
    "hrnet_w32": (28.54, 7.65, 17.20),
    "hrnet_w48": (63.60, 15.69, 35.31),
    "hrnet_w16_small": (1.28, 0.57, 1.28),
}


class OneLayer(PoseNetwork):
    """A layer as a network, to be counted by hand."""

    size_multiple = 1

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.name, self.num_keypoints, self.mask_fusion = "one layer", 1, models.create_fusion("none", 1)
        self.layer = layer

    def forward(self, image, mask=None):
        self.check_inputs(image, mask)
        return self.layer(image)


@pytest.fixture(params=PUBLISHED)
def name(request):
    return request.param


def test_hrnets_have_the_fields_figures(name):
    parameters, small, large = PUBLISHED[name]
    with torch.device("meta"):
        network = models.create(name)
    assert round(count_parameters(network) / 1e6, 2) == parameters
    assert round(count_macs(network) / 1e9, 2) == small
    assert round(count_macs(network, (288, 384)) / 1e9, 2) == large


# Input 3 x 5 x 7 (channels, height, width): multiply-adds of the layer, by hand.
LAYERS = {
    "convolution": (nn.Conv2d(3, 6, 3, padding=1), 35 * 6 * 3 * 9),
    "without padding": (nn.Conv2d(3, 6, 3), 3 * 5 * 6 * 3 * 9),
    "strided": (nn.Conv2d(3, 6, 3, stride=2, padding=1), 3 * 4 * 6 * 3 * 9),
    "in groups": (nn.Conv2d(3, 6, 3, padding=1, groups=3), 35 * 6 * 9),
    # Every input value meets the whole kernel.
    "transposed": (nn.ConvTranspose2d(3, 6, 4, stride=2, padding=1), 35 * 3 * 6 * 16),
    "transposed, in groups": (nn.ConvTranspose2d(3, 6, 4, stride=2, padding=1, groups=3), 35 * 6 * 16),
    "linear": (nn.Linear(7, 11), 3 * 5 * 7 * 11),
    "not counted": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)), 0),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_counted_as_by_hand(kind):
    layer, macs = LAYERS[kind]
    assert count_macs(OneLayer(layer), (7, 5)) == macs


def test_a_mask_costs_what_its_convolution_does():
    plain, concat, multiply = (
        count_macs(models.create("hrnet_w8_small", mask_fusion=fusion), (64, 64))
        for fusion in ("none", "concat", "multiply")
    )
    assert concat - plain == 32 * 32 * 32 * 9  # a fourth channel of the first convolution, at half the size
    assert multiply == plain


@pytest.mark.parametrize("name", [name for name in models.names() if name not in PUBLISHED])
def test_every_network_is_counted_without_its_weights(name):
    with torch.device("meta"):
        network = models.create(name)
    assert count_macs(network, (192, 256)) > 0
    assert 1e5 < count_parameters(network) < 1e8


def test_the_network_is_not_changed(small_network):
    network = small_network()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count_macs(network, (64, 64))
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_what_cannot_be_counted(small_network):
    with pytest.raises(BatchError, match="multiples of 32"):
        count_macs(small_network(), (64, 50))
    with pytest.raises(ConfigurationError, match=r"input_size is \(0, 64\)"):
        count_macs(small_network(), (0, 64))
    with pytest.raises(ConfigurationError, match=r"models\.create"):
        count_macs(nn.Conv2d(3, 1, 1))
