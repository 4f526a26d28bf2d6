"""From one normalization of images to another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit.transforms.transform import TargetTransform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean of red, green and blue, of values in [0, 1]."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation of red, green and blue."""


@dataclass(frozen=True)
class Standardize(TargetTransform):
    """Turns images normalized by one mean and deviation into images normalized by another.

    It lets a teacher see images as it was trained, where the student sees them otherwise; as an input of a
    :class:`kdkit.TransformedTeacher`.

    Args:
        mean: of each channel, in the values of the unnormalized image.
        std: the standard deviation of each channel, above 0.
        from_mean: the mean that the image was normalized with; 0 by default.
        from_std: the deviation that it was normalized with; 1 by default.

    The result is ``(image * from_std + from_mean - mean) / std``. Exchanging the two pairs undoes it.

    Raises:
        ConfigurationError: if the numbers of channels differ, a value is not finite, or a deviation is not
            above 0.

    Example:
        >>> import torch
        >>> Standardize(mean=(0.5,), std=(0.25,))(torch.tensor([[[[0.0, 0.5, 1.0]]]]))
        tensor([[[[-2.,  0.,  2.]]]])
    """

    mean: Sequence[float]
    std: Sequence[float]
    from_mean: Sequence[float] | None = None
    from_std: Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std", "from_mean", "from_std"):
            if (values := getattr(self, name)) is None:
                continue
            values = tuple(float(value) for value in values)
            object.__setattr__(self, name, values)
            if len(values) != len(self.mean) or not values:
                raise ConfigurationError(
                    f"Standardize: {name} {values} must have one value a channel, as the mean {tuple(self.mean)}"
                )
            if not all(math.isfinite(value) and (value > 0 or "std" not in name) for value in values):
                must = "finite and above 0" if "std" in name else "finite"
                raise ConfigurationError(f"Standardize: {name} {values} must be {must}")

    @property
    def scale_and_shift(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What each channel is multiplied by, and what is then added to it."""
        from_mean = self.from_mean or (0.0,) * len(self.mean)
        from_std = self.from_std or (1.0,) * len(self.mean)
        scale = tuple(before / std for std, before in zip(self.std, from_std, strict=True))
        difference = [before - mean for mean, before in zip(self.mean, from_mean, strict=True)]
        return scale, tuple(value / std for value, std in zip(difference, self.std, strict=True))

    def __call__(self, target: Tensor) -> Tensor:
        """Return images [B, C, H, W], of floating type.

        Raises:
            BatchError: if the target is not [B, C, H, W] with as many channels as there are means.
        """
        if target.ndim != 4 or target.shape[1] != len(self.mean):
            raise BatchError(
                f"Standardize: the image has shape {tuple(target.shape)}, it must be [B, {len(self.mean)}, H, W]"
            )
        # Plain numbers a channel, not tensors of them: those would have to be sent to the image's device.
        channels = [
            target[:, index] * scale + shift
            for index, (scale, shift) in enumerate(zip(*self.scale_and_shift, strict=True))
        ]
        return torch.stack(channels, 1)
