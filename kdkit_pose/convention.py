"""Keeping a codec and keypoints away from networks and crops of others."""

from pathlib import Path
from typing import Any

from torch import nn

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.skeleton import Skeleton

_WRAPPED = ("dataset", "module", "_orig_mod")  # in a loader or a subset; in a student; in a compiled network


def require_convention(source: object, codec: Codec, skeleton: Skeleton | None = None) -> None:
    """Check that a network, or a loader's data set, is of the convention that ``codec`` is; decoders may differ.

    Where nothing is said, as by a plain list of batches or a network of random weights, there is nothing to check.

    Args:
        source: What may have an attribute ``codec``, and a network ``skeleton`` and ``keypoints`` too (see
            :class:`kdkit_pose.models.PoseNetwork`); what is wrapped in a loader, a subset, a student or by
            ``torch.compile`` is found.
        codec: By which it is to be used.
        skeleton: For whose keypoints it is to be used; None where that does not matter.

    Raises:
        ConfigurationError: It is of another convention, or a network of other keypoints: AP would be lower than
            the network's, and nothing would show it.
    """
    owner = _innermost(source)
    known = getattr(owner, "codec", None)
    is_network = isinstance(owner, nn.Module)
    if isinstance(known, Codec) and not known.same_convention(codec):
        what, remedy = "the crops are cut for", "give both the same codec"
        if is_network:
            what = f"{_name(owner)} was trained for"
            remedy = "give network.codec, or set it, where the network has learned another one since it was loaded"
        raise ConfigurationError(
            f"{what} {known!r}, to be decoded by {codec!r}: {', '.join(known.differences(codec))}; {remedy}"
            " (only the decoder may differ)"
        )
    if skeleton is not None and is_network:
        known_skeleton, listed = getattr(owner, "skeleton", None), getattr(owner, "keypoints", None)
        if known_skeleton is None or isinstance(known_skeleton, Skeleton):
            check_keypoints(_name(owner), known_skeleton, listed, skeleton, f"skeleton {skeleton.name!r}")


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


def _innermost(source: Any) -> Any:
    for name in _WRAPPED:
        inner = getattr(source, name, None)
        if inner is not None:
            return _innermost(inner)
    return source


def _name(network: nn.Module) -> str:
    return str(getattr(network, "name", type(network).__name__))
