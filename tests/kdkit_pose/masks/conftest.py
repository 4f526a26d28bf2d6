"""A tiny mask predictor, trained for a few seconds on synthetic people."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from kdkit_pose import CocoKeypoints, SyntheticPeople, masks
from kdkit_pose.fit import FitSettings

SIZE = (128, 96)
TRAIN = SyntheticPeople(10, seed=3, size=SIZE)
HELD_OUT = SyntheticPeople(4, seed=4, size=SIZE)
SETTINGS = FitSettings(
    batch_size=8, learning_rate=3e-3, schedule="cosine", evaluate_every=20, progress=False, cpu=True
)


def make_predictor(seed: int = 0, architecture: str = "fpn", **options: Any) -> masks.MaskPredictor:
    torch.manual_seed(seed)
    return masks.MaskPredictor(architecture, "mobilenetv3_small_050", **{"input_size": (64, 64), **options})


def make_data(people: SyntheticPeople, **options: Any) -> CocoKeypoints:
    codec = make_predictor().codec
    return CocoKeypoints(people.annotations(), people.picture, codec=codec, **{"cache_images": True, **options})


@dataclass(frozen=True)
class Trained:
    run: Path
    scores: masks.MaskScores
    loaded: masks.LoadedPredictor

    @property
    def file(self) -> Path:
        return self.run / "student.safetensors"


@pytest.fixture
def new_predictor() -> Callable[..., masks.MaskPredictor]:
    return make_predictor


@pytest.fixture
def people() -> Callable[..., CocoKeypoints]:
    """Makes the data of the ``TRAIN`` or ``HELD_OUT`` people."""
    return make_data


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A predictor that has seen the training people a few times, and is measured on them."""
    run = tmp_path_factory.mktemp("masks") / "run"
    data = make_data(TRAIN)
    scores = masks.fit_masks(make_predictor(), data, data, run, SETTINGS, epochs=20)
    return Trained(run, scores, masks.load(run / "student.safetensors"))


@pytest.fixture
def unmasked() -> dict[str, Any]:
    """The held-out people without their masks."""
    content = HELD_OUT.annotations()
    annotations = [
        {key: value for key, value in annotation.items() if key != "segmentation"}
        for annotation in content["annotations"]
    ]
    return {**content, "annotations": annotations}
