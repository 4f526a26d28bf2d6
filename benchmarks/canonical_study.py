"""What a canonical cache loses against a teacher's true maps of every view, in the maps.

    python benchmarks/canonical_study.py --teacher runs/benchmark/teachers-coco/senior/student.safetensors \\
        --json runs/canonical-study.json
    python benchmarks/canonical_study.py --teacher runs/w48/student.safetensors \\
        --annotations train.json --images train2017 --augment reference

A teacher's maps of several views of persons are compared with its one map of each, warped: by each kind of
variation alone, and all together; and beside it the ground truth's own maps, in which all difference is the
warp's (a Gaussian's width changes with the zoom unless it is kept, a peak between cells loses height, and what
lies outside of the canonical map is 0) and none the network's. See canonical_errors.py for the columns.

What it costs a student in AP is the row odkd_canonical of `kdkit-pose ablate`, against the row odkd.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from canonical_errors import TrueMaps, map_errors, variations

from kdkit import TargetCache, Teacher, build_cache
from kdkit.cache import CANONICAL, CanonicalTeacher, Dense, cache_fingerprint
from kdkit_pose import CocoKeypoints, Codec, MaskAwareTeacher, SyntheticPeople, models
from kdkit_pose.ablation.benchmark import AUGMENT
from kdkit_pose.data import Augment

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.measuring import Machine, commit, versions  # noqa: E402

AUGMENTS = {"reference": Augment(), "benchmark": AUGMENT}
WIDTHS = {"canonical, warped": "warped", "canonical, width kept": "kept"}
# Nobody that an ablation's teachers were trained on.
SEED = 620_001
NAMES = ("mean", "mean_p95", "largest", "largest_p95", "cells", "cells_p95", "iou", "iou_p5")
NAMES += ("share", "outside", "cells_outside")


def read_people(options: argparse.Namespace, codec: Codec) -> CocoKeypoints:
    """The persons whose maps are compared."""
    drawn = options.annotations is None
    people = SyntheticPeople(options.pictures, seed=SEED, crowded=0.5)
    files = (people.annotations(), people.picture) if drawn else (options.annotations, options.images)
    return CocoKeypoints(
        *files, codec=codec, augment=AUGMENTS[options.augment], seed=0, canonical=True, cache_images=drawn
    )


def open_canonical(folder: Path, teacher: Teacher, data: CocoKeypoints, width: str) -> CanonicalTeacher:
    """A teacher of one map a person."""
    whole = data.unaugmented()
    build_cache(
        folder, teacher, whole, codecs={"heatmap": Dense("float16")}, views=1, batch_size=64, fingerprint=CANONICAL
    )
    cache = TargetCache.open(folder, expect=cache_fingerprint(teacher, whole, fingerprint=CANONICAL))
    return CanonicalTeacher(teacher.name, cache, swapped={"heatmap": data.skeleton.flip_permutation}, width=width)


def compare_maps(
    options: argparse.Namespace, data: CocoKeypoints, teacher: Teacher, folder: Path
) -> dict[str, dict[str, Any]]:
    """By whose maps they are, how they are warped, and by variation."""
    table: dict[str, dict[str, Any]] = {}
    for source in (teacher, TrueMaps()):
        for arm, width in WIDTHS.items():
            canonical = open_canonical(folder / source.name, source, data, width)
            print(f"\nmaps of '{source.name}', {arm}, against those of {options.views} views, {data.codec}")
            print(f"{'':<12}" + "".join(f"{name:>14}" for name in NAMES))
            rows = table.setdefault(source.name, {})[arm] = {}
            for kind, augment in variations(AUGMENTS[options.augment]).items():
                row = map_errors(data, augment, source, canonical, persons=options.persons, views=options.views)
                rows[kind] = row
                print(f"{kind:<12}" + "".join(f"{_number(row[name]):>14}" for name in NAMES), flush=True)
    return table


def main() -> None:
    options = parse()
    network = models.load(options.teacher).to(memory_format=torch.channels_last)
    if network.codec is None:
        raise SystemExit(f"'{options.teacher}' does not say what its heatmaps mean: give a file that kdkit wrote")
    teacher = MaskAwareTeacher("teacher", network)
    data = read_people(options, network.codec)
    with tempfile.TemporaryDirectory() as folder:
        maps = compare_maps(options, data, teacher, Path(folder))
    if options.json:
        result = {
            "configuration": {name: _plain(value) for name, value in vars(options).items()},
            "teacher": {"fingerprint": teacher.fingerprint(), **models.describe(network)},
            "codec": str(network.codec),
            "machine": asdict(Machine.here()),
            "versions": versions(),
            "commit": commit(),
            "persons": len(data),
            "maps": maps,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--teacher", type=Path, required=True, help="the teacher's file, as kdkit-pose train writes it"
    )
    parser.add_argument(
        "--annotations", type=Path, help="of people to look at, in place of drawn ones; with --images"
    )
    parser.add_argument("--images", type=Path)
    parser.add_argument("--augment", default="benchmark", choices=AUGMENTS, help="how the views vary")
    parser.add_argument("--pictures", type=int, default=200, help="of synthetic people")
    parser.add_argument("--persons", type=int, default=200, help="whose maps are compared")
    parser.add_argument("--views", type=int, default=4, help="of each of them")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    if (options.annotations is None) != (options.images is None):
        parser.error("give both of --annotations and --images, or none")
    return options


if __name__ == "__main__":
    main()
