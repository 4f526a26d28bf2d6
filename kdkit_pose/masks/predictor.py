"""The network that answers with the mask of the person in the middle of a crop."""

from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from kdkit.errors import BatchError, ConfigurationError
from kdkit_pose.codecs import DARK, Codec

ARCHITECTURES = ("fpn", "unet", "unetplusplus", "linknet", "manet", "pspnet", "deeplabv3plus")
"""The decoders of segmentation-models-pytorch to choose from."""


class MaskPredictor(nn.Module):
    """From a person's crop and box to the logits of that person's own mask, not of everyone's in the crop.

    The person is the one in the middle: the crop is that of the top-down protocol, around the person's box, as a
    pose network of this input size sees it, and the box says how far the person reaches. In a crowd this is what
    tells people apart.

    Args:
        architecture: One of `ARCHITECTURES`.
        encoder: Any timm backbone with ``features_only``, such as ``mobilenetv3_large_100`` or ``resnet18``. Its
            weights are random; see `load_encoder_weights`.
        input_size: Width and height of the crop in pixels, multiples of 32.
        threshold: The probability from which on a pixel is the person's.

    Raises:
        ConfigurationError: An unknown architecture or encoder, a size or threshold that cannot be.

    >>> predictor = MaskPredictor("fpn", "mobilenetv3_small_050", input_size=(64, 96)).eval()
    >>> predictor(torch.rand(2, 3, 96, 64), torch.ones(2, 1, 96, 64)).shape
    torch.Size([2, 1, 96, 64])
    """

    inputs = ("image", "box")

    def __init__(
        self,
        architecture: str = "fpn",
        encoder: str = "mobilenetv3_large_100",
        input_size: tuple[int, int] = (192, 256),
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ConfigurationError(
                f"no mask predictor is called {architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
            )
        if any(side <= 0 or side % 32 for side in input_size):
            raise ConfigurationError(
                "a mask predictor's input must be (width, height) in multiples of 32 pixels, found "
                f"{input_size[0]} x {input_size[1]}"
            )
        if not 0 < threshold < 1:
            raise ConfigurationError(
                f"a mask predictor's threshold must lie between 0 and 1, found {threshold}: 0.5 is usual"
            )
        self.architecture, self.encoder = architecture, encoder
        self.input_size, self.threshold = input_size, threshold
        self.network = _build(architecture, encoder)

    @property
    def codec(self) -> Codec:
        """What owns the crop's geometry."""
        return DARK(input_size=self.input_size)

    @property
    def title(self) -> str:
        """Architecture and encoder, for reports."""
        return f"{self.architecture} {self.encoder}"

    def forward(self, image: Tensor, box: Tensor) -> Tensor:
        """Return logits [B, 1, H, W].

        Args:
            image: Crops [B, 3, H, W], normalized as `kdkit_pose.data` does it.
            box: [B, 1, H, W], 1 inside of the person's box and 0 outside.

        Raises:
            BatchError: Crops or boxes of another size than ``input_size``.
        """
        width, height = self.input_size
        if image.shape[1:] != (3, height, width) or box.shape != (len(image), 1, height, width):
            raise BatchError(
                f"the mask predictor reads crops [B, 3, {height}, {width}] and boxes [B, 1, {height}, {width}], "
                f"found {tuple(image.shape)} and {tuple(box.shape)}: make the data with its codec"
            )
        logits: Tensor = self.network(torch.cat([image, box - 0.5], dim=1))
        return logits

    @torch.no_grad()
    def probability(self, image: Tensor, box: Tensor) -> Tensor:
        """How probably each pixel is the person's, [B, 1, H, W]: the mean over the crop and its mirror image."""
        mirrored = self(image.flip(-1), box.flip(-1)).flip(-1)
        probability: Tensor = (self(image, box).sigmoid() + mirrored.sigmoid()) * 0.5
        return probability


def _build(architecture: str, encoder: str) -> nn.Module:
    import timm

    options: dict[str, Any] = {"encoder_weights": None, "in_channels": 4, "classes": 1}
    # A name may come from a file, and timm fetches what is called as if from a hub.
    if not timm.is_model(encoder):
        raise ConfigurationError(f"timm has no model '{encoder}'; timm.list_models() gives their names")
    try:
        network: nn.Module = smp.create_model(architecture, f"tu-{encoder}", **options)
    except Exception as error:  # whatever any of timm's models may do with an option it does not take
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"timm's model '{encoder}' cannot be the encoder of '{architecture}' ({reason}): it must have "
            "features_only, as mobilenetv3_large_100 and resnet18 have"
        ) from error
    return network
