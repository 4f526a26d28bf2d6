"""Which decoder finds the keypoints best in the maps of students that learnt binarized targets: real maps, whose
peaks are neither discs nor Gaussians.

    python benchmarks/decoder_study.py --out runs/decoder-study --seeds 2 --thresholds 0.3 0.5 0.7
    python benchmarks/decoder_study.py --checkpoints runs/odkd/student.safetensors

Students are trained on synthetic people at 128x96, half of the epochs plainly and half on binarized ground truth,
a few minutes each; a run that is finished is not repeated. With --checkpoints they are students from elsewhere,
of any binarizing recipe. All are evaluated on the same other people, with and without the flip test.

Printed are AP and the mean error in pixels of the input, an error above 12 (three cells: another peak) counting
as 12; and the mean difference of each person's error from the first decoder's with its standard error, which
tells apart what AP of a few hundred people cannot.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from decoder_candidates import candidates
from rich.console import Console
from rich.progress import track

from kdkit import Binarize, Cosine, Curriculum, Epochs, Identity, Stage, Supervise, TargetTransform, losses
from kdkit_pose import CocoKeypoints, Codec, SyntheticPeople, codecs, loader, models
from kdkit_pose.demo.data import GENTLE
from kdkit_pose.evaluation import coco_metrics, evaluating, oks_nms, predict_heatmap, rescore
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.geometry import apply_affine, invert_affine
from kdkit_pose.skeleton import COCO

Array = npt.NDArray[Any]
LARGEST_ERROR = 12.0
# No training seed is as large, so nobody is both learnt from and judged.
VALIDATION_SEED = 10_001


def train(options: argparse.Namespace, seed: int, threshold: float) -> Path:
    """The file of a student of this seed and threshold."""
    out: Path = options.out / f"{options.codec}-threshold-{threshold}-seed-{seed}"
    people = SyntheticPeople(options.pictures, seed=2 * seed, crowded=0.12)
    codec = codecs.create(options.codec, (96, 128))
    data = CocoKeypoints(
        people.annotations(), people.picture, codec=codec, augment=GENTLE, seed=seed, cache_images=True
    )
    half = options.epochs // 2
    curriculum = Curriculum(
        _stage("plain", Identity(), half), _stage("binarized", Binarize(threshold), options.epochs - half)
    )
    torch.manual_seed(seed)
    network = models.create(options.model).to(memory_format=torch.channels_last)
    fit(network, curriculum, data, out, FitSettings(batch_size=16, seed=seed, export="last"))
    return out / "student.safetensors"


def _stage(name: str, transform: TargetTransform, epochs: int) -> Stage:
    objective = Supervise("heatmap", losses.mse, region="visible", transform=transform)
    return Stage(name, [objective], Epochs(epochs), learning_rate=Cosine(3e-3, 3e-5, over="run"))


def record(checkpoint: Path, people: SyntheticPeople) -> tuple[Codec, dict[str, Array]]:
    """A student's codec, and its maps with what is true of them."""
    metadata = models.read_metadata(checkpoint)
    codec = codecs.from_metadata(metadata)
    network = models.create(metadata["model"])
    models.load_checkpoint(network, checkpoint)
    data = CocoKeypoints(people.annotations(), people.picture, codec=codec, masks=False, cache_images=True)
    recorded: dict[str, list[Array]] = {}
    with evaluating(network):
        for batch in loader(data, 64):
            for flip in (False, True):
                maps = predict_heatmap(network, [batch["image"]], codec, flip=flip)
                recorded.setdefault("flip" if flip else "plain", []).append(maps.numpy())
            for field in ("keypoints", "visible", "id", "image_id", "center", "scale"):
                recorded.setdefault(field, []).append(batch[field].numpy())
    return codec, {name: np.concatenate(parts) for name, parts in recorded.items()}


def judge(codec: Codec, recorded: Mapping[str, Array], truth: Any, maps: str) -> dict[str, dict[str, float]]:
    """The figures of every candidate on one student's maps, ``plain`` or ``flip``."""
    heatmap = torch.from_numpy(recorded[maps])
    scores = heatmap.amax(dim=(-2, -1)).clamp(min=0).numpy()
    visible = recorded["visible"] > 0
    figures: dict[str, dict[str, float]] = {}
    first: Array | None = None
    for name, decode in candidates(codec).items():
        points = decode(heatmap).numpy() * np.array(codec.cell_size)
        error = np.minimum(np.linalg.norm(points - recorded["keypoints"], axis=-1), LARGEST_ERROR)
        person = np.array([row[seen].mean() for row, seen in zip(error, visible, strict=True) if seen.any()])
        first = person if first is None else first
        difference = person - first
        figures[name] = {
            "AP": average_precision(codec, recorded, truth, points, scores),
            "error": float(error[visible].mean()),
            "difference": float(difference.mean()),
            "deviation": float(difference.std() / np.sqrt(len(difference))),
        }
    return figures


def average_precision(
    codec: Codec, recorded: Mapping[str, Array], truth: Any, points: Array, scores: Array
) -> float:
    """The AP of decoded points [N, K, 2] in pixels of the input."""
    results = []
    for row, (center, scale) in enumerate(zip(recorded["center"], recorded["scale"], strict=True)):
        placed = apply_affine(invert_affine(codec.affine(center, scale)), points[row])
        results.append(
            {
                "image_id": int(recorded["image_id"][row]),
                "category_id": 1,
                "keypoints": np.column_stack([placed, scores[row]]).ravel().tolist(),
                "score": rescore(1.0, scores[row]),
                "scale": scale.tolist(),
            }
        )
    return coco_metrics(truth, oks_nms(results, COCO.sigmas), boxes="ground truth")["AP"] or 0.0


def show(title: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Print one student's table."""
    print(f"\n{title}\n{'decoder':<36}{'AP':>7}{'error':>8}{'difference':>13}")
    for name, row in figures.items():
        compared = f"{row['difference']:>+13.3f} +- {row['deviation']:.3f}"
        print(f"{name:<36}{row['AP']:>7.3f}{row['error']:>8.3f}{compared}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=Path, nargs="+", help="students to judge instead of training them")
    parser.add_argument("--out", type=Path, default=Path("runs/decoder-study"), help="folder of the runs")
    parser.add_argument("--model", default="hrnet_w16_small")
    parser.add_argument("--codec", default="dark", choices=codecs.names())
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.5])
    parser.add_argument("--epochs", type=int, default=8, help="of each student, half of them plain")
    parser.add_argument("--pictures", type=int, default=1000, help="to train on")
    parser.add_argument("--val-pictures", type=int, default=150)
    parser.add_argument(
        "--maps", type=Path, help="write the last student's maps there, for compare_with_mmpose.py"
    )
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    checkpoints = options.checkpoints or [
        train(options, seed, threshold) for threshold in options.thresholds for seed in range(options.seeds)
    ]
    people = SyntheticPeople(options.val_pictures, seed=VALIDATION_SEED, crowded=0.12)
    truth = people.annotations()
    table: dict[str, Any] = {}
    recorded: dict[str, Array] = {}
    for checkpoint in track(checkpoints, "judging", console=Console(stderr=True), transient=True):
        codec, recorded = record(checkpoint, people)
        name = str(checkpoint)
        table[name] = {maps: judge(codec, recorded, truth, maps) for maps in ("plain", "flip")}
        for maps, figures in table[name].items():
            show(f"{name}, {len(recorded['id'])} persons, ground-truth boxes, {maps} maps", figures)
    if options.maps:
        np.savez(options.maps, heatmap=recorded["plain"])
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
