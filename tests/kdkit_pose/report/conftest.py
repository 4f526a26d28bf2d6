from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kdkit_pose.codecs import DARK
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.report import ReportedRun
from kdkit_pose.synthetic import SyntheticPeople

MakeRun = Callable[..., ReportedRun]


@pytest.fixture(scope="session")
def dataset() -> CocoKeypoints:
    people = SyntheticPeople(4, seed=1)
    return CocoKeypoints(people.annotations(), people.picture, codec=DARK(input_size=(96, 128)))


@pytest.fixture(scope="session")
def truths(dataset: CocoKeypoints) -> dict[int, NDArray[np.float64]]:
    """The true keypoints [K, 3], with a score of 1, by annotation id."""
    found = {}
    for annotation in dataset.coco_dict()["annotations"]:
        keypoints = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        keypoints[:, 2] = 1.0
        found[annotation["id"]] = keypoints
    return found


@pytest.fixture
def make_run() -> MakeRun:
    """Makes a run with two lines a stage, and any metrics."""

    def make(name: str, ap: float | None = 0.5, stages: Sequence[str] = ("supervised",), **metrics: Any) -> Any:
        figures: Any = {"AP": ap, "AP50": 0.9, "APM": None, "boxes": "ground truth", **metrics}
        names = [stage for stage in stages for _ in range(2)]
        lines = [
            {"step": 7 * i, "epoch": i, "stage": stage, "loss/total": 0.1 / i, "val/AP": 0.1 * i, "seconds": i}
            for i, stage in enumerate(names, start=1)
        ]
        return ReportedRun(name, "hrnet_w8_small", 1_234_567, figures, lines, 75.2)

    return make
