"""Synthetic people as files in COCO's layout."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import cv2

from kdkit.errors import ConfigurationError, RunFolderError
from kdkit.files import write_atomically
from kdkit_pose.skeleton import COCO
from kdkit_pose.synthetic.annotator import Annotator
from kdkit_pose.synthetic.people import SyntheticPeople

_JPEG_QUALITY: Final = 92
_IDS_PER_PICTURE: Final = 100
_CHUNK: Final = 16

Entries = list[dict[str, Any]]


def picture_name(image_id: int) -> str:
    """COCO's name of a picture: its id in twelve digits."""
    return f"{image_id:012d}.jpg"


def drawn_description(people: SyntheticPeople) -> str:
    """What a file's ``info`` says of the people in it."""
    return f"synthetic people drawn by kdkit_pose: {people!r}"


def coco_dictionary(
    people: SyntheticPeople, entries: Sequence[Entries], file_names: Sequence[str], first_image_id: int
) -> dict[str, Any]:
    """A whole COCO person-keypoints dictionary.

    Args:
        people: the set the entries are of.
        entries: of each picture, its people's entries without ids.
        file_names: of each picture.
        first_image_id: id of picture 0; a person's id is a hundred times the picture's, plus 1, 2, ...

    """
    width, height = people.size
    annotations = [
        {"id": image_id * _IDS_PER_PICTURE + number, "image_id": image_id, **entry}
        for image_id, persons in enumerate(entries, first_image_id)
        for number, entry in enumerate(persons, 1)
    ]
    return {
        "info": {"description": drawn_description(people), "version": "1"},
        "licenses": [{"id": 1, "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "images": [
            {"id": image_id, "file_name": name, "width": width, "height": height, "license": 1}
            for image_id, name in enumerate(file_names, first_image_id)
        ],
        "annotations": annotations,
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(COCO.keypoints),
                "skeleton": [[first + 1, second + 1] for first, second in COCO.limbs],
            }
        ],
    }


def write_coco(
    people: SyntheticPeople,
    folder: Path,
    split: str,
    *,
    workers: int = 0,
    progress: Callable[[int], None] | None = None,
    first_image_id: int = 1,
    annotator: Annotator | None = None,
) -> Path:
    """Write a set as COCO files: `annotations/person_keypoints_<split>.json` and `images/<split>/<id>.jpg`.

    File names in the annotations are relative to `images/`, so that several splits share one folder. The
    annotation file appears last, whole: where it exists, the split is complete. What an interrupted call
    left in `images/<split>.partial` is written anew.

    Args:
        people: what to write.
        folder: made if it does not exist.
        split: name of the set, such as ``train``.
        workers: processes that draw; 0 draws in this one. The files do not depend on it.
        progress: called with the number of pictures written so far.
        first_image_id: id of the first picture, at least 1.
        annotator: redoes the exact annotations, as people make them; by default they stay exact.

    Returns:
        Path of the annotation file.

    Raises:
        ConfigurationError: an argument is out of its range.
        RunFolderError: the split's annotation file or pictures are there already.

    """
    if not split or Path(split).name != split or workers < 0 or first_image_id < 1:
        raise ConfigurationError(
            "split must be a plain file name, workers not negative and first_image_id at least 1, "
            f"got split={split!r}, workers={workers}, first_image_id={first_image_id}"
        )
    folder = Path(folder)
    target = folder / "annotations" / f"person_keypoints_{split}.json"
    pictures = folder / "images" / split
    for existing in (target, pictures):
        if existing.exists():
            raise RunFolderError(
                f"{existing} exists and is not overwritten; remove it or choose another folder or split"
            )
    partial = pictures.with_name(f"{split}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir(parents=True, exist_ok=True)

    entries: list[Entries] = []
    for chunk in _draw_chunks(people, partial, first_image_id, workers):
        entries.extend(chunk)
        if progress is not None:
            progress(len(entries))
    names = [f"{split}/{picture_name(first_image_id + index)}" for index in range(len(people))]
    content = coco_dictionary(people, entries, names, first_image_id)
    text = json.dumps(content if annotator is None else annotator.annotate(content), separators=(",", ":"))
    os.replace(partial, pictures)
    write_atomically(target, lambda file: file.write(text.encode()))
    return target


def _draw_chunks(
    people: SyntheticPeople, folder: Path, first_image_id: int, workers: int
) -> Iterator[list[Entries]]:
    """Write pictures chunk by chunk, yielding their entries in order."""
    jobs = [(people, folder, first_image_id, start) for start in range(0, len(people), _CHUNK)]
    if workers == 0:
        yield from map(_draw_chunk, jobs)
        return
    # Spawned, not forked: forking a process that runs threads (torch, OpenCV) may lock up.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(_draw_chunk, jobs)


def _draw_chunk(job: tuple[SyntheticPeople, Path, int, int]) -> list[Entries]:
    people, folder, first_image_id, start = job
    entries = []
    for index in range(start, min(start + _CHUNK, len(people))):
        picture = people[index]
        colours = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        (folder / picture_name(first_image_id + index)).write_bytes(encoded.tobytes())
        entries.append(picture.annotations)
    return entries
