"""Whether the network that a file describes could be the one whose weights it holds, told before it is built."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from kdkit.errors import CheckpointError

MOST_KEYPOINTS = 10_000
"""More heatmaps than any network has that people train."""

_SLACK = 2**20  # numbers that a file may lack without being absurd


def require_few_keypoints(path: Path, count: int) -> None:
    """Refuse a number of heatmaps that no network has.

    Raises:
        CheckpointError: It is more than `MOST_KEYPOINTS`.
    """
    if count > MOST_KEYPOINTS:
        raise CheckpointError(
            f"{path} claims {count:,} keypoints, at most {MOST_KEYPOINTS:,} can be: it is damaged"
        )


def require_as_large(path: Path, build: Callable[[], nn.Module], tensors: Iterable[Tensor]) -> None:
    """Refuse a description of a network far larger than all that the file holds.

    A header may name any backbone of timm's, some of which take gigabytes.

    Args:
        path: The file.
        build: Makes the network; called where nothing is allocated.
        tensors: The file's.

    Raises:
        CheckpointError: The network has more than twice as many numbers.
    """
    try:
        with torch.device("meta"):
            network = build()
    except Exception:  # some networks cannot be made like this; what else is wrong is told when it is built
        return
    wanted = sum(value.numel() for value in network.state_dict().values())
    found = sum(tensor.numel() for tensor in tensors)
    if wanted > 2 * found + _SLACK:
        raise CheckpointError(
            f"{path} describes a network of {wanted:,} weights, but holds {found:,}: it is damaged, or its header "
            "is another file's"
        )
