"""Samples a second of one core: mmpose 1.3.2's own training pipeline, its stand-in, and kdkit's, in one run.

Make an environment with kdkit and the reference, whose compiled parts are not needed:

    pip install kdkit
    pip install --no-deps mmpose==1.3.2 mmengine mmcv-lite
    pip install addict json_tricks munkres pyyaml scipy termcolor yapf

    python benchmarks/mmpose_loader.py [--annotations FILE --images FOLDER] [--json FILE]

The package's part is its data set and pipeline as its configurations for COCO have them, at 256x192: LoadImage,
GetBBoxCenterScale, RandomFlip, RandomHalfBody, RandomBBoxTransform, TopdownAffine, GenerateTarget with
MSRAHeatmap, PackPoseInputs. Candidates take turns in one process, a batch at a time, and read the same persons.
Without ``--annotations`` these are synthetic, in JPEG files of 640x480 pixels.

The stand-in is what the suite benchmarks/suites/loader_bench.py compares with, since the package is no dependency.
"time of stand-in against mmpose" says how faithful it is, and so do the largest differences of what both make of
the same persons under the same drawn numbers.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, it sees only its own folder

from benchmarks.measuring import (
    CpuClock,
    Figure,
    Machine,
    Speed,
    TakingTurns,
    Target,
    Time,
    Turns,
    commit,
    judge,
    versions,
)
from benchmarks.measuring.table import claim, measured
from benchmarks.reference.absent_modules import do_without
from benchmarks.reference.mmpose_pipeline import Drawn, ReferencePipeline
from kdkit_pose import Augment, CocoKeypoints, SyntheticPeople
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import PackedKeypoints, PoseDataset, pack
from kdkit_pose.data.collating import collate
from kdkit_pose.synthetic import write_coco

CODEC = MSRA((192, 256))
BATCH = 32
PACKAGE, STAND_IN = "mmpose", "stand-in"
Rows = Sequence[tuple[int, int]]
PINNED = (
    Drawn(),
    Drawn(zoom=0.8, rotation=30.0),
    Drawn(flip=True, shift=(0.1, -0.05), zoom=1.3, rotation=-50.0),
    Drawn(flip=True, half="upper"),
    Drawn(half="lower", zoom=1.2),
)


def package(annotations: Path, images: Path) -> Any:
    """The package's data set with its training pipeline."""
    if importlib.util.find_spec("mmpose") is None or importlib.util.find_spec("mmcv") is None:
        sys.exit(f"mmpose or mmcv is not installed.\n{(__doc__ or '').split('The package')[0]}")
    do_without("xtcocotools")
    import pycocotools.coco

    # The one is a fork of the other, and reads annotations as it does.
    sys.modules["xtcocotools.coco"] = pycocotools.coco
    import mmpose.datasets.transforms  # noqa: F401  (registers them)
    from mmengine.registry import init_default_scope
    from mmpose.datasets.datasets.body import CocoDataset

    init_default_scope("mmpose")

    codec = {"type": "MSRAHeatmap", "input_size": CODEC.input_size, "heatmap_size": CODEC.heatmap_size, "sigma": 2}
    pipeline = [
        {"type": "LoadImage"},
        {"type": "GetBBoxCenterScale"},
        {"type": "RandomFlip", "direction": "horizontal"},
        {"type": "RandomHalfBody"},
        {"type": "RandomBBoxTransform"},
        {"type": "TopdownAffine", "input_size": CODEC.input_size},
        {"type": "GenerateTarget", "encoder": codec},
        {"type": "PackPoseInputs"},
    ]
    with contextlib.redirect_stdout(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CocoDataset(
            ann_file=str(annotations),
            data_prefix={"img": f"{images}/"},
            data_mode="topdown",
            pipeline=pipeline,
        )


def pin(dataset: Any, drawn: Drawn) -> None:
    """Let the package draw these numbers from now on."""
    by_name = {type(step).__name__: step for step in dataset.pipeline.transforms}

    def half(keypoints_visible: Any, upper_body_ids: list[int], lower_body_ids: list[int]) -> list[Any]:
        if drawn.half is None:
            return [None]
        ids = upper_body_ids if drawn.half == "upper" else lower_body_ids
        return [[joint for joint in ids if keypoints_visible[0][joint] > 0]]

    numbers = np.array([drawn.shift]), np.array([[drawn.zoom]]), np.array([drawn.rotation])
    by_name["RandomFlip"]._choose_direction = lambda: "horizontal" if drawn.flip else None
    by_name["RandomHalfBody"]._random_select_half_body = half
    by_name["RandomBBoxTransform"]._get_transform_params = lambda num_bboxes: numbers


def compare_outputs(dataset: Any, stand_in: ReferencePipeline) -> dict[str, float]:
    """The largest differences of what both make of the persons that have all their keypoints."""
    whole = [row for row in range(len(stand_in)) if stand_in.sample(row)["visible"].all()][:10]
    found = {"persons": float(len(whole)), "image": 0.0, "other pixels": 0.0, "heatmap": 0.0, "weight": 0.0}
    pixels = []
    for drawn in PINNED:
        pin(dataset, drawn)
        for row in whole:
            theirs, mine = dataset[row], stand_in.sample(row, drawn)
            labels = theirs["data_samples"].gt_instance_labels.keypoint_weights[0]
            difference = (theirs["inputs"].int() - mine["image"].int()).abs()
            pixels.append(float((difference > 0).float().mean()))
            for name, one, other in (
                ("image", theirs["inputs"].float(), mine["image"].float()),
                ("heatmap", theirs["data_samples"].gt_fields.heatmaps, mine["heatmap"]),
                ("weight", labels, mine["weight"]),
            ):
                found[name] = max(found[name], float((one - other).abs().max()))
    return found | {"other pixels": float(np.mean(pixels))}


def reading(data: PoseDataset) -> Callable[[Rows], object]:
    """What a loader without workers does for a batch."""
    return lambda pairs: collate(data.__getitems__(pairs))  # type: ignore[attr-defined]


def measure(annotations: Path, images: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Let all take turns, print what they took, and return it."""
    stand_in = ReferencePipeline(json.loads(annotations.read_text()), images, CODEC.input_size)
    outputs = compare_outputs(package(annotations, images), stand_in)
    print("largest differences:", ", ".join(f"{name} {value:.3g}" for name, value in outputs.items()))
    dataset = package(annotations, images)

    def decoded(masks: bool) -> CocoKeypoints:
        return CocoKeypoints(annotations, images, codec=CODEC, augment=Augment(), masks=masks)

    packed = PackedKeypoints(pack(decoded(False), folder / "packed"), codec=CODEC, augment=Augment())
    persons = min(len(dataset), len(packed), len(stand_in))
    candidates: dict[str, Callable[[Rows], object]] = {
        PACKAGE: lambda pairs: [dataset[row] for row, _ in pairs],
        STAND_IN: lambda pairs: stand_in.samples([row for row, _ in pairs]),
        "packed": reading(packed),
        "packed, prepared by the same core": lambda pairs: packed.prepare(reading(packed)(pairs)),  # type: ignore[arg-type]
        "decoded": reading(decoded(False)),
    }
    draw = np.random.default_rng(0)
    inputs = [[(int(row), view) for row in draw.integers(persons, size=BATCH)] for view in range(8)]
    taking = TakingTurns(candidates, CpuClock(), inputs=inputs)
    taking.warm_up()
    for _ in range(rounds):
        taking.round()
    turns = taking.turns()
    pairs = [(label, to) for label in list(candidates)[2:] for to in (PACKAGE, STAND_IN)]
    figures = [_against(turns, STAND_IN, PACKAGE, Time())]
    figures += [_against(turns, label, to, Speed()) for label, to in pairs]
    for label, seconds in turns.medians.items():
        print(f"{label}: {BATCH / seconds:.0f} samples/s")
    for figure in figures:
        print(f"{claim(figure)}: {measured(figure)}")
    rates = {label: BATCH / seconds for label, seconds in turns.medians.items()}
    return {"samples a second": rates, "figures": [asdict(one) for one in figures], "outputs": outputs}


def _against(turns: Turns, of: str, to: str, target: Target) -> Figure:
    (figure,) = judge(Turns({of: turns.seconds[of], to: turns.seconds[to]}), target)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, help="a COCO keypoint file; needs --images")
    parser.add_argument("--images", type=Path, help="the folder of its pictures")
    parser.add_argument("--rounds", type=int, default=40, help="batches that each reads (40)")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    if (options.annotations is None) != (options.images is None):
        parser.error("--annotations and --images belong together")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        annotations, images = options.annotations, options.images
        if annotations is None:
            annotations = write_coco(SyntheticPeople(40, seed=0, size=(640, 480)), folder / "people", "train")
            images = folder / "people" / "images"
        figures = measure(annotations, images, folder, options.rounds)
    if options.json:
        package = {"mmpose": importlib.metadata.version("mmpose")}
        made = {"machine": asdict(Machine.here()), "commit": commit(), "versions": versions() | package}
        options.json.write_text(json.dumps({**made, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
