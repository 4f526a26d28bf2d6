"""What a set of weights says about the network it was saved from."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from kdkit_pose.models.mask_fusion import ConcatFusion

HEAD = "final_layer.weight"


@dataclass(frozen=True)
class Identity:
    """What a file's weights say about the network they were saved from.

    Args:
        name: The name `create` knows the network by, None when it knows it not.
        title: How to call the network in a message.
        num_keypoints: Heatmaps of the head, None without one.
        mask_fusion: `concat` or `add`, which have weights, else `none`; `multiply` leaves no trace.
        unusable: Why kdkit cannot read a network that it knows by sight, as the end of a sentence; None
            otherwise.
    """

    name: str | None
    title: str
    num_keypoints: int | None = None
    mask_fusion: str = "none"
    unusable: str | None = None


def kernel_of(tensors: Mapping[str, Tensor], key: str) -> tuple[int, ...] | None:
    """Return the shape of a convolution's weight, None where there is none of that name."""
    weight = tensors.get(key)
    return tuple(weight.shape) if weight is not None and weight.ndim == 4 else None


def count_heatmaps(tensors: Mapping[str, Tensor], *heads: str) -> int | None:
    """Return how many heatmaps the first of these heads makes that there is, None without one."""
    kernels = (kernel_of(tensors, head) for head in heads or (HEAD,))
    return next((kernel[0] for kernel in kernels if kernel is not None), None)


def fusion_of(tensors: Mapping[str, Tensor], stem: str) -> str:
    """Return the mask fusion that left a trace in the first convolution or beside it."""
    kernel = kernel_of(tensors, stem)
    if kernel is not None and kernel[1] == 3 + ConcatFusion.extra_channels:
        return "concat"
    return "add" if any(key.startswith("mask_fusion.") for key in tensors) else "none"


def count_numbers(names: Iterable[str], pattern: str) -> int:
    """Return how many different numbers the pattern's group takes at the names' beginnings.

    >>> count_numbers(["layer1.0.weight", "layer1.0.bias", "layer1.2.weight"], r"layer1\\.(\\d+)\\.")
    2
    """
    matches = (re.match(pattern, name) for name in names)
    return len({match.group(1) for match in matches if match is not None})


def listed(numbers: Iterable[int]) -> str:
    """Return `3, 4, 6, 3`."""
    return ", ".join(str(number) for number in numbers)
