"""A data set of drawn people, each picture a pure function of the seed and its index."""

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kdkit.errors import ConfigurationError
from kdkit_pose.synthetic.scene import render_scene

SMALLEST_SIDE: Final = 64


@dataclass(frozen=True)
class SyntheticPicture:
    """One drawn picture.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        annotations: COCO person entries, without `id` and `image_id`. Keypoints are pixels, whole numbers at
            pixel centres; `segmentation` is a compressed run-length encoding of what is visible.

    """

    image: NDArray[np.uint8]
    annotations: list[dict[str, Any]]


@dataclass(frozen=True)
class SyntheticPeople:
    """Pictures of drawn people, made when asked for; nothing is stored.

    Picture `index` depends on `seed`, `size`, `crowded` and `index` alone, so it is the same in any process
    and in any order. Different seeds give unrelated pictures: use one for training, another for validation.

    Args:
        pictures: how many.
        seed: not negative.
        size: width and height of a picture, pixels, each at least 64.
        crowded: share of the pictures in which people overlap closely, 0..1.

    Raises:
        ConfigurationError: an argument is out of its range.

    """

    pictures: int
    seed: int = 0
    size: tuple[int, int] = (320, 240)
    crowded: float = 0.5

    def __post_init__(self) -> None:
        if self.pictures < 0:
            raise ConfigurationError(f"pictures must not be negative, got {self.pictures}")
        if self.seed < 0:
            raise ConfigurationError(f"seed must not be negative, got {self.seed}")
        if len(self.size) != 2 or min(self.size) < SMALLEST_SIDE:
            raise ConfigurationError(
                f"size must be (width, height) of at least {SMALLEST_SIDE} pixels each, got {self.size}"
            )
        if not 0.0 <= self.crowded <= 1.0:
            raise ConfigurationError(f"crowded is a share of the pictures, 0..1, got {self.crowded}")

    def __len__(self) -> int:
        return self.pictures

    def __getitem__(self, index: int) -> SyntheticPicture:
        """Draw a picture; negative indices count from the end.

        Raises:
            IndexError: there is no such picture.

        """
        place = operator.index(index)
        if not -self.pictures <= place < self.pictures:
            raise IndexError(f"picture {index} of {self.pictures}")
        place %= self.pictures
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, place])))
        crowded = bool(rng.random() < self.crowded)
        return SyntheticPicture(*render_scene(rng, *self.size, crowded))

    def __iter__(self) -> Iterator[SyntheticPicture]:
        return (self[index] for index in range(self.pictures))

    def picture(self, entry: Mapping[str, Any]) -> NDArray[np.uint8]:
        """Draw the picture of an entry of `annotations()["images"]`, RGB [H, W, 3].

        With it the set is used without files: `CocoKeypoints(people.annotations(), people.picture, ...)`.
        """
        return self[int(entry["id"]) - 1].image

    def annotations(self) -> dict[str, Any]:
        """The whole set as a COCO dictionary, its pictures counted from 1; draws every picture."""
        # Imported here because coco_format imports this module.
        from kdkit_pose.synthetic.coco_format import coco_dictionary, picture_name

        names = [picture_name(1 + index) for index in range(self.pictures)]
        return coco_dictionary(self, [picture.annotations for picture in self], names, 1)
