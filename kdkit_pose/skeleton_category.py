"""What an entry of a COCO file's ``categories`` says of limbs and of OKS's constants."""

import warnings
from collections.abc import Iterable, Mapping, Sequence

from kdkit.errors import ConfigurationError

Sigmas = Sequence[float] | str
"""OKS's constants, one a keypoint, or ``"coco-like"``."""

COCO_LIKE = "coco-like"
"""A rough choice of sigmas: COCO's by a keypoint's name, the mean of COCO's where it has no such keypoint."""


def parse_sigmas(
    sigmas: Sigmas | None, names: Sequence[str], coco: Mapping[str, float], owner: str
) -> tuple[float, ...]:
    """One constant for each of ``names``; ``coco`` holds COCO's by name.

    Raises:
        ConfigurationError: There are none, or they are no numbers; ``owner`` says whose they are.
    """
    if sigmas is None:
        raise ConfigurationError(
            f"{owner} has {len(names)} keypoints of its own, and nothing says how exactly each is labelled, which "
            'OKS and so AP need: give OKS constants by sigmas=[...] in Python, "sigmas": [...] in the file\'s '
            "category, or --sigmas FILE_OR_LIST on the command line, one number a keypoint; "
            f"'{COCO_LIKE}' is a rough choice, good for comparing one's own networks"
        )
    if sigmas == COCO_LIKE:
        mean = sum(coco.values()) / len(coco)
        return tuple(coco.get(name, mean) for name in names)
    try:
        if isinstance(sigmas, str):
            raise TypeError("text is no list of numbers")
        return tuple(float(sigma) for sigma in sigmas)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{owner}: sigmas must be {len(names)} numbers or {COCO_LIKE!r}, found {sigmas!r}"
        ) from error


def parse_limbs(pairs: Iterable[Sequence[int]], num_keypoints: int, owner: str) -> tuple[tuple[int, int], ...]:
    """The limbs, counted from 0, of a category's ``skeleton``, counted from 1.

    Those that join keypoints which there are not are left out with a warning: CrowdPose's own files hold COCO's.

    Raises:
        ConfigurationError: They are no pairs of numbers.
    """
    try:
        limbs = [(int(first) - 1, int(second) - 1) for first, second in pairs]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{owner}: the category's 'skeleton' must be pairs of keypoint numbers counted from 1, found {pairs!r}"
        ) from error
    inside = tuple(limb for limb in limbs if all(0 <= index < num_keypoints for index in limb))
    if len(inside) < len(limbs):
        warnings.warn(
            f"{owner}: left out {len(limbs) - len(inside)} of {len(limbs)} limbs, which join keypoints beyond its "
            f"{num_keypoints}",
            stacklevel=3,
        )
    return inside
