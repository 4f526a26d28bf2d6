"""What a canonical cache loses against a teacher's true maps of every view: in the maps, and in the student's AP.

    python benchmarks/canonical_study.py --out runs/canonical-study --json runs/canonical-study.json
    python benchmarks/canonical_study.py --annotations train.json --images train2017 \\
        --val-annotations val.json --val-images val2017 --size 192 256 --epochs 60 --teacher-epochs 60

A small teacher is trained, on synthetic people where no files are given. Then

(a) its maps of several views of training persons are compared with its one map of each, warped: by each kind of
    variation alone, and all together; and beside it the ground truth's own maps, in which all difference is the
    warp's (a Gaussian's width changes with the zoom unless it is kept, a peak between cells loses height, and what
    lies outside of the canonical map is 0) and none the network's. See canonical_errors.py for the columns.
(b) for each seed a student learns, half of its epochs from the maps and half from binarized ones, from the live
    teacher, from a cache of every view, and from a canonical cache, peaks warped and their width kept: the same
    data, order, initial weights and epochs. Printed are AP on other people (ground-truth boxes, no flip test) and
    the mean error in pixels of the input, one above 12 counting as 12, and their paired differences. Live and
    cached targets differ by half precision alone: their difference shows how much two runs that should be equal
    do differ.

A network that is trained is not trained again: a study that was stopped goes on.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from canonical_errors import TrueMaps, map_errors, variations

from kdkit import CachedTeacher, Curriculum, TargetCache, Teacher, build_cache
from kdkit.cache import CANONICAL, CanonicalTeacher, Dense, cache_fingerprint
from kdkit_pose import (
    CocoKeypoints,
    Codec,
    Evaluator,
    MaskAwareTeacher,
    SyntheticPeople,
    codecs,
    loader,
    models,
    recipes,
)
from kdkit_pose.data import Augment
from kdkit_pose.demo.data import GENTLE
from kdkit_pose.evaluation import evaluating
from kdkit_pose.fit import FitSettings, fit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.measuring import Machine, commit, versions  # noqa: E402

AUGMENTS = {"reference": Augment(), "gentle": GENTLE}
WIDTHS = {"canonical, warped": "warped", "canonical, width kept": "kept"}
ARMS = ("live", "cached", *WIDTHS)
LARGEST_ERROR = 12.0
# No training seed is as large, so nobody is both learnt from and judged.
VALIDATION_SEED = 10_001
FLOAT16 = {"heatmap": Dense("float16")}


def read_people(options: argparse.Namespace, codec: Codec, seed: int, *, train: bool = True) -> CocoKeypoints:
    """The persons to learn from, or to be judged on."""
    files = (options.annotations, options.images) if train else (options.val_annotations, options.val_images)
    if options.annotations is None:
        pictures = options.pictures if train else options.val_pictures
        people = SyntheticPeople(pictures, seed=0 if train else VALIDATION_SEED, crowded=0.12)
        files = (people.annotations(), people.picture)
    augment = AUGMENTS[options.augment] if train else None
    cached = options.annotations is None
    return CocoKeypoints(*files, codec=codec, augment=augment, seed=seed, canonical=train, cache_images=cached)


def train_network(
    options: argparse.Namespace, name: str, data: CocoKeypoints, curriculum: Curriculum, folder: str, seed: int
) -> Path:
    """The file of a trained network."""
    out: Path = options.out / folder
    settings = FitSettings(
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        schedule="cosine",
        seed=seed,
        export="last",
        progress=options.progress,
    )
    torch.manual_seed(seed)
    fit(models.create(name).to(memory_format=torch.channels_last), curriculum, data, out, settings)
    return out / "student.safetensors"


def open_cache(folder: Path, teacher: Teacher, data: CocoKeypoints, views: int, **options: Any) -> TargetCache:
    """A cache of these targets; made, or what of it is missing."""
    build_cache(folder, teacher, data, codecs=FLOAT16, views=views, batch_size=64, **options)
    return TargetCache.open(folder, expect=cache_fingerprint(teacher, data, **options))


def open_canonical(folder: Path, teacher: Teacher, data: CocoKeypoints, width: str) -> CanonicalTeacher:
    """A teacher of one map a person."""
    cache = open_cache(folder, teacher, data.unaugmented(), 1, fingerprint=CANONICAL)
    return CanonicalTeacher(teacher.name, cache, swapped={"heatmap": data.skeleton.flip_permutation}, width=width)


def compare_maps(options: argparse.Namespace, codec: Codec, teacher: Teacher) -> dict[str, dict[str, Any]]:
    """Part (a): by whose maps they are, how they are warped, and by variation."""
    table: dict[str, dict[str, Any]] = {}
    for source in (teacher, TrueMaps()):
        data = read_people(options, codec, seed=0)
        names = ("mean", "mean_p95", "largest", "largest_p95", "cells", "cells_p95", "iou", "iou_p5")
        names += ("share", "outside", "cells_outside")
        for arm, width in WIDTHS.items():
            canonical = open_canonical(options.out / f"canonical-{source.name}", source, data, width)
            print(f"\nmaps of '{source.name}', {arm}, against those of {options.views} views, {codec}")
            print(f"{'':<12}" + "".join(f"{name:>14}" for name in names))
            rows = table.setdefault(source.name, {})[arm] = {}
            for kind, augment in variations(AUGMENTS[options.augment]).items():
                row = map_errors(data, augment, source, canonical, persons=options.persons, views=options.views)
                rows[kind] = row
                print(f"{kind:<12}" + "".join(f"{_number(row[name]):>14}" for name in names), flush=True)
    return table


def train_student(
    options: argparse.Namespace, codec: Codec, teacher: Teacher, arm: str, seed: int
) -> tuple[Path, int]:
    """The file of a student, and the bytes of its cache's targets a person."""
    data = read_people(options, codec, seed)
    of_arm: Teacher = teacher
    size = 0
    if arm == "cached":
        cache = open_cache(options.out / f"cache-seed-{seed}", teacher, data, options.epochs)
        of_arm, size = CachedTeacher(teacher.name, cache), cache.header.record_bytes * cache.views
    if arm in WIDTHS:
        of_arm = open_canonical(options.out / f"canonical-{teacher.name}", teacher, data, WIDTHS[arm])
        size = of_arm.cache.header.record_bytes
    half = options.epochs // 2
    curriculum = recipes.fpd(of_arm, until=half) + recipes.senior_only(of_arm, until=options.epochs - half)
    return train_network(
        options, options.student, data, curriculum, f"{arm.replace(', ', '-').replace(' ', '-')}-seed-{seed}", seed
    ), size


def judge(options: argparse.Namespace, codec: Codec, file: Path) -> dict[str, float]:
    """AP, and the mean error in pixels of the input."""
    network = models.load(file)
    data = read_people(options, codec, 0, train=False)
    evaluator = Evaluator(loader(data, 64), data.coco_dict(), codec, flip=False)
    errors = []
    with evaluating(network):
        for batch in loader(data, 64):
            points = codec.decode(network(batch["image"]))[0]
            errors.append((points - batch["keypoints"]).norm(dim=-1)[batch["visible"] > 0])
    error = torch.cat(errors).clamp(max=LARGEST_ERROR)
    return {"AP": evaluator(network)["val/AP"], "error": float(error.mean())}


def differences(students: Mapping[str, list[dict[str, float]]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """The paired differences between arms over the seeds: their mean and, of two seeds or more, its error."""
    table: dict[str, dict[str, dict[str, float | None]]] = {}
    for one, other in itertools.combinations(reversed(ARMS), 2):
        of_pair = table[f"{one} - {other}"] = {}
        for figure in ("AP", "error"):
            apart = [a[figure] - b[figure] for a, b in zip(students[one], students[other], strict=True)]
            deviation = statistics.stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else None
            of_pair[figure] = {"mean": float(np.mean(apart)), "deviation": deviation}
    return table


def main() -> None:
    options = parse()
    codec = codecs.create(options.codec, tuple(options.size), sigma=options.sigma)
    discs = replace(codec, decoder="centroid")  # what students of binarized maps are read by
    data = read_people(options, codec, seed=0)
    plain = recipes.supervised(until=options.teacher_epochs)
    file = train_network(options, options.teacher, data, plain, "teacher", seed=1000)
    teacher = MaskAwareTeacher("teacher", models.load(file).to(memory_format=torch.channels_last))
    of_teacher = judge(options, codec, file)
    print(f"{len(data)} persons; the teacher's AP is {of_teacher['AP']:.3f} with ground-truth boxes")
    maps = compare_maps(options, codec, teacher)
    students: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    print(f"\n{'student':<32}{'AP':>8}{'error':>8}{'cache bytes a person':>22}")
    for seed in range(options.seeds):
        for arm in ARMS:
            student, size = train_student(options, codec, teacher, arm, seed)
            row = judge(options, discs, student)
            students[arm].append(row)
            print(f"{f'{arm}, seed {seed}':<32}{row['AP']:>8.3f}{row['error']:>8.3f}{size:>22,}", flush=True)
    apart = differences(students)
    print(f"\n{'difference':<46}{'AP':>20}{'error':>20}")
    for name, row_of in apart.items():
        cells = (f"{value['mean']:+.4f} +- {_number(value['deviation'])}" for value in row_of.values())
        print(f"{name:<46}" + "".join(f"{cell:>20}" for cell in cells))
    if options.json:
        result = {
            "configuration": {name: _plain(value) for name, value in vars(options).items()},
            "codec": str(codec),
            "machine": asdict(Machine.here()),
            "versions": versions(),
            "commit": commit(),
            "persons": len(data),
            "teacher": of_teacher,
            "maps": maps,
            "students": students,
            "differences": apart,
            "boxes": "ground truth",
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/canonical-study"), help="folder of runs and caches")
    for name in ("annotations", "images", "val-annotations", "val-images"):
        parser.add_argument(
            f"--{name}", type=Path, help="of people to learn from or be judged on; all four or none"
        )
    parser.add_argument("--teacher", default="hrnet_w16_small", choices=models.names())
    parser.add_argument("--student", default="hrnet_w12_small", choices=models.names())
    parser.add_argument("--codec", default="dark", choices=codecs.names())
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128), help="width and height of the input")
    parser.add_argument("--sigma", type=float, default=1.5, help="of the Gaussians, in cells")
    parser.add_argument("--augment", default="reference", choices=AUGMENTS, help="how the views vary")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10, help="of each student, half of them binarized")
    parser.add_argument("--teacher-epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=500, help="of synthetic people, to learn from")
    parser.add_argument("--val-pictures", type=int, default=110)
    parser.add_argument("--persons", type=int, default=200, help="whose maps are compared")
    parser.add_argument("--views", type=int, default=4, help="of each of them")
    parser.add_argument("--progress", action="store_true", help="show bars and lines of each training")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    files = (options.annotations, options.images, options.val_annotations, options.val_images)
    if any(files) and not all(files):
        parser.error("give all of --annotations, --images, --val-annotations and --val-images, or none")
    if options.epochs < 2 or options.seeds < 1:
        parser.error("students need two epochs or more, and a seed")
    return options


if __name__ == "__main__":
    main()
