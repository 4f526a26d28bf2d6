"""The trainable part of masked generative distillation."""

import torch
from torch import Tensor, nn

from kdkit.errors import BatchError, ConfigurationError


class MaskedGeneration(nn.Module):
    """Hides random positions of a student's feature and makes a teacher's whole feature from the rest.

    A 1x1 convolution to the teacher's channels, where they differ; then in training mode each position of each
    sample is set to 0, in all channels, with probability ``mask_ratio``; then a 3x3 convolution, a ReLU and a
    3x3 convolution. In eval mode nothing is masked. The mask is drawn from torch's global generator of the
    feature's device, whose state a run's checkpoint holds.

    Its loss is :func:`kdkit.losses.masked_generative`.

    Args:
        channels_in: of the student's feature.
        channels_out: of the teacher's feature.
        mask_ratio: the probability that a position is hidden, in [0, 1).

    Raises:
        ConfigurationError: if a number of channels is below 1, or the ratio not in [0, 1).

    Source: Yang et al., Masked Generative Distillation (arXiv 2205.01529), section 3.

    Example:
        >>> MaskedGeneration(16, 32)(torch.zeros(2, 16, 8, 6)).shape
        torch.Size([2, 32, 8, 6])
    """

    def __init__(self, channels_in: int, channels_out: int, mask_ratio: float = 0.65) -> None:
        super().__init__()
        if min(channels_in, channels_out) < 1:
            raise ConfigurationError(
                f"MaskedGeneration: channels_in={channels_in} and channels_out={channels_out} must be at least 1"
            )
        if not 0 <= mask_ratio < 1:
            raise ConfigurationError(f"MaskedGeneration: mask_ratio={mask_ratio} must be at least 0 and below 1")
        self.channels_in = channels_in
        self.mask_ratio = mask_ratio
        self.align = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)
        self.generate = nn.Sequential(
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Return a feature [B, channels_out, h, w] made from the student's [B, channels_in, h, w].

        Raises:
            BatchError: if the feature has another shape.
        """
        if feature.ndim != 4 or feature.shape[1] != self.channels_in:
            raise BatchError(
                f"MaskedGeneration: the feature has shape {tuple(feature.shape)}, "
                f"it must be [B, {self.channels_in}, h, w]"
            )
        aligned: Tensor = self.align(feature)
        if self.training and self.mask_ratio > 0:
            samples, _, height, width = aligned.shape
            draws = torch.rand(samples, 1, height, width, device=aligned.device)
            aligned = aligned.masked_fill(draws < self.mask_ratio, 0)
        generated: Tensor = self.generate(aligned)
        return generated

    def extra_repr(self) -> str:
        """Return the ratio, for the module's repr."""
        return f"mask_ratio={self.mask_ratio}"
