"""What a person is made of: named keypoints, which mirror each other, how exactly each is labelled."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.skeleton_category import Sigmas, parse_limbs, parse_sigmas
from kdkit_pose.skeleton_names import check_flip_pairs, find_flip_pairs, parse_flip_pairs

_LOWER = ("hip", "knee", "ankle", "foot", "heel", "toe")


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
            keypoint in two flip pairs, or flip pairs that contradict names of left and right.

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
        check_flip_pairs(self.keypoints, self.flip_pairs, f"skeleton {self.name!r}")

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
    def from_category(
        cls,
        category: Mapping[str, Any],
        sigmas: Sigmas | None = None,
        flip_pairs: Iterable[Sequence[str]] | None = None,
    ) -> "Skeleton":
        """The skeleton that an entry of a COCO file's ``categories`` describes.

        The keypoints of COCO or CrowdPose, in their order, are :data:`COCO` or :data:`CROWDPOSE` themselves.
        Of any others the upper body is all that is not a hip, knee, ankle, foot, heel or toe, and limbs are the
        category's ``skeleton``; those of keypoints that there are not are left out with a warning.

        Args:
            category: The entry: ``keypoints``, a list of names; maybe ``name``, ``skeleton`` (pairs of numbers,
                counted from 1), and, which COCO has not, ``sigmas`` and ``flip_pairs`` (pairs of names).
            sigmas: OKS's constants, one a keypoint, or ``"coco-like"`` for a rough choice: COCO's for keypoints
                of COCO's names, the mean of COCO's for all others. Figures are then comparable only with each
                other. By default the category's own.
            flip_pairs: Which keypoints change places in a mirror, by name. By default the category's own, or
                else found by name: ``left_eye`` and ``right_eye``, ``l_eye`` and ``r_eye``, ``eyeL`` ...

        Raises:
            DataError: The category lists no keypoints.
            ConfigurationError: Nothing says the sigmas or the flip pairs, or what is said contradicts itself.

        >>> face = {"name": "face", "keypoints": ["nose", "left_eye", "right_eye"]}
        >>> Skeleton.from_category(face, sigmas=[0.026, 0.025, 0.025]).flip_pairs
        ((1, 2),)
        """
        names = tuple(category.get("keypoints") or ())
        if not names or not all(isinstance(name, str) for name in names):
            raise DataError(
                f"category {category.get('name')!r} lists no keypoints; is this a keypoints file? "
                "Give person_keypoints_*.json or add 'keypoints', a list of names, to the category"
            )
        name = str(category.get("name", "custom"))
        owner = f"skeleton {name!r}"
        known = next((one for one in (COCO, CROWDPOSE) if one.keypoints == names), None)
        stated = flip_pairs if flip_pairs is not None else category.get("flip_pairs")
        pairs = find_flip_pairs(names, owner) if stated is None else parse_flip_pairs(stated, names, owner)
        chosen = sigmas if sigmas is not None else category.get("sigmas", known and known.sigmas)
        constants = parse_sigmas(chosen, names, dict(zip(COCO.keypoints, COCO.sigmas, strict=True)), owner)
        if known is not None:
            return replace(known, sigmas=constants, flip_pairs=pairs)
        return cls(
            name=name,
            keypoints=names,
            flip_pairs=pairs,
            limbs=parse_limbs(category.get("skeleton") or (), len(names), owner),
            sigmas=constants,
            upper_body=tuple(i for i, name in enumerate(names) if not any(p in name.lower() for p in _LOWER)),
        )

    def to_metadata(self) -> dict[str, str]:
        """The skeleton as a string, for a file's header; :meth:`from_metadata` reads it back, equal to the bit."""
        return {"skeleton": json.dumps(asdict(self), separators=(",", ":"))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Skeleton":
        """The skeleton that :meth:`to_metadata` described; other keys are passed over.

        Raises:
            ConfigurationError: The key ``skeleton`` is missing, or what it says cannot be read.
        """
        if "skeleton" not in metadata:
            raise ConfigurationError(
                f"the metadata names no skeleton: 'skeleton' is missing among {sorted(metadata)}; say which "
                "keypoints the network was trained for"
            )
        try:
            content = json.loads(metadata["skeleton"])
            return cls(
                name=str(content["name"]),
                keypoints=tuple(content["keypoints"]),
                flip_pairs=tuple((int(a), int(b)) for a, b in content["flip_pairs"]),
                limbs=tuple((int(a), int(b)) for a, b in content["limbs"]),
                sigmas=tuple(float(sigma) for sigma in content["sigmas"]),
                upper_body=tuple(int(index) for index in content["upper_body"]),
            )
        except ConfigurationError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"skeleton metadata cannot be read ({type(error).__name__}: {error}), found "
                f"{metadata['skeleton'][:60]!r}; say which keypoints the network was trained for"
            ) from error

    def _check_indices(self, field: str, indices: list[int], *, unique: bool) -> None:
        outside = [index for index in indices if not 0 <= index < self.num_keypoints]
        if outside:
            raise ConfigurationError(
                f"skeleton {self.name!r}: {field} names keypoint {outside[0]}, but there are only 0 to "
                f"{self.num_keypoints - 1}"
            )
        if unique and len(set(indices)) != len(indices):
            twice = next(index for index in indices if indices.count(index) > 1)
            raise ConfigurationError(
                f"skeleton {self.name!r}: {field} names a keypoint twice, {self.keypoints[twice]!r}; once will do"
            )


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
"""CrowdPose's 14 keypoints (arXiv 1812.00324); sigmas as in ``computeOks`` of its tool, crowdposetools."""
# fmt: on
