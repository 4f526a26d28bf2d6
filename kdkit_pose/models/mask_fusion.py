"""How a network takes in the person's segmentation mask: fusions that start equal to the RGB network.

A fusion is a small module beside a network with a convolutional stem. It has two places to act, the picture
that enters the first convolution and the features that leave the stem, and it may give the first convolution
more input channels. Each starts as the network was without it, so that a mask-aware teacher can begin from
RGB weights:

>>> import torch
>>> conv = torch.nn.Conv2d(3, 8, 3)
>>> create_fusion("concat", stem_channels=8).widen(conv)
>>> conv.weight.shape, conv.weight[:, 3:].abs().sum().item()
(torch.Size([8, 4, 3, 3]), 0.0)
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdkit.errors import BatchError, ConfigurationError


class MaskFusion(nn.Module):
    """No fusion, and the base of those that do fuse: the mask is not read.

    Args:
        stem_channels: Channels C of the features that leave the stem.
    """

    name: ClassVar[str] = "none"
    reads_mask: ClassVar[bool] = False
    extra_channels: ClassVar[int] = 0

    def __init__(self, stem_channels: int) -> None:
        super().__init__()

    def widen(self, conv: nn.Conv2d) -> None:
        """Give the first convolution `extra_channels` more inputs, in place; their kernels are zero.

        The kernels it had are kept, so its result is what it was, whatever the added channels hold.
        """
        if self.extra_channels:
            conv.weight = nn.Parameter(with_zero_channels(conv.weight, self.extra_channels))
            conv.in_channels += self.extra_channels

    def fuse_image(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return what the first convolution reads, from image [B,3,H,W] and mask [B,1,H,W] in [0, 1]."""
        return image

    def fuse_features(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what follows the stem reads, from its features [B,C,h,w] and mask [B,1,H,W] in [0, 1]."""
        return features


class ConcatFusion(MaskFusion):
    """The mask as a fourth channel of the image; its kernel in the first convolution starts at zero."""

    name = "concat"
    reads_mask = True
    extra_channels = 1

    def fuse_image(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return [B,4,H,W]."""
        return torch.cat([image, mask], dim=1)


class MultiplyFusion(MaskFusion):
    """The image multiplied by the mask; without parameters, and equal to the RGB network for a mask of ones.

    Images arrive normalised by ImageNet's mean and standard deviation, so what the mask hides gets the data
    set's mean colour, not black.
    """

    name = "multiply"
    reads_mask = True

    def fuse_image(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return [B,3,H,W]."""
        return image * mask


class AddFusion(MaskFusion):
    """A 1x1 convolution of the mask, zero at first, added to the features that leave the stem.

    The mask is averaged over the area of each feature cell. It is added behind the stem's last activation, so
    that the gradient reaches the kernel from the first step on, in every cell.
    """

    name = "add"
    reads_mask = True

    def __init__(self, stem_channels: int) -> None:
        super().__init__(stem_channels)
        self.stem = nn.Conv2d(1, stem_channels, kernel_size=1, bias=False)
        nn.init.zeros_(self.stem.weight)

    def fuse_features(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return [B,C,h,w]."""
        coverage = functional.interpolate(mask, size=features.shape[-2:], mode="area")
        projected: Tensor = self.stem(coverage)
        return features + projected


FUSIONS: dict[str, type[MaskFusion]] = {
    fusion.name: fusion for fusion in (MaskFusion, ConcatFusion, MultiplyFusion, AddFusion)
}


def create_fusion(name: str, stem_channels: int) -> MaskFusion:
    """Build a fusion by its name.

    Raises:
        ConfigurationError: `name` is not one of `none`, `concat`, `multiply`, `add`.
    """
    if name not in FUSIONS:
        raise ConfigurationError(f"no mask fusion is called {name!r}; choose one of {', '.join(FUSIONS)}")
    return FUSIONS[name](stem_channels)


def with_zero_channels(weight: Tensor, extra: int) -> Tensor:
    """Return a convolution's weight [out,in,kh,kw] with `extra` more input channels, of zeros, at the end."""
    added = weight.new_zeros(weight.shape[0], extra, *weight.shape[2:])
    return torch.cat([weight.detach(), added], dim=1)


def check_mask(image: Tensor, mask: Tensor) -> None:
    """Require one mask an image, of the image's size.

    Raises:
        BatchError: The mask is not [B,1,H,W] for an image [B,3,H,W]; broadcasting would hide the mistake.
    """
    expected = (image.shape[0], 1, *image.shape[2:])
    if mask.shape != expected:
        raise BatchError(
            f"the mask has shape {list(mask.shape)}, but the image of shape {list(image.shape)} needs a mask"
            f" {list(expected)}: the person's segmentation, warped as the image was"
        )
