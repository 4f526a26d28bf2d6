"""Packed persons in place of pictures, for the commands that train."""

from pathlib import Path

import typer

from kdkit import ConfigurationError
from kdkit_pose.cli.given import refuse
from kdkit_pose.cli.option_groups import DataFiles, Fitting, UnlabelledPersons
from kdkit_pose.codecs import Codec
from kdkit_pose.data import Augment, PackedKeypoints
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.predicted_masks import content_digest
from kdkit_pose.skeleton import Skeleton

PACKED_MASKS = "--predicted-masks to kdkit-pose pack"
"""What to do where packed persons have no masks, behind the word "give"."""


def refuse_with_packed(context: typer.Context, files: DataFiles) -> None:
    """Refuse what was settled when the persons were packed.

    Raises:
        ConfigurationError: if it is given beside packed persons.
    """
    if files.packed is not None:
        refuse(context, ["predicted_masks"], f"the masks of '{files.packed}' were settled by kdkit-pose pack")


def open_packed(
    path: Path,
    files: DataFiles,
    codec: Codec,
    skeleton: Skeleton,
    fitting: Fitting,
    unlabelled: UnlabelledPersons,
    *,
    masks: bool,
) -> PackedKeypoints:
    """Return the packed persons, once they are known to be those that the options name.

    Raises:
        DataError: if the folder cannot be used.
        ConfigurationError: if the persons are others than the options name, or were packed without the room, the
            size or the masks that are needed.
    """
    augment = Augment() if fitting.augment else None
    data = PackedKeypoints(path, codec=codec, augment=augment, seed=fitting.seed, masks=masks)
    different = _differences(data.header, files, unlabelled)
    if different:
        raise ConfigurationError(
            f"--packed '{path}' holds other persons than the options name: {', '.join(different)}; give the "
            "options that it was packed with, or pack these persons"
        )
    theirs, asked = data.skeleton, skeleton
    if (theirs.keypoints, theirs.flip_pairs) != (asked.keypoints, asked.flip_pairs):
        raise ConfigurationError(
            f"--packed '{path}' was packed for the skeleton {theirs.name!r}, not for {asked.name!r}: give "
            "kdkit-pose pack the same --skeleton"
        )
    return data


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
