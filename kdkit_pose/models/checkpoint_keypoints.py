"""Whether the keypoints that a checkpoint names are those that it is to be used for."""

from pathlib import Path

from kdkit.errors import ConfigurationError
from kdkit_pose.skeleton import Skeleton


def check_keypoints(
    path: str | Path,
    known: Skeleton | None,
    listed: tuple[str, ...] | None,
    skeleton: Skeleton,
    data: str,
) -> None:
    """Require the keypoints that a file names, as far as it does.

    Args:
        path: The checkpoint, named in the error.
        known: The skeleton that the file describes; None if none.
        listed: The keypoints' names where the file lists only them, in order; None if it does not.
        skeleton: What the network is to be used for.
        data: How to call where that skeleton is from, such as an annotation file.

    Raises:
        ConfigurationError: Other names, another order or, as far as they are known, other flip pairs.
    """
    names = known.keypoints if known is not None else listed
    if names is None:
        return
    if names != skeleton.keypoints:
        owner = f"of {known.name}" if known is not None else "that it lists"
        raise ConfigurationError(
            f"'{path}' was trained for the keypoints {owner}, {data} has those of {skeleton.name}:"
            f" {_first_difference(names, skeleton.keypoints)}; give data of the same keypoints in the same order,"
            " or another checkpoint"
        )
    if known is not None and known.flip_permutation != skeleton.flip_permutation:
        place = next(
            place
            for place, pair in enumerate(zip(known.flip_permutation, skeleton.flip_permutation, strict=True))
            if pair[0] != pair[1]
        )
        there, here = (names[order[place]] for order in (known.flip_permutation, skeleton.flip_permutation))
        raise ConfigurationError(
            f"'{path}' was trained with other flip pairs than {data} has: in a mirror {names[place]!r} becomes"
            f" {there!r} there and {here!r} here; give data with the same flip pairs, or another checkpoint"
        )


def _first_difference(names: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if len(names) != len(wanted):
        return f"there are {len(names)} there and {len(wanted)} here"
    place = next(place for place, pair in enumerate(zip(names, wanted, strict=True)) if pair[0] != pair[1])
    return f"number {place + 1} is {names[place]!r} there and {wanted[place]!r} here"
