"""How far encoding and decoding again moves true keypoints, for every codec and input size.

    python benchmarks/codec_error.py person_keypoints_val2017.json

Boxes are the ground truth's, clipped to the picture. Counted are the labelled keypoints that lie inside of the
crop, between the centres of its first and last pixels, the border's included. Figures are distances in pixels of
the input. What the two decoders lose on exact discs, of binarized heatmaps, is printed below.
"""

import argparse
import json
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from oracle_persons import SIZES, Array, Person, codecs_of_size, in_crops, read, targets

from kdkit import Binarize
from kdkit_pose.codecs import DARK, Codec, Decoder

THRESHOLDS = (0.3, 0.5, 0.7)


def errors(codec: Codec, persons: list[Person]) -> Array:
    """The distance [n] of each keypoint inside of its crop from where its heatmap is decoded to."""
    true = in_crops(codec, persons)
    labelled = np.stack([person.visible for person in persons]) > 0
    inside = labelled & (true >= 0).all(axis=-1) & (true <= np.array(codec.input_size) - 1).all(axis=-1)
    found = codec.decode(targets(codec, persons))[0].numpy()
    distance: Array = np.linalg.norm(found - true, axis=-1)[inside]
    return distance


def disc_errors(codec: Codec, threshold: float) -> Array:
    """The distance [500] of random keypoints from where the discs of their binarized heatmaps are decoded to."""
    margin = 8 * codec.sigma
    true = np.random.default_rng(0).uniform(margin, np.array(codec.input_size) - margin, size=(500, 2))
    heatmap = torch.from_numpy(codec.encode(true, np.ones(len(true)))[0])[None]
    found = codec.decode(Binarize(threshold)(heatmap))[0][0].numpy()
    distance: Array = np.linalg.norm(found - true, axis=-1)
    return distance


def print_discs() -> None:
    """Print the median errors of both decoders on exact discs, for narrow Gaussians and wide ones."""
    print("\nexact discs of DARK, 128x96, 500 random places: median error in pixels of the input, peak / centroid")
    print("sigma".ljust(8) + "".join(f"threshold {threshold}".rjust(17) for threshold in THRESHOLDS))
    for sigma in (1.0, 1.5, 2.0, 3.0):
        line = f"{sigma:<8g}"
        for threshold in THRESHOLDS:
            pair = (np.median(disc_errors(DARK((96, 128), sigma, by), threshold)) for by in get_args(Decoder))
            line += " / ".join(f"{error:.2f}" for error in pair).rjust(17)
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, help="COCO keypoint annotations")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    _, persons = read(options.annotations)
    print(f"{options.annotations.name}: encode and decode, {len(persons)} persons, error in pixels of the input")
    print(f"{'codec':<8}{'input':<10}{'keypoints':>10}{'median':>10}{'mean':>10}{'95 %':>10}{'largest':>10}")
    rows = []
    for size in SIZES:
        for codec in codecs_of_size(size):
            found = errors(codec, persons)
            figures = {
                "median": float(np.median(found)),
                "mean": float(found.mean()),
                "p95": float(np.quantile(found, 0.95)),
                "max": float(found.max()),
            }
            rows.append({"codec": codec.name, "input": size, "keypoints": len(found), **figures})
            line = "".join(f"{figure:10.4f}" for figure in figures.values())
            print(f"{codec.name:<8}{size:<10}{len(found):>10}{line}", flush=True)
    print_discs()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
