"""The skeleton that a COCO-format file describes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit_pose.data.annotations import check_layout, read_json
from kdkit_pose.data.categories import person_categories
from kdkit_pose.skeleton import COCO, Skeleton
from kdkit_pose.skeleton_category import Sigmas


def read_skeleton(
    annotations: str | Path | Mapping[str, Any],
    sigmas: Sigmas | None = None,
    flip_pairs: Iterable[Sequence[str]] | None = None,
    known: Skeleton | None = None,
) -> Skeleton:
    """The skeleton of a COCO-format file or its content, from the ``categories`` that list keypoints.

    A file whose categories list none is taken to be of COCO's keypoints, unless an annotation in it says
    otherwise: older and hand-made files leave them out. So is one of neither categories nor annotations, which
    lists pictures alone.

    Args:
        annotations: The file, or its content; only ``categories`` need be in it, or ``images`` alone.
        sigmas: See :meth:`Skeleton.from_category`; needed where the keypoints are neither COCO's nor CrowdPose's
            and the category has no ``sigmas``.
        flip_pairs: See there; needed where names do not tell left from right.
        known: Taken where the file lists just its keypoints, and neither it nor the arguments say their sigmas:
            a checkpoint's, say.

    Raises:
        DataError: The file cannot be read or is none of COCO's format, its categories have different keypoints,
            or it lists none and holds others than COCO's.
        ConfigurationError: Nothing says the sigmas or the flip pairs.

    >>> names = ["nose", "left_hand", "right_hand"]
    >>> content = {"categories": [{"id": 1, "name": "doll", "keypoints": names}]}
    >>> read_skeleton(content, sigmas=[0.03, 0.06, 0.06]).flip_pairs
    ((1, 2),)
    """
    content = annotations if isinstance(annotations, Mapping) else read_json(annotations)[0]
    source = "annotations" if isinstance(annotations, Mapping) else str(annotations)
    only_pictures = (
        isinstance(content, Mapping)
        and "images" in content
        and "categories" not in content
        and not content.get("annotations")
    )
    check_layout(content, source, ("images" if only_pictures else "categories",))
    persons = person_categories(content, source)
    found = [c for c in content.get("categories", ()) if c.get("id") in persons and c.get("keypoints")]
    if not found:
        _check_is_coco(content, source)
        return Skeleton.from_category({"name": "coco", "keypoints": COCO.keypoints}, sigmas, flip_pairs)
    different = next((c for c in found if c["keypoints"] != found[0]["keypoints"]), None)
    if different is not None:
        raise DataError(
            f"{source}: the categories {found[0].get('name')!r} and {different.get('name')!r} have different "
            "keypoints; keep one kind of body in the file, or read its category by Skeleton.from_category"
        )
    says_more = sigmas is not None or flip_pairs is not None or "sigmas" in found[0]
    if known is not None and not says_more and tuple(found[0]["keypoints"]) == known.keypoints:
        return known
    return Skeleton.from_category(found[0], sigmas, flip_pairs)


def _check_is_coco(content: Mapping[str, Any], source: str) -> None:
    for annotation in content.get("annotations") or ():
        keypoints = annotation.get("keypoints") if isinstance(annotation, Mapping) else None
        if isinstance(keypoints, list) and len(keypoints) not in (0, 3 * COCO.num_keypoints):
            raise DataError(
                f"{source}: annotation {annotation.get('id')} has {len(keypoints)} keypoint numbers, not "
                f"COCO's {3 * COCO.num_keypoints}, and no category lists the keypoints' names: add "
                '"keypoints": [names] to the category'
            )
