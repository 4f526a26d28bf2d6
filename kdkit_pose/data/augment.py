"""The random variations of a person's crop, as parameters: drawn first, applied by pure functions after."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from kdkit.errors import ConfigurationError
from kdkit_pose.geometry import box_to_center_scale

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """The random choices of one view; the default changes nothing.

    Attributes:
        half_body: Whether to crop to one half of the body, where enough of it is labelled.
        upper: Whether the upper half is wanted, where it has enough keypoints.
        zoom: What the crop's size is multiplied by.
        rotation: Degrees.
        flip: Whether the picture is mirrored.
    """

    half_body: bool = False
    upper: bool = False
    zoom: float = 1.0
    rotation: float = 0.0
    flip: bool = False


@dataclass(frozen=True)
class Crop:
    """The part of a picture that becomes the input: centre [2] and scale [2] in pixels of the unmirrored
    picture, rotation in degrees, and whether the picture is mirrored before it is cut."""

    center: Array
    scale: Array
    rotation: float = 0.0
    flip: bool = False


@dataclass(frozen=True)
class Augment:
    """How the views of a person vary; the default is the HRNet reference's for COCO (arXiv 1902.09212,
    section 4.1).

    Args:
        half_body_probability: How often a crop shows one half of the body only.
        half_body_minimum: Only persons with more labelled keypoints than this are halved.
        scale_factor: Standard deviation of the zoom around 1, and the most it departs from 1.
        rotation_factor: Standard deviation of the rotation in degrees; the most is twice this.
        rotation_probability: How often a crop is rotated.
        flip_probability: How often it is mirrored.

    Raises:
        ConfigurationError: A probability outside of 0 to 1, a scale factor outside of [0, 1), a negative
            rotation.
    """

    half_body_probability: float = 0.3
    half_body_minimum: int = 8
    scale_factor: float = 0.35
    rotation_factor: float = 45.0
    rotation_probability: float = 0.6
    flip_probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("half_body_probability", "rotation_probability", "flip_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"Augment: {name} must be in 0 to 1, found {getattr(self, name)}")
        if not 0 <= self.scale_factor < 1:
            raise ConfigurationError(f"Augment: scale_factor must be in [0, 1), found {self.scale_factor}")
        if not 0 <= self.rotation_factor < float("inf"):
            raise ConfigurationError(f"Augment: rotation_factor must be 0 or more, found {self.rotation_factor}")

    @property
    def rotation_limit(self) -> float:
        """The most that a crop is turned, in degrees."""
        return 2 * self.rotation_factor if self.rotation_probability else 0.0

    def halves(self, labelled: npt.NDArray[np.bool_]) -> bool:
        """Whether a person with these labelled keypoints [K] may be cropped to one half."""
        return self.half_body_probability > 0 and int(np.count_nonzero(labelled)) > self.half_body_minimum

    def exceeds(self, widest: "Augment | None") -> list[str]:
        """In what these variations go beyond those of ``widest`` (None: none at all), in words; nothing where
        they do not. How often something is drawn does not matter, only whether it can be.

        >>> Augment().exceeds(Augment(scale_factor=0.25, half_body_probability=0))
        ['half_body_probability 0.3, not 0', 'scale_factor 0.35, not up to 0.25']
        """
        wide = widest or Augment(half_body_probability=0, scale_factor=0, rotation_factor=0)
        told = []
        if self.half_body_probability > 0 and wide.half_body_probability == 0:
            told.append(f"half_body_probability {self.half_body_probability:g}, not 0")
        elif self.half_body_probability > 0 and self.half_body_minimum < wide.half_body_minimum:
            told.append(f"half_body_minimum {self.half_body_minimum}, not {wide.half_body_minimum} or more")
        if self.scale_factor > wide.scale_factor:
            told.append(f"scale_factor {self.scale_factor:g}, not up to {wide.scale_factor:g}")
        if self.rotation_limit > wide.rotation_limit:
            told.append(f"rotations of {self.rotation_limit:g} degrees, not up to {wide.rotation_limit:g}")
        return told

    def draw(self, generator: np.random.Generator) -> Draw:
        """The choices of one view. Always takes as many random numbers, so that each choice keeps its own."""
        half_body, rotated, flipped = generator.random(3).tolist()
        half, zoom, rotation = generator.standard_normal(3).tolist()
        factor, limit = self.scale_factor, 2 * self.rotation_factor
        return Draw(
            half_body=bool(half_body < self.half_body_probability),
            # The reference compares a *normal* number with 0.5: the upper half in 69 of 100 cases.
            upper=bool(half < 0.5),
            # In plain numbers: numpy takes ten times as long for a single one.
            zoom=min(max(1 + factor * zoom, 1 - factor), 1 + factor),
            rotation=min(max(self.rotation_factor * rotation, -limit), limit)
            if rotated < self.rotation_probability
            else 0.0,
            flip=bool(flipped < self.flip_probability),
        )

    def place(
        self,
        crop: Crop,
        draw: Draw,
        keypoints: Array,
        labelled: npt.NDArray[np.bool_],
        upper_body: tuple[int, ...],
    ) -> Crop:
        """The crop that ``draw`` makes of ``crop``.

        Args:
            crop: The person's whole crop; its scale has the input's aspect.
            draw: The choices.
            keypoints: [K, 2] in pixels of the picture.
            labelled: [K].
            upper_body: Which of the keypoints are the upper half.
        """
        if draw.half_body and self.halves(labelled):
            crop = half_body(crop, keypoints, labelled, upper_body, upper=draw.upper) or crop
        return Crop(crop.center, crop.scale * draw.zoom, draw.rotation, draw.flip)


def half_body(
    crop: Crop, keypoints: Array, labelled: npt.NDArray[np.bool_], upper_body: tuple[int, ...], *, upper: bool
) -> Crop | None:
    """The crop of one half of a body, as the HRNet reference makes it: around the mean of the half's labelled
    keypoints, 1.5 times their box. None if the half has fewer than 2 of them, or no extent.

    The upper half is taken if ``upper`` asks for it and it has more than 2 keypoints; else the lower, if that
    has more than 2; else the upper all the same.
    """
    is_upper = _upper(upper_body, len(labelled))
    above, below = keypoints[labelled & is_upper], keypoints[labelled & ~is_upper]
    take_upper = len(above) > 2 if upper else False
    chosen = above if take_upper or len(below) <= 2 else below
    if len(chosen) < 2:
        return None
    least = chosen.min(axis=0)
    extent = chosen.max(axis=0) - least
    if not extent.any():
        return None
    box = np.concatenate([least, extent])
    _, scale = box_to_center_scale(box, float(crop.scale[0] / crop.scale[1]), padding=1.5)
    return Crop(center=chosen.mean(axis=0), scale=scale)


@cache
def _upper(upper_body: tuple[int, ...], num_keypoints: int) -> npt.NDArray[np.bool_]:
    """For each keypoint, whether it is of the upper half."""
    return np.isin(np.arange(num_keypoints), upper_body)
