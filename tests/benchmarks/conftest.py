"""What tests of several scripts need."""

import json
from dataclasses import replace

import pytest
import torch

from kdkit_pose import models
from kdkit_pose.ablation import SMALL, SyntheticBenchmark
from kdkit_pose.synthetic import write_coco

NET = "hrnet_w8_small"
TOY = replace(SMALL, train_pictures=2, val_pictures=4, input_size=(64, 64), teacher=NET, student=NET)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Make the folder of a study whose students have learned nothing."""
    folder = tmp_path_factory.mktemp("benchmark")
    benchmark = SyntheticBenchmark(folder, TOY, cpu=True)
    with pytest.MonkeyPatch.context() as patch:  # processes that draw take longer to start
        in_this_process = lambda *arguments, workers, **options: write_coco(*arguments, **options)  # noqa: E731
        patch.setattr("kdkit_pose.ablation.drawn_people.write_coco", in_this_process)
        benchmark.validation()
    study = folder / "exact-net"
    for place, row in enumerate(("plain", "odkd", "fpd")):
        for seed in (0, 1) if row != "fpd" else ():
            torch.manual_seed(10 * place + seed)
            run = study / row / f"seed-{seed}" / "run"
            models.save(models.create(NET), run / "student.safetensors", **benchmark.codec.to_metadata())
            (run.parent / "trial.json").write_text("{}")
    config = {"benchmark": benchmark.describe(), "validation": benchmark.evaluator().fingerprint()}
    (study / "study.json").write_text(json.dumps(config))
    return study
