"""The network as it is shipped: a copy in float32 and eval mode with heatmaps as its only output."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.data.normalize import MEAN, STD
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.skeleton import Skeleton

_BLOCK = 8


class ShippedNetwork(nn.Module):
    """A copy of a network on the CPU, in float32 and eval mode; the network itself is not touched.

    Args:
        network: Whose heatmaps are shipped; features beside them are left out.
        pixels: Read images as a decoder of pictures gives them, uint8 RGB [B,H,W,3], and normalise them
            inside.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: PoseNetwork, *, pixels: bool = False) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float()
        self.pixels = pixels
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.eval()

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return heatmaps [B,K,h,w] of an image [B,3,H,W], or [B,H,W,3] with `pixels`, and perhaps a mask."""
        if self.pixels:
            image = (image.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        output = self.network(image) if mask is None else self.network(image, mask)
        heatmap: Tensor = output["heatmap"] if isinstance(output, Mapping) else output
        return heatmap

    def run(self, *inputs: Tensor) -> Tensor:
        """Return the heatmaps of inputs, without recording gradients."""
        with torch.no_grad():
            heatmap: Tensor = self(*inputs)
        return heatmap

    def draw_inputs(self, batch: int, size: tuple[int, int], seed: int) -> tuple[Tensor, ...]:
        """Return random inputs, one for each that the network reads.

        Pictures of squares, all colours equally likely, so that flat regions, edges and the whole range of
        values occur; a mask is of squares, too.

        Args:
            batch: Number of pictures B.
            size: Width and height in pixels.
            seed: Equal seeds give equal inputs.
        """
        width, height = size
        generator = torch.Generator().manual_seed(seed)
        rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
        colours = torch.randint(0, 256, (batch, 3, rows, columns), generator=generator, dtype=torch.uint8)
        inside = torch.randint(0, 2, (batch, 1, rows, columns), generator=generator, dtype=torch.uint8)
        picture, mask = (_enlarge(values)[..., :height, :width] for values in (colours, inside))
        if self.pixels:
            image = picture.permute(0, 2, 3, 1).contiguous()
        else:
            image = (picture.float() / 255 - self.mean) / self.std
        return (image, mask.float().contiguous())[: len(self.network.inputs)]


def check_heatmaps(heatmap: Tensor, batch: int, codec: Codec, skeleton: Skeleton) -> None:
    """Require that codec and skeleton describe what the network gives, before they are written beside it.

    Raises:
        ConfigurationError: They belong to heatmaps of another size or number.
    """
    width, height = codec.heatmap_size
    expected = (batch, skeleton.num_keypoints, height, width)
    if heatmap.shape != expected:
        raise ConfigurationError(
            f"for {batch} inputs the network gives heatmaps {list(heatmap.shape)}, but codec {codec.name!r} of"
            f" input_size {codec.input_size} and skeleton {skeleton.name!r} describe {list(expected)}: give the"
            " codec and the skeleton that it was trained with"
        )


def _enlarge(values: Tensor) -> Tensor:
    return values.repeat_interleave(_BLOCK, dim=-2).repeat_interleave(_BLOCK, dim=-1)
