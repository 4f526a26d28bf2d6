"""Judges the trained students of a study by each decoder of their codec, without training anything anew.

    python benchmarks/ablation_decoders.py --study runs/benchmark/coco-hrnet_w12_small \
        --rows plain,odkd,odkd_both --json benchmarks/results/ablation/decoders/small-coco.json

A study decodes each row by what its recipe's targets ask for; this asks what the choice is worth. `make results`
puts a file that is named like the study's in benchmarks/results/ablation/ on the page. Studies of persons of one's
own need --annotations and --images.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from rich.progress import track

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.ablation.students import persons_of, students  # noqa: E402
from kdkit import ConfigurationError, KdkitError  # noqa: E402
from kdkit.files import write_atomically  # noqa: E402
from kdkit.provenance import provenance  # noqa: E402
from kdkit_pose import models  # noqa: E402
from kdkit_pose.codecs import Decoder  # noqa: E402
from kdkit_pose.data import loader  # noqa: E402
from kdkit_pose.evaluation import Evaluator  # noqa: E402

BATCH = 64
DECODERS: tuple[Decoder, ...] = get_args(Decoder)


def judge(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every finished student of the rows is worth by each decoder, and with what it was seen.

    Raises:
        ConfigurationError: a row has no finished student, or the persons are not given or others now.
    """
    study: Path = options.study
    found = {row: students(study, row) for row in options.rows.split(",")}
    if missing := [row for row, files in found.items() if not files]:
        raise ConfigurationError(f"'{study}' has no finished student of {', '.join(missing)}")
    first = next(iter(next(iter(found.values())).values()))
    data = persons_of(study, options.annotations, options.images, first)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    evaluator = Evaluator(loader(data, BATCH), data.coco_dict(), replace(data.codec, decoder="peak"))
    precisions: dict[str, dict[str, dict[str, float]]] = {}
    files = [(row, seed, file) for row, by_seed in found.items() for seed, file in by_seed.items()]
    for row, seed, file in track(files, "students"):
        network = models.load(file).to(device)
        by_decoder = {one: evaluator.decoded_by(one)(network)["val/AP"] for one in DECODERS}
        precisions.setdefault(row, {})[str(seed)] = by_decoder
    own = {row: _decoder_of(next(iter(by_seed.values()))) for row, by_seed in found.items()}
    return {"metric": "val/AP", "own": own, "AP": precisions, **provenance()}


def _decoder_of(student: Path) -> str:
    codec = models.load(student).codec
    if codec is None:
        raise ConfigurationError(f"'{student}' does not say which codec it was trained with")
    return codec.decoder


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="the study's folder")
    parser.add_argument("--rows", required=True, help="rows of it, joined by commas")
    parser.add_argument("--json", type=Path, required=True, help="the file to write")
    parser.add_argument(
        "--annotations", type=Path, help="the study's validation annotations, if it is no benchmark"
    )
    parser.add_argument("--images", type=Path, help="the folder of their pictures")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    try:
        content = judge(options)
    except KdkitError as error:
        sys.exit(f"{error}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(options.json, lambda file: file.write(text.encode()))
    for row, by_seed in content["AP"].items():
        for seed, found in by_seed.items():
            told = ", ".join(f"{decoder} {value:.4f}" for decoder, value in found.items())
            print(f"{row}, seed {seed}: AP by {told}")
    print(options.json)


if __name__ == "__main__":
    main()
