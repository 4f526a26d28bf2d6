"""Which joints and which pixels of each person are seen, read from the labels of the finished canvas."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from kdkit_pose.synthetic.canvas import BACKGROUND, OVERSAMPLING
from kdkit_pose.synthetic.figure import Figure, Part, first_label
from kdkit_pose.synthetic.kinematics import Point

NUM_KEYPOINTS: Final = 17
_SMALLEST_MASK: Final = 12  # pixels; less of a person is not annotated at all
_SMALLEST_SHARE: Final = 0.012  # of the squared body height; less bears no keypoints
_FEWEST_KEYPOINTS: Final = 3
_OWN_PARTS: Final = (
    *[{Part.HEAD}] * 5,
    {Part.TORSO, Part.LEFT_UPPER_ARM},
    {Part.TORSO, Part.RIGHT_UPPER_ARM},
    {Part.LEFT_UPPER_ARM, Part.LEFT_FOREARM},
    {Part.RIGHT_UPPER_ARM, Part.RIGHT_FOREARM},
    {Part.LEFT_FOREARM},
    {Part.RIGHT_FOREARM},
    {Part.TORSO, Part.LEFT_THIGH},
    {Part.TORSO, Part.RIGHT_THIGH},
    {Part.LEFT_THIGH, Part.LEFT_SHIN},
    {Part.RIGHT_THIGH, Part.RIGHT_SHIN},
    {Part.LEFT_SHIN},
    {Part.RIGHT_SHIN},
)
# Joints from whose sight an annotator can tell where a hidden joint must be.
_NEIGHBOURS: Final = (
    *[(0, 1, 2, 3, 4)] * 5,
    (6, 7, 11),
    (5, 8, 12),
    (5, 9),
    (6, 10),
    (7,),
    (8,),
    (12, 5, 13),
    (11, 6, 14),
    (11, 15),
    (12, 16),
    (13,),
    (14,),
)


def person_masks(labels: NDArray[np.uint8], people: int) -> list[NDArray[np.uint8]]:
    """Visible region, [H, W] of 0 and 1, of each of the first `people` persons.

    Args:
        labels: [2H, 2W], as `Canvas.labels` gives them.
        people: how many persons were painted.

    """
    owner = np.full(256, 255, np.uint8)
    for person in range(people):
        owner[first_label(person) : first_label(person + 1)] = person
    owners = cv2.LUT(labels, owner)
    size = (labels.shape[1] // OVERSAMPLING, labels.shape[0] // OVERSAMPLING)
    masks = []
    for person in range(people):
        fine = np.where(owners == person, np.uint8(255), np.uint8(0))
        share = cv2.resize(fine, size, interpolation=cv2.INTER_AREA)
        # More than half of a pixel, not half: a pixel that two people share equally is nobody's.
        masks.append(np.asarray(cv2.threshold(share, 128, 1, cv2.THRESH_BINARY)[1], np.uint8))
    return masks


def keypoint_visibility(labels: NDArray[np.uint8], figure: Figure, person: int) -> NDArray[np.int64]:
    """COCO's flag of each keypoint, [17]: 2 visible, 1 hidden but to be told, 0 outside or not to be told."""
    height, width = labels.shape[0] // OVERSAMPLING, labels.shape[1] // OVERSAMPLING
    joints = figure.pixels[:NUM_KEYPOINTS]
    inside = ((joints > -0.5) & (joints < (width - 0.5, height - 0.5))).all(axis=1)
    seen = np.zeros(NUM_KEYPOINTS, bool)
    lost = np.zeros(NUM_KEYPOINTS, bool)
    for joint in np.flatnonzero(inside):
        column, row = np.rint((joints[joint] + 0.5) * OVERSAMPLING - 0.5).astype(int)
        row, column = min(max(row, 0), labels.shape[0] - 1), min(max(column, 0), labels.shape[1] - 1)
        label = int(labels[row, column])
        seen[joint] = label == BACKGROUND or _is_own(figure, int(joint), label - first_label(person))
    _hide_behind_own_head(figure, seen, lost)
    flags = np.where(seen, 2, 0)
    for joint in np.flatnonzero(inside & ~seen & ~lost):
        flags[joint] = int(any(seen[other] for other in _NEIGHBOURS[joint]))
    return flags


def _is_own(figure: Figure, joint: int, part: int) -> bool:
    """Whether what is seen at a joint is the flesh or cloth about it."""
    if joint in (Point.LEFT_KNEE, Point.RIGHT_KNEE) and figure.look.skirt and part == Part.TORSO:
        return True
    if part not in _OWN_PARTS[joint]:
        return False
    if part == Part.TORSO:
        # Seen from the side, the far shoulder and hip lie behind the trunk.
        other = joint + 1 if joint % 2 else joint - 1
        depth = figure.posed.points[:, 2]
        apart = np.linalg.norm(figure.posed.points[joint] - figure.posed.points[other])
        return bool(depth[other] - depth[joint] < 0.8 * apart)
    return True


def _hide_behind_own_head(figure: Figure, seen: NDArray[np.bool_], lost: NDArray[np.bool_]) -> None:
    """Hide nose, eyes and ears on the far side of the head; those far round it nobody could place."""
    facing = figure.posed.face_normals[:, 2]
    seen[:5] &= facing > (-0.12, 0.05, 0.05, -0.25, -0.25)
    lost[:5] |= facing < (-0.4, -0.35, -0.35, -0.75, -0.75)


def annotate(figure: Figure, flags: NDArray[np.int64], mask: NDArray[np.uint8]) -> dict[str, Any] | None:
    """A person's COCO entry, without `id` and `image_id`; None if too little is seen to be worth one.

    Args:
        figure: the person.
        flags: [17], COCO's visibility.
        mask: [H, W], visible region of 0 and 1.

    """
    region = coco_mask.encode(np.asfortranarray(mask))
    area = int(coco_mask.area(region))
    if area < _SMALLEST_MASK:
        return None
    if area < _SMALLEST_SHARE * figure.height**2 or np.count_nonzero(flags) < _FEWEST_KEYPOINTS:
        flags = np.zeros_like(flags)  # COCO too leaves the keypoints of hardly visible people blank
    last_pixel = (mask.shape[1] - 1.0, mask.shape[0] - 1.0)
    joints = np.clip(figure.pixels[:NUM_KEYPOINTS], 0.0, last_pixel).round(2)
    keypoints = np.where(flags[:, None] > 0, np.column_stack([joints, flags]), 0.0)
    return {
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": int(np.count_nonzero(flags)),
        "keypoints": keypoints.ravel().tolist(),
        "bbox": coco_mask.toBbox(region).tolist(),
        "area": area,
        "segmentation": {"size": list(mask.shape), "counts": region["counts"].decode("ascii")},
    }
