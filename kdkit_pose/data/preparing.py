"""From bytes and keypoints to what a network learns from, for a whole batch on its device."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from kdkit.transforms import IMAGENET_MEAN, IMAGENET_STD
from kdkit_pose.codecs import Codec


@dataclass(frozen=True)
class PrepareSamples:
    """Normalizes pictures and renders heatmaps, as `CocoKeypoints` does it for each sample.

    For `kdkit.Trainer`'s ``prepare``; a loop of one's own calls it after the batch was moved to the device.
    Nothing in it waits for the device. The result depends on the batch alone.

    Args:
        codec: The heatmap convention.

    >>> import torch
    >>> from kdkit_pose.codecs import DARK
    >>> batch = {
    ...     "image": torch.zeros(2, 3, 256, 192, dtype=torch.uint8),
    ...     "keypoints": torch.full((2, 17, 2), 90.0), "labelled": torch.ones(2, 17, dtype=torch.bool),
    ... }
    >>> prepared = PrepareSamples(DARK())(batch)
    >>> {name: list(value.shape) for name, value in prepared.items() if value.dtype == torch.float32}
    {'image': [2, 3, 256, 192], 'keypoints': [2, 17, 2], 'heatmap': [2, 17, 64, 48], 'visible': [2, 17]}
    """

    codec: Codec

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch to learn from.

        Args:
            batch: ``image`` [B, 3, H, W] uint8; where there are any, ``mask`` [B, 1, H, W] uint8,
                ``keypoints`` [B, K, 2] and ``labelled`` [B, K]. Other fields stay.

        Returns:
            ``image`` and ``mask`` in float32 as networks read them, ``heatmap`` and ``visible`` by the codec,
            ``keypoints`` in float32, and the other fields.
        """
        prepared = dict(batch)
        prepared["image"] = normalize_batch(batch["image"])
        if "mask" in batch:
            prepared["mask"] = batch["mask"].float() * (1 / 255)
        if "labelled" in batch:
            prepared["heatmap"], prepared["visible"] = self.codec.encode_batch(
                batch["keypoints"], batch["labelled"]
            )
            prepared["keypoints"] = batch["keypoints"].float()
        return prepared


def normalize_batch(image: Tensor) -> Tensor:
    """RGB uint8 [B, 3, H, W] to float32: (value / 255 - mean) / std, on any device."""
    scale, shift = _scale_and_shift(image.device)
    values = image.float()
    return torch.addcmul(shift, values, scale, out=values)


@cache
def _scale_and_shift(device: torch.device) -> tuple[Tensor, Tensor]:
    """What a byte is multiplied by, and what is added, [3, 1, 1]; copied to each device once."""
    mean, std = (
        torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (1 / (255 * std)).float().to(device), (-mean / std).float().to(device)
