"""Rows that begin from given weights."""

import json

import pytest
import torch

from kdkit import CheckpointError, ConfigurationError, RunFolderError
from kdkit_pose import models
from kdkit_pose.ablation import PoseStudy
from kdkit_pose.data import loader
from kdkit_pose.fit import FitSettings
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton

NAMES = ("plain", "plain_twice")


@pytest.fixture
def weights(small_network, tmp_path):
    """A file of the student's weights."""
    models.save(small_network(seed=5), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


@pytest.fixture
def study(tiny_people, tiny_evaluator):
    def make(initial, student="hrnet_w8_small"):
        return PoseStudy(
            student=student,
            train=lambda seed: tiny_people(seed=seed),
            evaluator=tiny_evaluator,
            teachers={},
            epochs=1,
            settings=FitSettings(batch_size=2, evaluate_every=1, cpu=True, progress=False),
            describe={},
            initial=initial,
        )

    return make


def test_all_rows_and_seeds_begin_there_and_a_seed_is_another_order(study, weights, monkeypatch, tmp_path):
    begun = {}

    def look(network, curriculum, data, folder, settings, **options):
        order = loader(data, 2, seed=settings.seed, shuffle=True)
        begun[folder.parts[-3], settings.seed] = network.state_dict(), next(iter(order))["image"]
        raise KeyboardInterrupt

    monkeypatch.setattr("kdkit_pose.ablation.study.fit", look)
    ablation = study(weights).ablation(NAMES, (0, 1), tmp_path / "study")
    for variant in ablation.variants:
        for seed in ablation.seeds:
            with pytest.raises(KeyboardInterrupt):
                variant.train(seed, ablation.trial_path(variant.name, seed).parent / "run")
    file = models.load(weights).state_dict()
    for state, _ in begun.values():
        assert all(torch.equal(state[name], value) for name, value in file.items())
    assert torch.equal(begun["plain", 0][1], begun["plain_twice", 0][1])
    assert not torch.equal(begun["plain", 0][1], begun["plain", 1][1])


def test_a_study_is_only_gone_on_with_from_the_same_weights(study, weights, small_network, tmp_path):
    out = tmp_path / "study"
    results = study(weights).ablation(NAMES, (0,), out).run()
    assert results.trials["plain"][0].steps > 0
    assert len(json.loads((out / "study.json").read_text())["initial"]) == 64
    again = []
    copied = weights.with_name("copy.safetensors")
    copied.write_bytes(weights.read_bytes())
    study(copied).ablation(NAMES, (0,), out).run(again.append)
    assert again == ["plain, seed 0: is there", "plain_twice, seed 0: is there"]
    models.save(small_network(seed=6), weights)
    for initial in (weights, None):
        with pytest.raises(RunFolderError, match="initial: there"):
            study(initial).ablation(NAMES, (0,), out).run()


def test_rows_behind_a_sigmoid_are_refused(study, weights, tmp_path):
    told = r"binary_mse_sigmoid, binary_bce learn probabilities .*leave these rows out, or the initial weights"
    with pytest.raises(ConfigurationError, match=told):
        study(weights).ablation(("plain", "binary_mse_sigmoid", "binary_bce"), (0,), tmp_path)


def test_a_student_that_cannot_be_built_is_refused(study, tmp_path):
    with pytest.raises(ConfigurationError, match="hrnet_w99"):
        study(None, "hrnet_w99").ablation(NAMES, (0,), tmp_path)


def test_other_weights_are_refused_before_anything_is_trained(study, weights, small_network, tmp_path):
    with pytest.raises(
        CheckpointError, match="this file is a small HRNet-W8, the network built is small HRNet-W16"
    ):
        study(weights, "hrnet_w16_small").ablation(NAMES, (0,), tmp_path / "study")
    models.save(small_network(num_keypoints=14), weights, **CROWDPOSE.to_metadata())
    with pytest.raises(CheckpointError, match="predicts 14 keypoints, the network built 17"):
        study(weights).ablation(NAMES, (0,), tmp_path / "study")
    other = Skeleton.from_category({"name": "dog", "keypoints": ["snout", *COCO.keypoints[1:]]}, "coco-like")
    models.save(small_network(), weights, **other.to_metadata())
    with pytest.raises(ConfigurationError, match="number 1 is 'snout' there and 'nose' here"):
        study(weights).ablation(NAMES, (0,), tmp_path / "study")
    assert not (tmp_path / "study").exists()
