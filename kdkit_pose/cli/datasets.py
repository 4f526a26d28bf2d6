"""Skeletons from options."""

from pathlib import Path

from kdkit import ConfigurationError
from kdkit.json_files import parse_json, read_bytes
from kdkit_pose.data import read_skeleton
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton
from kdkit_pose.skeleton_category import COCO_LIKE, Sigmas


def skeleton_of(
    annotations: Path, option: str | None = None, sigmas: str | None = None, known: Skeleton | None = None
) -> Skeleton:
    """Return the skeleton that ``--skeleton`` and ``--sigmas`` ask for.

    Args:
        annotations: what says it if the option does not.
        option: ``coco``, ``crowdpose``, or a JSON file with ``categories``.
        sigmas: numbers parted by commas, a file of them, or ``coco-like``.
        known: a checkpoint's skeleton, taken where the annotations name the same keypoints and no sigmas.

    Raises:
        DataError: if a file cannot be read, or does not say it.
        ConfigurationError: if an option cannot be used, or nothing says the keypoints' sigmas or flip pairs.
    """
    constants = parse_sigmas_option(sigmas)
    if option is None:
        return read_skeleton(annotations, constants, known=known)
    known = {"coco": COCO, "crowdpose": CROWDPOSE}.get(option.lower())
    if known is not None:
        return Skeleton.from_category({"name": known.name, "keypoints": known.keypoints}, constants)
    if not Path(option).is_file():
        raise ConfigurationError(f"--skeleton '{option}' must be coco, crowdpose, or a JSON file with categories")
    return read_skeleton(option, constants)


def parse_sigmas_option(text: str | None) -> Sigmas | None:
    """Return the numbers of ``--sigmas``, which may be a file; None without it.

    Raises:
        ConfigurationError: if it is no list of numbers.
    """
    if text is None or text == COCO_LIKE:
        return text
    try:
        content = read_bytes(text).decode() if Path(text).is_file() else text
        if content.lstrip().startswith("["):
            return [float(number) for number in parse_json(content)]
        return [float(number) for number in content.replace(",", " ").split()]
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise ConfigurationError(
            f"--sigmas '{text}' must be numbers parted by commas, a file of them (plain or a JSON list), or "
            f"{COCO_LIKE} ({error})"
        ) from error
