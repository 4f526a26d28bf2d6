"""The synthetic benchmark's people and crowds: drawn where they are first needed, and found again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kdkit import DataError, RunFolderError
from kdkit.claims import claim
from kdkit.files import write_atomically
from kdkit.json_files import read_json
from kdkit_pose.ablation.benchmark_size import BenchmarkSize
from kdkit_pose.synthetic import Annotator, SyntheticPeople, write_coco
from kdkit_pose.synthetic.coco_format import drawn_description

Labels = Literal["exact", "coco"]
Split = Literal["train", "val"]

# Unlike any seed that somebody draws other people by.
_SEEDS = {"train_people": 610_001, "train_crowds": 610_002, "val_people": 610_003, "val_crowds": 610_004}


class DrawnPeople:
    """The benchmark's pictures and annotations in a folder; several processes may want them at once.

    Args:
        folder: of ``images`` and ``annotations``.
        size: how many are drawn.
        workers: processes that draw pictures.
        say: called with a line on what is done.
    """

    def __init__(self, folder: Path, size: BenchmarkSize, workers: int, say: Callable[[str], object]) -> None:
        self._folder, self._size, self._workers, self._say = folder, size, workers, say

    @property
    def images(self) -> Path:
        """The folder of all pictures."""
        return self._folder / "images"

    def annotations(self, split: Split, labels: Labels) -> Path:
        """Return a split's annotations: separate people first, then crowds.

        Raises:
            RunFolderError: if the folder holds other people.
            DataError: if a file in it is not whole.
        """
        path = self._exact(split)
        if labels == "exact":
            return path
        marked = path.with_stem(f"{path.stem}_{labels}")
        if not marked.exists():
            _write_json(marked, Annotator().annotate(read_json(path)))
        return marked

    def _exact(self, split: Split) -> Path:
        sets = benchmark_people(self._size, split)
        path = self._folder / "annotations" / f"person_keypoints_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with claim(path, wait=True):
            if path.exists():
                _require_same(path, sets)
            else:
                self._draw(split, path, sets)
        return path

    def _draw(self, split: Split, path: Path, sets: dict[str, SyntheticPeople]) -> None:
        parts, first = [], 1
        for kind, people in sets.items():
            part = path.with_stem(f"{path.stem}_{kind}")
            if not part.exists():
                self._say(f"drawing {len(people)} pictures of {kind} ({split})")
                write_coco(people, self._folder, f"{split}_{kind}", workers=self._workers, first_image_id=first)
            parts.append(read_json(part))
            _require_description(part, parts[-1], drawn_description(people))
            first += len(people)
        joined = {name: [one for part in parts for one in part[name]] for name in ("images", "annotations")}
        _write_json(path, {**parts[0], **joined, "info": {"description": repr(sets), "version": "1"}})


def benchmark_people(size: BenchmarkSize, split: Split) -> dict[str, SyntheticPeople]:
    """Return the people and the crowds of a split; no picture of one split is in the other."""
    pictures = size.train_pictures if split == "train" else size.val_pictures
    crowds = pictures // 2
    return {
        "people": SyntheticPeople(pictures - crowds, seed=_SEEDS[f"{split}_people"], crowded=0.0),
        "crowds": SyntheticPeople(crowds, seed=_SEEDS[f"{split}_crowds"], crowded=1.0),
    }


def _require_same(path: Path, sets: dict[str, SyntheticPeople]) -> None:
    try:
        content = read_json(path)
    except ValueError as error:
        raise _not_whole(path, error) from error
    _require_description(path, content, repr(sets))


def _require_description(path: Path, content: Any, expected: str) -> None:
    try:
        description = content["info"]["description"]
    except (KeyError, TypeError) as error:
        raise _not_whole(path, error) from error
    if description != expected:
        raise RunFolderError(f"'{path}' holds other people ({description}) than {expected}: give another folder")


def _not_whole(path: Path, error: Exception) -> DataError:
    return DataError(f"'{path}' is not a whole COCO file ({error}): remove it, or give another folder")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, lambda file: file.write(json.dumps(content, separators=(",", ":")).encode()))
