"""One person of a data set, ready to be drawn on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdkit.errors import ConfigurationError
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.data.normalize import denormalize


@dataclass(frozen=True, eq=False)
class PersonCrop:
    """A person as a network sees it.

    Attributes:
        image: [H, W, 3] uint8, RGB.
        mask: [H, W] float32 in 0..1, None where the person has none.
        matrix: [2, 3], from the picture's pixels to the crop's.
        heatmap: [K, h, w] float32, the codec's target.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.float32] | None
    matrix: NDArray[np.float64]
    heatmap: NDArray[np.float32]


def person_crop(dataset: CocoKeypoints, index: int) -> PersonCrop:
    """The person at ``index``.

    Raises:
        ConfigurationError: The data set varies its crops, or has no ground truth.
    """
    if dataset.augment is not None or not dataset.has_targets:
        raise ConfigurationError(
            "people are drawn from a data set with ground truth and without augmentation, found "
            + ("detector boxes: leave out boxes" if not dataset.has_targets else "augment: leave it out")
        )
    sample = dataset[index]
    mask = sample["mask"][0].numpy() if "mask" in sample else None
    # All ones stand for a person whose mask is not known.
    known = mask is not None and bool((mask < 1).any())
    return PersonCrop(
        image=denormalize(sample["image"].numpy()),
        mask=mask if known else None,
        matrix=dataset.codec.affine(sample["center"].numpy(), sample["scale"].numpy()),
        heatmap=sample["heatmap"].numpy(),
    )
