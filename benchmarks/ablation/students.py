"""The trained students in a study's folder, and the persons that they were judged on."""

import json
import re
from pathlib import Path

from kdkit import ConfigurationError
from kdkit_pose import models
from kdkit_pose.ablation import BenchmarkSize, SyntheticBenchmark
from kdkit_pose.data import CocoKeypoints


def students(study: Path, row: str) -> dict[int, Path]:
    """Return the files of a row's finished students by seed."""
    found = {}
    for path in sorted((study / row).glob("seed-*/trial.json")):
        seed = re.fullmatch(r"seed-(\d+)", path.parent.name)
        student = path.parent / "run" / "student.safetensors"
        if seed and student.exists():
            found[int(seed[1])] = student
    return dict(sorted(found.items()))


def persons_of(study: Path, annotations: Path | None, images: Path | None, student: Path) -> CocoKeypoints:
    """Return the persons that a study was judged on.

    Raises:
        ConfigurationError: it is of persons that are not given, or there are others now.
    """
    config = json.loads((study / "study.json").read_text(encoding="utf-8"))
    if annotations is not None and images is not None:
        codec = models.load(student).codec
        if codec is None:
            raise ConfigurationError(f"'{student}' does not say which codec it was trained with")
        return CocoKeypoints(annotations, images, codec=codec)
    if "benchmark" not in config:
        raise ConfigurationError(f"'{study}' is of persons of its own: give --annotations and --images")
    size = {name: tuple(v) if isinstance(v, list) else v for name, v in config["benchmark"]["size"].items()}
    benchmark = SyntheticBenchmark(study.parent, BenchmarkSize(**size), config["benchmark"]["labels"])
    if benchmark.evaluator().fingerprint() != config["validation"]:
        raise ConfigurationError(f"the people beside '{study}' are others than those that it was judged on")
    return benchmark.validation()
