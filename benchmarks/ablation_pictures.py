"""Draws the validation persons on whom a plain and a distilled student of a study differ most, either way.

    python benchmarks/ablation_pictures.py --study runs/benchmark/coco-hrnet_w12_small \
        --out docs/images/ablation-small-exact-persons.jpg

By OKS, the mean over the seeds that both rows have finished, equally many raised and lowered; beside the picture
is a JSON file of the same stem that names the persons and their OKS. `make results` puts a picture of this name,
ablation-<the result file's stem>-persons, on the page. Studies of persons of one's own need --annotations and
--images.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.ablation.persons import Person, Poses, compared_persons, most_changed  # noqa: E402
from benchmarks.ablation.students import persons_of, students  # noqa: E402
from kdkit import ConfigurationError, KdkitError  # noqa: E402
from kdkit.files import write_atomically  # noqa: E402
from kdkit_pose import models  # noqa: E402
from kdkit_pose.data import CocoKeypoints, loader  # noqa: E402
from kdkit_pose.evaluation import predict  # noqa: E402
from kdkit_pose.report import draw_people  # noqa: E402
from kdkit_pose.report.canvas import INK, rasterize  # noqa: E402

BATCH = 64
GAP = 48
"""Pixels between the raised and the lowered."""


def poses(student: Path, data: CocoKeypoints) -> Poses:
    """Return what a student finds, as evaluation does."""
    network = models.load(student).to("cuda" if torch.cuda.is_available() else "cpu")
    found = predict(network, loader(data, BATCH), network.codec or data.codec, skeleton=data.skeleton)
    return {one["id"]: np.asarray(one["keypoints"], dtype=np.float64).reshape(-1, 3) for one in found}


def draw(
    data: CocoKeypoints, found: Mapping[str, Mapping[int, Poses]], groups: Mapping[str, Sequence[Person]]
) -> NDArray[np.uint8]:
    """Return the picture [H, W, 3]: groups of persons, each with the truth and what was found."""
    blocks = []
    for title, persons in groups.items():
        seeds = {person.id: person.seed for person in persons}
        shown = {row: {one: by_seed[seed][one] for one, seed in seeds.items()} for row, by_seed in found.items()}
        block = draw_people(data, shown, list(seeds)).image
        blocks.append(np.concatenate([_heading(title, block.shape[1]), block]))
    gap = np.full((blocks[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([blocks[0], *(part for block in blocks[1:] for part in (gap, block))], axis=1)


def _heading(text: str, width: int) -> NDArray[np.uint8]:
    drawing = Drawing(figsize=(width / 160, 0.35), dpi=160, facecolor="white")
    drawing.text(0.5, 0.5, text, ha="center", va="center", fontsize=12, fontweight="bold", color=INK)
    image = rasterize(drawing)[:, :width]
    return np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=255)


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Draw the picture, write it and what it shows, and return that.

    Raises:
        ConfigurationError: the rows have no finished seed in common, or nobody is found better and nobody worse.
    """
    study: Path = options.study
    rows = (options.plain, options.distilled)
    files = {row: students(study, row) for row in rows}
    seeds = [seed for seed in files[rows[0]] if seed in files[rows[1]]]
    if not seeds:
        raise ConfigurationError(f"'{study}' has no seed for which both {rows[0]} and {rows[1]} are finished")
    data = persons_of(study, options.annotations, options.images, files[rows[0]][seeds[0]])
    found = {row: {seed: poses(files[row][seed], data) for seed in seeds} for row in rows}
    annotations = data.coco_dict()["annotations"]
    persons = compared_persons(
        *(annotations, found[rows[0]], found[rows[1]], data.skeleton.sigmas, options.least_labelled)
    )
    gained, lost = most_changed(persons, options.count)
    if not gained:
        raise ConfigurationError(f"of {len(persons)} persons, some must be raised and some lowered to be drawn")
    picture = draw(data, found, {"raised most": gained, "lowered most": lost})
    differences = [person.difference for person in persons]
    content = {
        "picture": options.out.name,
        "plain": rows[0],
        "distilled": rows[1],
        "seeds": seeds,
        "least_labelled": options.least_labelled,
        "persons": len(persons),
        "mean_difference": round(float(np.mean(differences)), 6),
        "raised": sum(difference > 0 for difference in differences),
        "lowered": sum(difference < 0 for difference in differences),
        "gained": [person.to_json(*rows) for person in gained],
        "lost": [person.to_json(*rows) for person in lost],
    }
    _write(options.out, picture, content)
    return content


def _write(path: Path, picture: NDArray[np.uint8], content: Mapping[str, Any]) -> None:
    encoded = cv2.imencode(path.suffix, np.ascontiguousarray(picture[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 82])[
        1
    ]
    write_atomically(path, lambda file: file.write(encoded.tobytes()))
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(path.with_suffix(".json"), lambda file: file.write(text.encode()))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="the study's folder")
    parser.add_argument("--out", type=Path, required=True, help="the picture, .jpg or .png")
    parser.add_argument("--plain", default="plain", help="the row that is compared with")
    parser.add_argument("--distilled", default="odkd", help="the row that is compared")
    parser.add_argument("--count", type=int, default=4, help="how many persons each way")
    parser.add_argument("--least-labelled", type=int, default=8, help="labelled keypoints of a person")
    parser.add_argument(
        "--annotations", type=Path, help="the study's validation annotations, if it is no benchmark"
    )
    parser.add_argument("--images", type=Path, help="the folder of their pictures")
    options = parser.parse_args(arguments)
    if options.out.suffix not in (".jpg", ".png"):
        parser.error(f"--out is a .jpg or a .png, found {options.out}")
    if options.count < 1:
        parser.error(f"--count is 1 or more, found {options.count}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    try:
        content = make(options)
    except KdkitError as error:
        sys.exit(f"{error}")
    for kind in ("gained", "lost"):
        for one in content[kind]:
            print(f"{kind}: annotation {one['id']}, OKS {one['oks']}, seed {one['seed']} is drawn")
    print(options.out)


if __name__ == "__main__":
    main()
