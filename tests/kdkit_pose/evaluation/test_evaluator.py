"""From a network to its AP; the network here is an oracle that answers with the true heatmaps."""

import numpy as np
import pytest
import torch
from torch import nn

from kdkit.errors import BatchError, ConfigurationError, DataError
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data import loader
from kdkit_pose.evaluation import Evaluator, coco_metrics, evaluating, predict, write_results
from kdkit_pose.geometry import apply_affine, box_to_center_scale
from kdkit_pose.skeleton import COCO

CODEC = DARK(input_size=(96, 128))


class Oracle(nn.Module):
    """Its image is the heatmaps themselves, each cell blown up to 4 x 4 pixels, one channel a keypoint."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        return image[..., ::4, ::4]


def batches(truth, codec: Codec = CODEC, size: int = 4):
    """What kdkit_pose.data gives, for the persons with a labelled keypoint."""
    samples = []
    for annotation in truth["annotations"]:
        if not annotation["num_keypoints"]:
            continue
        center, scale = box_to_center_scale(annotation["bbox"], 0.75)
        keypoints = np.array(annotation["keypoints"]).reshape(17, 3)
        points = apply_affine(codec.affine(center, scale), keypoints[:, :2])
        heatmap = torch.from_numpy(codec.encode(points, np.ones(17))[0])
        samples.append(
            {
                "image": heatmap.repeat_interleave(4, -1).repeat_interleave(4, -2),
                "mask": torch.ones(1, 128, 96),
                "id": torch.tensor(annotation["id"]),
                "image_id": torch.tensor(annotation["image_id"]),
                "center": torch.from_numpy(center),
                "scale": torch.from_numpy(scale),
                "box_score": torch.tensor(0.5),
            }
        )
    chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
    return [{name: torch.stack([sample[name] for sample in chunk]) for name in chunk[0]} for chunk in chunks]


def test_an_oracle_scores_one(truth):
    metrics = Evaluator(batches(truth), truth, CODEC, flip=False)(Oracle())
    assert metrics["val/AP"] > 0.99
    assert all(type(value) is float and name.startswith("val/") for name, value in metrics.items())
    assert "val/boxes" not in metrics


def test_undefined_figures_are_left_out_and_prefixes_kept(truth):
    for annotation in truth["annotations"]:
        annotation["area"] = 12000.0
    metrics = Evaluator(batches(truth), truth, CODEC, flip=False, prefix="")(Oracle())
    assert set(metrics) == {"AP", "AP50", "AP75", "APL", "AR", "AR50", "AR75", "ARL"}


def test_predictions_lie_in_the_picture_in_the_loaders_order(truth):
    results = predict(Oracle(), batches(truth, size=2), CODEC, flip=False)
    labelled = [annotation for annotation in truth["annotations"] if annotation["num_keypoints"]]
    assert [result["id"] for result in results] == [annotation["id"] for annotation in labelled]
    for result, annotation in zip(results, labelled, strict=True):
        found = np.array(result["keypoints"]).reshape(17, 3)
        true = np.array(annotation["keypoints"]).reshape(17, 3)
        assert np.abs(found[:, :2] - true[:, :2]).max() < 3.0
        assert result["image_id"] == annotation["image_id"]
        assert result["category_id"] == 1
        assert result["score"] == pytest.approx(0.5 * found[:, 2].mean())
        assert len(result["center"]) == len(result["scale"]) == 2


def test_flip_test_averages_with_the_mirror_brought_back(truth):
    (batch,) = batches(truth, size=9)

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen: list[torch.Tensor] = []

        def forward(self, image):
            self.seen.append(image)
            return image[..., ::4, ::4] * len(self.seen)

    network = Recorder()
    found = predict(network, [batch], CODEC, flip=True)
    plain, mirrored = network.seen
    assert torch.equal(mirrored, plain.flip(-1))
    average = (plain[..., ::4, ::4] + 2 * CODEC.unflip(mirrored[..., ::4, ::4], COCO)) / 2
    scores = CODEC.decode(average)[1]
    assert torch.equal(torch.tensor([result["keypoints"][2::3] for result in found]), scores)


def test_all_inputs_are_passed_in_order_and_mirrored(truth):
    class TwoInputs(nn.Module):
        inputs = ("mask", "image")

        def forward(self, mask, image):
            assert mask.shape[1] == 1
            assert image.shape[1] == 17
            edges.append(mask[0, 0, 0, [0, -1]].tolist())
            return image[..., ::4, ::4]

    edges: list[list[float]] = []
    (batch,) = batches(truth, size=9)
    batch["mask"][..., 0] = 0
    predict(TwoInputs(), [batch], CODEC)
    assert edges == [[0, 1], [1, 0]]


def test_duplicates_are_dropped_before_scoring(truth):
    loader = batches(truth, size=2)
    twice = Evaluator([*loader, *loader], truth, CODEC, flip=False)
    once = Evaluator(loader, truth, CODEC, flip=False)
    assert len(predict(Oracle(), [*loader, *loader], CODEC, flip=False)) == 10
    assert twice.results(Oracle()) == once.results(Oracle())
    assert len(once.results(Oracle())) == 5


def test_a_written_file_scores_exactly_the_same(truth, tmp_path):
    evaluator = Evaluator(batches(truth), truth, CODEC, boxes="detector")
    noisy = nn.Sequential(Oracle(), nn.AvgPool2d(5, stride=1, padding=2))
    results = evaluator.results(noisy)
    write_results(results, tmp_path / "results.json")
    metrics = evaluator.metrics(noisy)
    assert coco_metrics(truth, tmp_path / "results.json", boxes="detector") == metrics
    assert metrics["boxes"] == "detector"


def test_every_parts_mode_is_as_before_even_after_a_failure(truth):
    class Fails(nn.Sequential):
        def forward(self, image):
            assert not any(part.training for part in self.modules())
            raise RuntimeError("out of memory")

    network = Fails(nn.BatchNorm2d(3), nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3)))
    network.train()
    network[1][1].eval()
    modes = [part.training for part in network.modules()]
    with pytest.raises(RuntimeError, match="out of memory"):
        predict(network, batches(truth), CODEC)
    assert [part.training for part in network.modules()] == modes
    network.eval()
    with evaluating(network):
        pass
    assert not any(part.training for part in network.modules())


def test_missing_fields_and_wrong_maps_are_named(truth):
    (batch,) = batches(truth, size=9)
    with pytest.raises(BatchError, match="'center'"):
        predict(Oracle(), [{name: value for name, value in batch.items() if name != "center"}], CODEC)
    with pytest.raises(ConfigurationError, match=r"Identity should give.*17, 32, 24.*found \(5, 17, 128, 96\)"):
        predict(nn.Identity(), [batch], CODEC)
    with pytest.raises(DataError, match=r"truth\.json"):
        Evaluator([batch], "truth.json", CODEC)


def test_maps_that_are_not_finite_score_nothing(truth):
    class Broken(Oracle):
        def forward(self, image):
            return super().forward(image) * float("nan")

    results = predict(Broken(), batches(truth), CODEC)
    assert all(result["score"] == 0 for result in results)
    assert np.isfinite([result["keypoints"] for result in results]).all()
    assert Evaluator(batches(truth), truth, CODEC)(Broken())["val/AP"] < 0.1


def test_a_few_persons_are_all_that_counts(tiny_people, small_network):
    data = tiny_people(drawing=2, pictures=4)
    whole = Evaluator(loader(data, 64), data.coco_dict(), data.codec, flip=False)
    few = whole.few(2)
    network = small_network().eval()
    assert {result["image_id"] for result in few.results(network)} <= set(data.people.image_ids[:2].tolist())
    # Scored are these persons alone: an answer of the truth itself finds all of them.
    truth = {one["id"]: one for one in data.coco_dict()["annotations"]}
    keys = ("image_id", "category_id", "keypoints")
    answers = [{key: truth[name][key] for key in keys} | {"score": 1.0} for name in data.annotation_ids[:2]]
    assert few.score(answers)["AR"] == 1.0
    assert whole.score(answers)["AR"] < 1.0
    # Each reads its own, whoever is asked first.
    assert len(whole.results(network)) > len(few.results(network)) == 2


def test_a_few_persons_name_what_is_undefined(tiny_people, small_network):
    data = tiny_people(drawing=2, pictures=4)
    whole = Evaluator(loader(data, 64), data.coco_dict(), data.codec, flip=False)
    found, few = whole(small_network().eval()), whole.few(1)(small_network().eval())
    assert found.keys() <= few.keys()
    assert all(np.isfinite(value) for value in found.values())
    assert any(np.isnan(value) for value in few.values())


def test_it_says_whom_its_data_left_out(tiny_people):
    data = tiny_people(drawing=2, pictures=2)
    data.skipped.left_out.add("crowd region", "annotation 7", 3)
    evaluator = Evaluator(loader(data, 8), data.coco_dict(), data.codec)
    assert evaluator.left_out["crowd region"] == 3
    assert Evaluator([], data.coco_dict(), data.codec).left_out == {}
