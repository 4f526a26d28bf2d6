"""Which of a COCO file's categories are the persons."""

from collections.abc import Mapping
from typing import Any

from kdkit.errors import DataError

PERSON_CATEGORY = 1
"""COCO's category id of persons."""


def person_categories(content: Mapping[str, Any], source: str) -> dict[int, str]:
    """The categories of a COCO file that persons are of: their names, by id.

    Those that list keypoints; where none does, the one called person, or the only one. A file without
    categories has COCO's.

    Raises:
        DataError: There are several, and nothing says which is the persons'.

    >>> person_categories({"categories": [{"id": 4, "name": "dog"}, {"id": 7, "name": "person"}]}, "a file")
    {7: 'person'}
    """
    listed = content.get("categories")
    categories = [c for c in listed or () if isinstance(c, Mapping) and isinstance(c.get("id"), int)]
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
