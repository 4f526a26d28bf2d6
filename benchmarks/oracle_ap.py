"""The AP of a perfect network, for every codec and input size: of decode(encode(keypoints)), and of
decode(binarize(encode(keypoints), t)) for several thresholds t and both decoders.

    python benchmarks/oracle_ap.py person_keypoints_val2017.json

Boxes are the ground truth's, clipped to the picture; persons are those of the training set (no crowds, an
area, at least one labelled keypoint). "exact" are the true keypoints, clipped to the crop that the codec cuts:
what a codec without error would reach that stays inside of the crop. The codecs DARK and UDP may pass it, since
they find keypoints that lie up to two cells outside. MSRA, DARK and UDP at "none" are the codecs as they are;
with a threshold, `peak` is the codec's own decoder, `centroid` that of the peak's region.

What follows from it for `kdkit_pose.recipes`: binarized targets are decoded by the centroid, since the codec's own
decoder loses them at low thresholds and with wide Gaussians; and thresholds of 0.3 to 0.7 differ little in what
the discs can say, so the default, 0.5, is in the middle of a flat top rather than the best.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from oracle_persons import SIZES, Person, codecs_of_size, in_crops, read, targets
from rich.console import Console
from rich.progress import track

from kdkit import Binarize
from kdkit_pose.codecs import Codec
from kdkit_pose.evaluation import coco_metrics, rescore
from kdkit_pose.geometry import apply_affine, invert_affine

THRESHOLDS = (0.1, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        codec: with its decoder.
        threshold: of the binarization; None leaves the targets as they are.
        exact: whether the true keypoints stand instead of decoded ones.
    """

    codec: Codec
    threshold: float | None = None
    exact: bool = False

    @property
    def name(self) -> tuple[str, str, str]:
        """Codec, threshold and decoder, as printed."""
        if self.exact:
            return self.codec.name, "-", "exact"
        return self.codec.name, "none" if self.threshold is None else str(self.threshold), self.codec.decoder


def cases(size: str) -> Iterator[Case]:
    """All of one size."""
    for codec in codecs_of_size(size):
        yield Case(codec, exact=True)
        yield Case(codec)
        for threshold in THRESHOLDS:
            yield Case(codec, threshold)
            yield Case(replace(codec, decoder="centroid"), threshold)


def restored(case: Case, persons: list[Person]) -> tuple[torch.Tensor, torch.Tensor]:
    """Keypoints [N, K, 2] in pixels of the input, and scores [N, K]."""
    if case.exact:
        points = np.clip(in_crops(case.codec, persons), 0, np.array(case.codec.input_size) - 1)
        return torch.from_numpy(points), torch.ones(points.shape[:2])
    heatmap = targets(case.codec, persons)
    return case.codec.decode(heatmap if case.threshold is None else Binarize(case.threshold)(heatmap))


def oracle_ap(annotations: dict[str, Any], persons: list[Person], case: Case) -> float:
    """The AP, 0..1, of a network that always answers with the targets."""
    points, scores = restored(case, persons)
    results = []
    for person, place, confidence in zip(persons, points.numpy(), scores.numpy(), strict=True):
        placed = apply_affine(invert_affine(person.affine(case.codec)), place)
        results.append(
            {
                "image_id": person.image_id,
                "category_id": 1,
                "keypoints": np.column_stack([placed, confidence]).ravel().tolist(),
                "score": rescore(1.0, confidence),
            }
        )
    ap = coco_metrics(annotations, results, boxes="ground truth")["AP"]
    return float("nan") if ap is None else ap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, help="COCO keypoint annotations")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    annotations, persons = read(options.annotations)
    table: dict[tuple[str, str, str], dict[str, float]] = {}
    todo = [(size, case) for size in SIZES for case in cases(size)]
    for size, case in track(todo, "oracles", console=Console(stderr=True), transient=True):
        table.setdefault(case.name, {})[size] = oracle_ap(annotations, persons, case)
    print(f"{options.annotations.name}: AP of {len(persons)} persons, ground-truth boxes; sigma 2, 3 at 384x288")
    print(f"{'codec':<8}{'threshold':<11}{'decoder':<10}" + "".join(size.rjust(9) for size in SIZES))
    for (codec, threshold, decoder), figures in table.items():
        numbers = "".join(f"{figures[size]:9.3f}" for size in SIZES)
        print(f"{codec:<8}{threshold:<11}{decoder:<10}{numbers}")
    if options.json:
        rows = [
            {"codec": codec, "threshold": threshold, "decoder": decoder, "AP": figures}
            for (codec, threshold, decoder), figures in table.items()
        ]
        content = {"boxes": "ground truth", "persons": len(persons), "rows": rows}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
