"""How far encoding and decoding again moves true keypoints, for every codec and input size.

    python benchmarks/codec_error.py person_keypoints_val2017.json

Boxes are the ground truth's, clipped to the picture. Counted are the labelled keypoints that lie inside of the
crop, between the centres of its first and last pixels, the border's included. Figures are distances in pixels of
the input.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from oracle_persons import SIZES, Array, Person, codecs_of_size, in_crops, read, targets

from kdkit_pose.codecs import Codec


def errors(codec: Codec, persons: list[Person]) -> Array:
    """The distance [n] of each keypoint inside of its crop from where its heatmap is decoded to."""
    true = in_crops(codec, persons)
    labelled = np.stack([person.visible for person in persons]) > 0
    inside = labelled & (true >= 0).all(axis=-1) & (true <= np.array(codec.input_size) - 1).all(axis=-1)
    found = codec.decode(targets(codec, persons))[0].numpy()
    distance: Array = np.linalg.norm(found - true, axis=-1)[inside]
    return distance


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
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
