"""The skeleton that a COCO-format file describes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit_pose.data.annotations import check_layout, read_json
from kdkit_pose.data.categories import person_categories
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton
from kdkit_pose.skeleton_category import Sigmas


def read_skeleton(
    annotations: str | Path | Mapping[str, Any],
    sigmas: Sigmas | None = None,
    flip_pairs: Iterable[Sequence[str]] | None = None,
    known: Skeleton | None = None,
) -> Skeleton:
    """The skeleton of a COCO-format file or its content, from the ``categories`` that list keypoints.

    A file whose categories list none is taken to be of the ``known`` keypoints, else of COCO's, as far as its
    annotations have as many: older and hand-made files leave the names out. So is one of neither categories nor
    annotations, which lists pictures alone.

    Args:
        annotations: The file, or its content; only ``categories`` need be in it, or ``images`` alone.
        sigmas: See :meth:`Skeleton.from_category`; needed where the keypoints are neither COCO's nor CrowdPose's
            and the category has no ``sigmas``.
        flip_pairs: See there; needed where names do not tell left from right.
        known: Taken where the file lists just its keypoints, which are neither COCO's nor CrowdPose's, and
            neither it nor the arguments say their sigmas, and where the file lists none: a checkpoint's, say.

    Raises:
        DataError: The file cannot be read or is none of COCO's format, its categories have different keypoints,
            or it lists none and has another number of them than ``known`` and COCO.
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
    says_more = sigmas is not None or flip_pairs is not None
    if not found:
        assumed = _assumed(content, source, known)
        if assumed is known and not says_more:
            return assumed
        return Skeleton.from_category({"name": assumed.name, "keypoints": assumed.keypoints}, sigmas, flip_pairs)
    different = next((c for c in found if c["keypoints"] != found[0]["keypoints"]), None)
    if different is not None:
        raise DataError(
            f"{source}: the categories {found[0].get('name')!r} and {different.get('name')!r} have different "
            "keypoints; keep one kind of body in the file, or read its category by Skeleton.from_category"
        )
    says_more = says_more or "sigmas" in found[0]
    # COCO's and CrowdPose's have constants of their own, whatever a network's file says.
    standard = known is not None and known.keypoints in (COCO.keypoints, CROWDPOSE.keypoints)
    if known is not None and not standard and not says_more and tuple(found[0]["keypoints"]) == known.keypoints:
        return known
    return Skeleton.from_category(found[0], sigmas, flip_pairs)


def _assumed(content: Mapping[str, Any], source: str, known: Skeleton | None) -> Skeleton:
    """The skeleton of annotations whose keypoints have no names: the known one, else COCO's."""
    misfits = [_misfit(content, skeleton) for skeleton in (known, COCO) if skeleton is not None]
    if known is not None and misfits[0] is None:
        return known
    if (annotation := misfits[-1]) is not None:
        raise DataError(
            f"{source}: annotation {annotation.get('id')} has {len(annotation['keypoints'])} keypoint numbers, "
            f"not COCO's {3 * COCO.num_keypoints}, and no category lists the keypoints' names: add "
            '"keypoints": [names] to the category'
        )
    return COCO


def _misfit(content: Mapping[str, Any], skeleton: Skeleton) -> dict[str, Any] | None:
    """The first annotation of another number of keypoints."""
    for annotation in content.get("annotations") or ():
        keypoints = annotation.get("keypoints") if isinstance(annotation, Mapping) else None
        if isinstance(keypoints, list) and len(keypoints) not in (0, 3 * skeleton.num_keypoints):
            return dict(annotation)
    return None
