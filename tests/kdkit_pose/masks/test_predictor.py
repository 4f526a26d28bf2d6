from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from kdkit import BatchError, CheckpointError, ConfigurationError
from kdkit_pose import masks, models

ENCODER = "mobilenetv3_small_050"


@pytest.mark.parametrize("architecture", masks.ARCHITECTURES)
def test_every_architecture_answers_at_the_inputs_size(architecture: str) -> None:
    predictor = masks.MaskPredictor(architecture, "resnet10t", input_size=(64, 96)).eval()
    assert predictor(torch.rand(1, 3, 96, 64), torch.ones(1, 1, 96, 64)).shape == (1, 1, 96, 64)


def test_probability_knows_no_left_and_right(new_predictor: Callable) -> None:
    predictor = new_predictor().eval()
    image, box = torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    box[..., 5:40] = 1
    probability = predictor.probability(image, box)
    torch.testing.assert_close(predictor.probability(image.flip(-1), box.flip(-1)), probability.flip(-1))
    assert not torch.allclose(predictor(image, box).sigmoid(), probability)
    assert not torch.allclose(predictor.probability(image, box.flip(-1)), probability)
    assert 0 <= probability.min() < probability.max() <= 1
    assert not probability.requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "transformer"}, "choose one of fpn"),
        ({"encoder": "no_such_net"}, "no_such_net"),
        ({"encoder": "vit_tiny_patch16_224"}, "features_only"),
        ({"input_size": (48, 64)}, "multiples of 32"),
        ({"input_size": (0, 64)}, "multiples of 32"),
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": 0.0}, "threshold"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        masks.MaskPredictor(**{"encoder": ENCODER, "input_size": (64, 64), **options})


def test_crops_of_another_size_are_refused(new_predictor: Callable) -> None:
    with pytest.raises(BatchError, match="64, 64"):
        new_predictor()(torch.rand(1, 3, 64, 96), torch.ones(1, 1, 64, 96))
    with pytest.raises(BatchError, match="boxes"):
        new_predictor()(torch.rand(2, 3, 64, 64), torch.ones(1, 1, 64, 64))


SCORES = masks.MaskScores(iou=0.8125, ones=0.25, box=0.5, persons=12)


def test_a_saved_predictor_is_the_same(new_predictor: Callable, tmp_path: Path) -> None:
    predictor = new_predictor(threshold=0.4).eval()
    masks.save(predictor, tmp_path / "masks.safetensors", SCORES)
    loaded = masks.load(tmp_path / "masks.safetensors")
    image, box = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    assert torch.equal(loaded.predictor(image, box), predictor(image, box))
    assert loaded.predictor.threshold == 0.4
    assert not loaded.predictor.training
    source = loaded.source
    assert (source.file, source.network, source.iou, source.persons, source.input_size, source.threshold) == (
        *(f"{tmp_path.name}/masks.safetensors", f"fpn {ENCODER}", 0.8125, 12, (64, 64), 0.4),
    )
    other = new_predictor(seed=1)
    masks.save(other, tmp_path / "masks.safetensors", SCORES)
    assert masks.load(tmp_path / "masks.safetensors").source.sha256 != source.sha256


def test_other_files_are_no_predictors(new_predictor: Callable, tmp_path: Path) -> None:
    models.save(models.create("hrnet_w8_small"), tmp_path / "pose.safetensors")
    with pytest.raises(CheckpointError, match="no mask predictor"):
        masks.load(tmp_path / "pose.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "plain.pth")
    with pytest.raises(CheckpointError, match="no mask predictor"):
        masks.load(tmp_path / "plain.pth")
    with pytest.raises(CheckpointError, match="no file"):
        masks.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iou": None}, "not come to its end"),
        ({"encoder": "no_such_net"}, "cannot be built"),
        ({"encoder": "resnet10t"}, "cannot be built"),
        ({"input_size": "64"}, "cannot be built"),
        ({"iou_persons": None}, "cannot be built"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    new_predictor: Callable, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    from kdkit.training.export import to_safetensors
    from kdkit_pose.models import read_metadata

    path = tmp_path / "masks.safetensors"
    predictor = new_predictor()
    masks.save(predictor, path, SCORES)
    header = {key: value for key, value in {**read_metadata(path), **changes}.items() if value is not None}
    path.write_bytes(to_safetensors(predictor.state_dict(), header))
    with pytest.raises(CheckpointError, match=message):
        masks.load(path)


@pytest.mark.parametrize("encoder", [ENCODER, "resnet10t"])
def test_a_classifiers_weights_become_the_encoders(tmp_path: Path, encoder: str) -> None:
    torch.manual_seed(5)
    classifier = timm.create_model(encoder).eval()
    torch.save(classifier.state_dict(), tmp_path / "classifier.pth")
    predictor = masks.MaskPredictor("fpn", encoder, input_size=(64, 64)).eval()
    head = {key: value.clone() for key, value in predictor.state_dict().items() if "encoder" not in key}
    line = masks.load_encoder_weights(predictor, tmp_path / "classifier.pth")
    assert line.startswith(str(tmp_path / "classifier.pth"))
    image = torch.rand(1, 3, 64, 64)
    expected = classifier.forward_intermediates(image, intermediates_only=True, norm=False)[-1]
    found = predictor.network.encoder(torch.cat([image, torch.rand(1, 1, 64, 64)], dim=1))[-1]
    torch.testing.assert_close(found, expected)
    assert all(torch.equal(predictor.state_dict()[key], value) for key, value in head.items())


def test_another_classifiers_weights_are_refused_whole(new_predictor: Callable, tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "other.pth")
    predictor = new_predictor()
    before = {key: value.clone() for key, value in predictor.state_dict().items()}
    with pytest.raises(CheckpointError, match=f"no weights of timm's '{ENCODER}'"):
        masks.load_encoder_weights(predictor, tmp_path / "other.pth")
    assert all(torch.equal(before[key], value) for key, value in predictor.state_dict().items())


def test_a_classifier_named_for_another_padding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tf_mobilenetv3_small_minimal_100.pth"
    torch.save({"weight": torch.zeros(1)}, file)
    predictor = masks.MaskPredictor("fpn", "mobilenetv3_small_100", input_size=(64, 64))
    with pytest.raises(CheckpointError, match="build the mask predictor with encoder tf_mobilenetv3_small_100"):
        masks.load_encoder_weights(predictor, file)
