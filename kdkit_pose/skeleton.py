"""What a person is made of: named keypoints, which mirror each other, how exactly each is labelled."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdkit.errors import ConfigurationError, DataError


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of one kind of body and their relations; an index is a place in ``keypoints``.

    Args:
        name: What the skeleton is called, such as ``coco``.
        keypoints: The keypoints' names, in the order of every array and heatmap.
        flip_pairs: Pairs of indices that change places when the picture is mirrored.
        limbs: Pairs of indices to join when a person is drawn.
        sigmas: The labelling noise of each keypoint, as a fraction of the object's size: OKS's constants, the
            ``k_i = 2 * sigma_i`` of https://cocodataset.org/#keypoints-eval.
        upper_body: The indices that the half-body augmentation counts as the upper half.

    Raises:
        ConfigurationError: An index outside of the skeleton, a repeated name, a sigma that is not positive, a
            keypoint in two flip pairs.

    >>> COCO.num_keypoints, COCO.keypoints[9]
    (17, 'left_wrist')
    >>> COCO.flip_permutation[9] == COCO.keypoints.index("right_wrist")
    True
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    limbs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]
    upper_body: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.keypoints or len(set(self.keypoints)) != len(self.keypoints):
            raise ConfigurationError(
                f"skeleton {self.name!r}: keypoint names must be present and differ from each other, found "
                f"{self.keypoints}"
            )
        if len(self.sigmas) != self.num_keypoints:
            raise ConfigurationError(
                f"skeleton {self.name!r}: {self.num_keypoints} keypoints need as many sigmas, found "
                f"{len(self.sigmas)}"
            )
        if not all(math.isfinite(sigma) and sigma > 0 for sigma in self.sigmas):
            raise ConfigurationError(f"skeleton {self.name!r}: sigmas must be positive, found {self.sigmas}")
        self._check_indices("flip_pairs", [index for pair in self.flip_pairs for index in pair], unique=True)
        self._check_indices("limbs", [index for pair in self.limbs for index in pair], unique=False)
        self._check_indices("upper_body", list(self.upper_body), unique=True)

    @property
    def num_keypoints(self) -> int:
        """The number of keypoints, the K of every shape."""
        return len(self.keypoints)

    @property
    def flip_permutation(self) -> tuple[int, ...]:
        """For each keypoint, the index whose values it takes when the picture is mirrored."""
        order = list(range(self.num_keypoints))
        for first, second in self.flip_pairs:
            order[first], order[second] = second, first
        return tuple(order)

    @classmethod
    def from_category(cls, category: Mapping[str, Any], sigmas: Sequence[float] | None = None) -> "Skeleton":
        """The skeleton that an entry of a COCO file's ``categories`` describes.

        Flip pairs are found by name (``left_`` and ``right_`` with the same rest); the upper body is all that
        is not a hip, knee, ankle, foot, heel or toe. COCO files hold no sigmas: without ``sigmas`` every
        keypoint gets the mean of COCO's, and figures are then comparable only with each other.

        Raises:
            DataError: The category lists no keypoints.
            ConfigurationError: What it lists contradicts itself, or ``sigmas`` has another length.
        """
        names = tuple(category.get("keypoints", ()))
        if not names:
            raise DataError(
                f"category {category.get('name')!r} lists no keypoints; is this a keypoints file? "
                "Give person_keypoints_*.json or add 'keypoints' to the category"
            )
        mirrored = ((i, name.replace("left_", "right_", 1)) for i, name in enumerate(names) if "left_" in name)
        lower = ("hip", "knee", "ankle", "foot", "heel", "toe")
        return cls(
            name=str(category.get("name", "custom")),
            keypoints=names,
            flip_pairs=tuple((i, names.index(other)) for i, other in mirrored if other in names),
            limbs=tuple((int(a) - 1, int(b) - 1) for a, b in category.get("skeleton", ())),
            sigmas=tuple(sigmas) if sigmas is not None else (sum(COCO.sigmas) / 17,) * len(names),
            upper_body=tuple(i for i, name in enumerate(names) if not any(part in name for part in lower)),
        )

    def _check_indices(self, field: str, indices: list[int], *, unique: bool) -> None:
        outside = [index for index in indices if not 0 <= index < self.num_keypoints]
        if outside:
            raise ConfigurationError(
                f"skeleton {self.name!r}: {field} names keypoint {outside[0]}, but there are only 0 to "
                f"{self.num_keypoints - 1}"
            )
        if unique and len(set(indices)) != len(indices):
            raise ConfigurationError(f"skeleton {self.name!r}: {field} names a keypoint twice")


# fmt: off
COCO = Skeleton(
    name="coco",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9),
        (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    # Tenths as pycocotools writes them: 0.26 / 10 is not 0.026 in floating point, and an AP should be equal
    # to the bit.
    sigmas=tuple(
        tenths / 10
        for tenths in (
            0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89
        )
    ),
    upper_body=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)
"""COCO's 17 keypoints; sigmas as in pycocotools' ``Params.setKpParams``."""

CROWDPOSE = Skeleton(
    name="crowdpose",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
    ),
    flip_pairs=((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    limbs=(
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 2), (1, 3), (2, 4), (3, 5), (12, 13),
        (13, 0), (13, 1),
    ),
    sigmas=(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
    upper_body=(0, 1, 2, 3, 4, 5, 12, 13),
)
"""CrowdPose's 14 keypoints (arXiv 1812.00324); sigmas as in its evaluation tool."""
# fmt: on
