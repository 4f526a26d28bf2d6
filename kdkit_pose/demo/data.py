"""The demonstration's people, written once as a COCO-format data set."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kdkit import DataError, RunFolderError
from kdkit.json_files import read_json
from kdkit_pose.codecs import Codec
from kdkit_pose.data import Augment, CocoKeypoints
from kdkit_pose.demo.settings import DemoSettings
from kdkit_pose.synthetic import SyntheticPeople, write_coco

# Held-out people still vary, but a network this small that is trained for minutes is better off with
# less than the reference's rotation and zoom.
GENTLE = Augment(half_body_probability=0.0, scale_factor=0.1, rotation_factor=10.0)


def demo_people(settings: DemoSettings, seed: int) -> dict[str, SyntheticPeople]:
    """Return the people of both splits; no picture of one is in the other."""
    return {
        "train": SyntheticPeople(settings.train_pictures, seed=2 * seed, crowded=settings.crowded),
        "val": SyntheticPeople(settings.val_pictures, seed=2 * seed + 1, crowded=settings.crowded),
    }


def draw_people(
    folder: Path, settings: DemoSettings, seed: int, progress: Callable[[str, int, int], None]
) -> None:
    """Write both splits, or find them written already.

    Args:
        folder: of the data set.
        settings: how many pictures.
        seed: of the pictures.
        progress: called with split, pictures in all and pictures done.

    Raises:
        RunFolderError: if the folder holds other people.
    """
    for split, people in demo_people(settings, seed).items():
        annotations = annotation_file(folder, split)
        if annotations.exists():
            _require_same(annotations, people)
            continue
        write_coco(
            people,
            folder,
            split,
            workers=min(2, os.cpu_count() or 1),
            first_image_id=1 if split == "train" else 1 + settings.train_pictures,
            progress=partial(progress, split, len(people)),
        )


def annotation_file(folder: Path, split: str) -> Path:
    """Return where a split's annotations are."""
    return folder / "annotations" / f"person_keypoints_{split}.json"


def open_people(folder: Path, split: str, codec: Codec, seed: int) -> CocoKeypoints:
    """Return a split's persons; those to train on are augmented."""
    augment = GENTLE if split == "train" else None
    return CocoKeypoints(
        annotation_file(folder, split),
        folder / "images",
        codec=codec,
        augment=augment,
        seed=seed,
        cache_images=True,
    )


def _require_same(annotations: Path, people: SyntheticPeople) -> None:
    try:
        description = read_json(annotations)["info"]["description"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"'{annotations}' is not a whole COCO file ({error}): remove it, or give --out") from error
    if repr(people) not in description:
        raise RunFolderError(
            f"'{annotations}' holds other people ({description}) than {people!r}: give another --out"
        )
