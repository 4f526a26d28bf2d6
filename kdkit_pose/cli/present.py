"""The ground truth of pictures that are there."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdkit_pose.data import CocoKeypoints


def truth_of_present(data: CocoKeypoints) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """Return a data set's COCO-format annotations without pictures that cannot be read, and those pictures."""
    content, there = data.coco_dict(), set(data.image_ids)
    missing = [image for image in content["images"] if image["id"] not in there]
    if not missing:
        return content, ()
    images = [image for image in content["images"] if image["id"] in there]
    # An annotation without image_id stays, to be refused as anywhere else.
    kept = [one for one in content.get("annotations", ()) if one.get("image_id", images[0]["id"]) in there]
    return {**content, "images": images, "annotations": kept}, missing
