"""Persons that were cut out, in place of pictures, for the commands that train."""

import typer

from kdkit import ConfigurationError
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.option_groups import DataFiles, Fitting, UnlabelledPersons
from kdkit_pose.codecs import Codec
from kdkit_pose.data import Augment, PackedKeypoints, StreamedKeypoints
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.predicted_masks import content_digest
from kdkit_pose.skeleton import Skeleton

CutPersons = PackedKeypoints | StreamedKeypoints


def refuse_with_cut(context: typer.Context, files: DataFiles) -> None:
    """Refuse what was settled when the persons were cut out, and what says how shards are read without them.

    Raises:
        ConfigurationError: if it is given beside persons that were cut out.
    """
    if files.packed is not None and files.shards is not None:
        raise ConfigurationError("--packed and --shards are two ways to read the training persons: give one")
    for path, command in ((files.packed, "pack"), (files.shards, "shard")):
        if path is not None:
            settled = f"the masks of '{path}' were settled by kdkit-pose {command}"
            refuse(context, ["predicted_masks"], settled)
    require_with(context, ["shards"], ["lanes", "buffer"])


def open_cut(
    files: DataFiles,
    codec: Codec,
    skeleton: Skeleton,
    fitting: Fitting,
    unlabelled: UnlabelledPersons,
    *,
    masks: bool,
) -> CutPersons | None:
    """Return the persons that were cut out, once they are known to be those that the options name; None for none.

    Raises:
        DataError: if the folder cannot be used.
        ConfigurationError: if the persons are others than the options name, or were cut out without the room, the
            size or the masks that are needed.
    """
    data = _opened(files, codec, fitting, masks=masks)
    if data is None:
        return None
    named = f"--{'packed' if isinstance(data, PackedKeypoints) else 'shards'} '{data.path}'"
    different = _differences(data.header, files, unlabelled)
    if different:
        raise ConfigurationError(
            f"{named} holds other persons than the options name: {', '.join(different)}; give the "
            f"options that it was made with, or give kdkit-pose {data.command} these"
        )
    theirs = data.skeleton
    if any(getattr(theirs, part) != getattr(skeleton, part) for part in ("keypoints", "flip_pairs", "upper_body")):
        raise ConfigurationError(
            f"{named} was made for the skeleton {theirs.name!r}, not for {skeleton.name!r}: give "
            f"kdkit-pose {data.command} the same --skeleton"
        )
    # Sigmas are what a run evaluates by: to cut persons out, rough ones did.
    data.skeleton = skeleton
    return data


def _opened(files: DataFiles, codec: Codec, fitting: Fitting, *, masks: bool) -> CutPersons | None:
    augment = Augment() if fitting.augment else None
    if files.packed is not None:
        return PackedKeypoints(files.packed, codec=codec, augment=augment, seed=fitting.seed, masks=masks)
    if files.shards is None:
        return None
    return StreamedKeypoints(
        files.shards,
        codec=codec,
        augment=augment,
        seed=fitting.seed,
        masks=masks,
        lanes=files.lanes,
        buffer=files.buffer,
    )


def _differences(header: Header, files: DataFiles, unlabelled: UnlabelledPersons) -> list[str]:
    boxes = None if unlabelled.boxes is None else content_digest(unlabelled.boxes)
    keeps = "with" if header.unlabelled == "keep" else "without"
    compared = (
        (header.annotations == content_digest(files.train_annotations), "other --train-annotations"),
        (header.boxes == boxes, f"{'no' if header.boxes is None else 'other'} --boxes"),
        (header.box_threshold == unlabelled.box_threshold, f"--box-threshold {header.box_threshold:g}"),
        ((header.unlabelled == "keep") == unlabelled.any, f"{keeps} --keep-unlabelled"),
    )
    return [what for same, what in compared if not same]
