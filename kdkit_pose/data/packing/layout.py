"""Which part of its picture is kept of each person, and where it goes."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kdkit_pose.data.augment import Augment, Crop
from kdkit_pose.data.coco import CocoKeypoints
from kdkit_pose.data.packing.geometry import Records, describe_people, sizes, to_bytes
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.region import Region, find_region
from kdkit_pose.data.predicted_masks import content_digest

SHARD_BYTES = 128 * 2**20
"""About how large a file becomes."""


def regions_of(dataset: CocoKeypoints, oversample: float, augment: Augment | None) -> list[Region]:
    """The part of its picture that is kept of each person."""
    people, upper_body = dataset.people, dataset.skeleton.upper_body
    entries = [dataset.entries[image_id] for image_id in people.image_ids.tolist()]
    return [
        find_region(
            Crop(center, scale),
            (entry["width"], entry["height"]),
            dataset.codec.input_size,
            oversample,
            augment,
            *(keypoints, labelled, upper_body),
        )
        for center, scale, keypoints, labelled, entry in zip(
            people.centers, people.scales, people.keypoints, people.labelled, entries, strict=True
        )
    ]


def lay_out(
    dataset: CocoKeypoints, regions: Sequence[Region], shard_bytes: int
) -> tuple[Records, tuple[int, ...]]:
    """Where everyone's pixels go, and the shards' sizes; persons of one picture lie side by side."""
    people = dataset.people
    widths = np.array([dataset.entries[image_id]["width"] for image_id in people.image_ids.tolist()])
    records = describe_people(people, widths)
    records["window"] = [region.window for region in regions]
    records["stored"] = [region.stored for region in regions]
    # A mask of ones is not worth a plane.
    records["planes"] = np.where(people.masks.windows[:, 2] > 0, 4, 3) if dataset.has_masks else 3
    shard_sizes = [0]
    lengths: npt.NDArray[np.int64] = sizes(records)
    for row in np.argsort(people.image_ids, kind="stable").tolist():
        if shard_sizes[-1] >= shard_bytes:
            shard_sizes.append(0)
        records["shard"][row], records["offset"][row] = len(shard_sizes) - 1, shard_sizes[-1]
        shard_sizes[-1] += int(lengths[row])
    return records, tuple(shard_sizes)


def describe(
    dataset: CocoKeypoints,
    records: Records,
    shard_sizes: tuple[int, ...],
    oversample: float,
    augment: Augment | None,
) -> Header:
    """What the folder says of itself."""
    boxes = dataset.detector_boxes
    return Header(
        source=dataset.source_fingerprint(),
        annotations=content_digest(dataset.annotations),
        boxes=None if boxes is None else content_digest(boxes),
        box_threshold=dataset.box_threshold,
        unlabelled=dataset.unlabelled,
        input_size=dataset.codec.input_size,
        oversample=float(oversample),
        augment=augment,
        skeleton=dataset.skeleton,
        has_targets=dataset.has_targets,
        has_masks=dataset.has_masks,
        masks_predicted=dataset.masks_predicted,
        image_ids=dataset.image_ids,
        skipped=dataset.skipped,
        persons=len(dataset),
        persons_sha256=hashlib.sha256(to_bytes(records)).hexdigest(),
        shards=shard_sizes,
    )
