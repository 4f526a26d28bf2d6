"""OCHuman's and CrowdPose's samples from end to end."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from kdkit_pose import models
from kdkit_pose.codecs import DARK
from kdkit_pose.data import CocoKeypoints, loader, read_skeleton
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.skeleton import COCO, CROWDPOSE

REAL = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")
OCHUMAN = REAL / "ochuman-mini" / "test_ochuman.json"
CROWD = REAL / "crowdpose-mini" / "test_crowdpose.json"
CODEC = DARK(input_size=(96, 128))


class Oracle(nn.Module):
    """Answers with the ground truth's heatmaps."""

    inputs = ("heatmap",)

    def forward(self, heatmap: torch.Tensor) -> torch.Tensor:
        return heatmap


@pytest.mark.parametrize("file", [OCHUMAN, CROWD], ids=["OCHuman", "CrowdPose"])
def test_an_oracle_scores_one(file):
    skeleton = read_skeleton(file)
    assert skeleton == (COCO if file == OCHUMAN else CROWDPOSE)
    data = CocoKeypoints(file, file.parent, codec=CODEC, skeleton=skeleton)
    metrics = Evaluator(loader(data, 4), file, CODEC, skeleton=skeleton, flip=False).metrics(Oracle())
    assert metrics["AP"] == metrics["AR"] == pytest.approx(1)
    if file == OCHUMAN:
        assert metrics["APL"] == pytest.approx(1)
        assert "AP_hard" not in metrics
    else:
        # Both pictures are of the middle level, and nobody's area is known.
        assert metrics["AP_medium"] == metrics["AP"]
        assert metrics["AP_easy"] is metrics["AP_hard"] is metrics["APL"] is None


@pytest.mark.parametrize("file", [OCHUMAN, CROWD], ids=["OCHuman", "CrowdPose"])
def test_the_score_is_by_the_data_sets_own_constants(file):
    class Shifted(Oracle):
        def forward(self, heatmap: torch.Tensor) -> torch.Tensor:
            return heatmap.roll(2, dims=-1)

    own = read_skeleton(file)
    found = []
    for skeleton in (own, replace(own, sigmas=tuple(sigma * 2 for sigma in own.sigmas))):
        data = CocoKeypoints(file, file.parent, codec=CODEC, skeleton=skeleton)
        metrics = Evaluator(loader(data, 4), file, CODEC, skeleton=skeleton, flip=False).metrics(Shifted())
        found.append(metrics["AP"])
    assert found[0] < found[1]


@pytest.mark.parametrize(
    ("file", "boxes", "persons"),
    [(OCHUMAN, None, 5), (CROWD, None, 4), (CROWD, CROWD.with_name("test_crowdpose_det_AP_40.json"), 6)],
    ids=["OCHuman", "CrowdPose", "CrowdPose, detector"],
)
def test_a_network_is_evaluated_with_flip_test_and_both_kinds_of_boxes(file, boxes, persons):
    skeleton = read_skeleton(file)
    data = CocoKeypoints(file, file.parent, codec=CODEC, skeleton=skeleton, boxes=boxes)
    assert len(data) == persons
    torch.manual_seed(0)
    network = models.create("hrnet_w8_small", num_keypoints=skeleton.num_keypoints)
    evaluator = Evaluator(
        loader(data, 4), file, CODEC, skeleton=skeleton, boxes="detector" if boxes else "ground truth"
    )
    results = evaluator.results(network)
    assert {len(result["keypoints"]) for result in results} == {3 * skeleton.num_keypoints}
    metrics = evaluator.score(results)
    assert metrics["boxes"] == ("detector" if boxes else "ground truth")
    assert 0 <= metrics["AP"] < 0.3
    assert json.loads(json.dumps(metrics)) == metrics
