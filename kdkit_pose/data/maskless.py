"""The same persons without their masks."""

import copy
from dataclasses import replace

from kdkit_pose.data.coco import CocoKeypoints
from kdkit_pose.data.masks import MaskStore
from kdkit_pose.data.pose_dataset import PoseDataset


def without_masks(data: PoseDataset) -> PoseDataset:
    """Return the same persons, whose samples have no ``mask``: the data set that ``masks=False`` makes.

    It has that one's fingerprint. ``masks_predicted`` stays: it says by what the data's masks came about.

    Args:
        data: the persons, wherever their pixels lie; it is not changed, and returned itself where it has no
            masks.
    """
    if not data.has_masks:
        return data
    bare = copy.copy(data)
    bare.has_masks = False
    if isinstance(data, CocoKeypoints):  # elsewhere the masks are among the pixels
        bare.people = replace(data.people, masks=MaskStore.pack([None] * len(data)))
    bare.masks_predicted = data.masks_predicted
    return bare
