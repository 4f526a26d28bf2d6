"""Networks whose heatmaps are probabilities."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kdkit import fast_teacher
from kdkit.errors import CheckpointError, ConfigurationError
from kdkit_pose import MaskAwareTeacher, models, pose_student

SMALL = "hrnet_w8_small"
FAMILIES = (SMALL, "simplebaseline_resnet18", "lpn_50", "litehrnet_18", "hourglass4_128")


def twins(name: str = SMALL) -> tuple[models.PoseNetwork, models.PoseNetwork]:
    """A network without a sigmoid and one with it, otherwise of the same weights."""
    made = []
    for activation in ("none", "sigmoid"):
        torch.manual_seed(0)
        made.append(models.create(name, activation=activation).eval())
    return made[0], made[1]


def picture(size: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_heatmap_begins_low_and_the_rest_of_the_network_as_without(name: str) -> None:
    plain, network = twins(name)
    outputs = pose_student(network).eval()({"image": picture()})
    assert set(outputs) == set(network.heatmap_outputs)
    for heatmap in outputs.values():
        torch.testing.assert_close(heatmap, torch.full_like(heatmap, 0.01), rtol=0.5, atol=0)
    different = {
        key for key, value in network.state_dict().items() if not torch.equal(value, plain.state_dict()[key])
    }
    assert {key.rpartition(".")[2] for key in different} == {"bias"}
    assert len(different) == len(network.heatmap_outputs)


def test_a_heatmap_is_the_sigmoid_of_what_it_was() -> None:
    plain, network = twins()
    torch.nn.init.normal_(plain.final_layer.weight)
    network.load_state_dict(plain.state_dict())
    torch.testing.assert_close(network(picture()), plain(picture()).sigmoid(), rtol=0, atol=0)


def test_probabilities_stay_exact_under_autocast_and_are_half_in_a_half_network() -> None:
    network = twins()[1]
    network.final_layer.bias.data.fill_(9.0)  # 0.9999, which bfloat16 has not
    with torch.autocast("cpu", torch.bfloat16):
        heatmap = network(picture())
    assert heatmap.dtype == torch.float32
    assert 0.999 < heatmap.max() < 1
    assert network.bfloat16()(picture().bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", [SMALL, "hourglass4_128"])
def test_its_file_says_it(name: str, tmp_path: Path) -> None:
    network = twins(name)[1]
    path = tmp_path / "student.safetensors"
    models.save(network, path)
    assert models.describe(network)["activation"] == models.read_metadata(path)["activation"] == "sigmoid"
    assert "activation 'sigmoid'" in str(models.recognise(path))
    for twin in (models.load(path), copy.deepcopy(network)):
        assert models.describe(twin) == models.describe(network)
        assert torch.equal(twin.eval()(picture()), network(picture()))


def test_without_one_nothing_is_said() -> None:
    assert "activation" not in models.describe(models.create(SMALL))
    assert "activation" not in repr(models.create(SMALL))
    assert "activation=sigmoid" in repr(twins()[1])


def test_a_file_fits_a_network_of_the_same_activation(tmp_path: Path) -> None:
    plain, network = twins()
    models.save(plain, tmp_path / "plain.safetensors")
    models.save(network, tmp_path / "sigmoid.safetensors")
    with pytest.raises(CheckpointError, match=r"activation 'sigmoid'.* has 'none'.*activation='sigmoid'"):
        models.load_checkpoint(plain, tmp_path / "sigmoid.safetensors")
    with pytest.raises(CheckpointError, match=r"activation 'none'.* has 'sigmoid'.*trunk_only=True"):
        models.load_checkpoint(network, tmp_path / "plain.safetensors")
    bias = network.final_layer.bias.clone()
    models.load_checkpoint(network, tmp_path / "plain.safetensors", trunk_only=True)
    assert torch.equal(network.final_layer.bias, bias)
    # Of a bare state dict nobody knows.
    save_file(plain.state_dict(), tmp_path / "bare.safetensors")
    models.load_checkpoint(network, tmp_path / "bare.safetensors")
    assert network.activation == "sigmoid"
    assert models.load(tmp_path / "bare.safetensors").activation == "none"


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    network = models.create(SMALL)
    with pytest.raises(ConfigurationError, match="no activation is called 'relu'; choose one of none, sigmoid"):
        models.create(SMALL, activation="relu")
    with pytest.raises(ConfigurationError, match="activation='sigmoid'"):
        models.save(network, tmp_path / "student.safetensors", activation="sigmoid")
    network.final_layer = torch.nn.Conv2d(8, 17, 1)
    with pytest.raises(ConfigurationError, match="no HeatmapLayer"):
        network.activate("sigmoid")
    save_file(
        network.state_dict(), tmp_path / "odd.safetensors", models.describe(network) | {"activation": "relu"}
    )
    with pytest.raises(CheckpointError, match="cannot be built: no activation is called 'relu'"):
        models.load(tmp_path / "odd.safetensors")


def test_a_folded_teacher_keeps_it() -> None:
    batch = {"image": picture()}
    network = twins()[1]
    teacher = MaskAwareTeacher("teacher", network)
    expected = teacher.targets(batch)["heatmap"]
    found = fast_teacher(teacher, batch, compile=False).targets(batch)["heatmap"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
