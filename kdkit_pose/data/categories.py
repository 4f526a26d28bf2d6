"""Which of a COCO file's categories are the persons."""

from collections.abc import Mapping
from typing import Any

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.data.numerals import is_id
from kdkit_pose.skeleton import COCO, Skeleton
from kdkit_pose.skeleton_names import find_flip_pairs

PERSON_CATEGORY = 1
"""COCO's category id of persons."""


def person_categories(content: Mapping[str, Any], source: str) -> dict[int, str]:
    """The categories of a COCO file that persons are of: their names, by id.

    Those that list keypoints; where none does, the one called person, or the only one. A file without
    categories has COCO's.

    Raises:
        DataError: One is malformed; or there are several, and nothing says which is the persons'.

    >>> person_categories({"categories": [{"id": 4, "name": "dog"}, {"id": 7, "name": "person"}]}, "a file")
    {7: 'person'}
    """
    categories = listed_categories(content, source)
    names = {int(c["id"]): str(c.get("name", c["id"])) for c in categories}
    with_keypoints = {int(c["id"]) for c in categories if c.get("keypoints")}
    if not categories:
        return {PERSON_CATEGORY: "person"}
    if with_keypoints:
        return {key: name for key, name in names.items() if key in with_keypoints}
    if len(names) == 1:
        return names
    called_person = {key: name for key, name in names.items() if name.lower() == "person"}
    if not called_person:
        raise DataError(
            f"{source}: {len(names)} categories, none of which lists keypoints or is called person "
            f"({', '.join(list(names.values())[:4])}, ...): add 'keypoints' to that of the persons"
        )
    return called_person


def require_keypoints(content: Mapping[str, Any], source: str, skeleton: Skeleton) -> None:
    """Check that the keypoints that a file lists are a skeleton's, as far as their names tell.

    Raises:
        DataError: They are another number of keypoints, or the same in another order; or COCO's are expected and
            left and right are others.
    """
    for category in listed_categories(content, source):
        names = tuple(category.get("keypoints") or ())
        if names and not _may_be(names, skeleton):
            raise DataError(
                f"{source}: category {category.get('name')!r} has {len(names)} keypoints "
                f"({', '.join(names[:3])}, ...), the skeleton {skeleton.name!r} has {skeleton.num_keypoints} "
                f"({', '.join(skeleton.keypoints[:3])}, ...); give the skeleton that fits, as "
                "kdkit_pose.data.read_skeleton(file) or Skeleton.from_category(category) finds it; a command "
                "finds it by itself, without --skeleton"
            )


def _may_be(names: tuple[str, ...], skeleton: Skeleton) -> bool:
    """Whether names may be a skeleton's: they may be spelt in another way."""
    if names == skeleton.keypoints:
        return True
    # Known names in another order would train the wrong joints.
    if len(names) != skeleton.num_keypoints or set(names) == set(skeleton.keypoints):
        return False
    if skeleton.keypoints != COCO.keypoints:
        return True  # somebody chose it
    # What is read as COCO's because nobody said anything else.
    try:
        return set(find_flip_pairs(names, "the file")) == set(COCO.flip_pairs)
    except ConfigurationError:
        return True  # names that tell nothing for certain


def listed_categories(content: Mapping[str, Any], source: str) -> list[Mapping[str, Any]]:
    """The entries of a COCO file's ``categories``, none where it has none.

    Raises:
        DataError: One is no object with an integer ``id``, or its ``keypoints`` are no names; it is named.
    """
    listed = content.get("categories")
    if not isinstance(listed or [], list):
        raise DataError(f"{source}: its categories must be a list, found a {type(listed).__name__}")
    for place, category in enumerate(listed or []):
        if not isinstance(category, Mapping) or not is_id(category.get("id")):
            raise DataError(f"{source}: category number {place} is no object with an integer 'id'")
        keypoints = category.get("keypoints") or []
        if not isinstance(keypoints, list | tuple) or not all(isinstance(name, str) for name in keypoints):
            raise DataError(f"{source}: the keypoints of category {category['id']} must be a list of names")
    return list(listed or [])
