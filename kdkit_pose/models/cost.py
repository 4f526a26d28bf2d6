"""What a network costs: parameters and multiply-adds, counted without running it."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kdkit.errors import ConfigurationError
from kdkit_pose.models.description import as_pose_network

MACS_CONVENTION = (
    "1 MAC is one multiplication with its addition, in convolutions, transposed convolutions and matrix "
    "products; biases, normalisation, activations, pooling and resizing are not counted; 1 G = 10^9"
)
"""What `count_macs` counts. The HRNet papers' "GFLOPs" are such MACs divided by 2^30."""


def count_parameters(network: nn.Module) -> int:
    """Return the number of values in a network's parameters, BatchNorm's scales and shifts among them.

    Frozen parameters count, too; buffers, such as BatchNorm's running statistics, do not.

    >>> from kdkit_pose import models
    >>> round(count_parameters(models.create("hrnet_w16_small")) / 1e6, 2)
    1.28
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, input_size: tuple[int, int] = (192, 256)) -> int:
    """Return the multiply-adds of one image's forward pass, by the convention in `MACS_CONVENTION`.

    Only shapes are worked out, on PyTorch's meta device: it takes no weights and less than a second. The
    network is not changed; one that was built under `torch.device("meta")` is counted as well.

    Args:
        network: From `create`.
        input_size: Width and height of the input in pixels.

    Raises:
        ConfigurationError: The network is not from `create`, or the input is not of positive size.
        BatchError: The network cannot work on that size.

    >>> from kdkit_pose import models
    >>> round(count_macs(models.create("hrnet_w16_small")) / 1e9, 2)
    0.57
    """
    pose_network = as_pose_network(network)
    width, height = input_size
    if width < 1 or height < 1:
        raise ConfigurationError(f"input_size is {input_size}; it must be width and height in pixels, (192, 256)")
    counted = copy.deepcopy(pose_network).to("meta").eval()
    channels = {"image": 3, "mask": 1}
    inputs = [torch.empty(1, channels[name], height, width, device="meta") for name in counted.inputs]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        counted(*inputs)
    # The counter takes a multiplication and its addition for two operations.
    return int(counter.get_total_flops()) // 2
