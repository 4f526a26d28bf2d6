import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit_pose import UDP, models


@pytest.mark.parametrize("fusion", ["none", "concat", "multiply", "add"])
def test_what_is_saved_loads_without_a_name(fusion: str, tmp_path: Path, image: Tensor, mask: Tensor) -> None:
    model = models.create("hrnet_w8_small", num_keypoints=14, mask_fusion=fusion).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    models.save(model, tmp_path / "new folder" / "model.safetensors")
    twin = models.load(tmp_path / "new folder" / "model.safetensors").eval()
    assert models.describe(twin) == models.describe(model)
    inputs = (image, mask)[: len(model.inputs)]
    assert torch.equal(twin(*inputs), model(*inputs))


def test_the_header_holds_the_description_and_more(tmp_path: Path, trained: nn.Module) -> None:
    path = tmp_path / "student.safetensors"
    codec = UDP((64, 64)).to_metadata()
    models.save(trained, path, path="runs/1", **codec)
    description = {"model": "hrnet_w8_small", "num_keypoints": "17", "mask_fusion": "none"}
    assert models.read_metadata(path) == description | codec | {"path": "runs/1"}


def test_the_file_is_the_bare_state_dict(tmp_path: Path, trained: nn.Module) -> None:
    models.save(trained, tmp_path / "student.safetensors")
    state = load_file(tmp_path / "student.safetensors")
    assert state.keys() == trained.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in trained.state_dict().items())


def test_saving_replaces_and_leaves_nothing_else(tmp_path: Path, trained: nn.Module) -> None:
    path = tmp_path / "student.safetensors"
    models.save(models.create("hrnet_w8_small"), path)
    models.save(trained, path)
    assert list(tmp_path.iterdir()) == [path]
    assert torch.equal(load_file(path)["conv1.weight"], trained.conv1.weight)


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path, trained: nn.Module) -> None:
    (tmp_path / "plain").touch()
    models.save(trained, tmp_path / "student.safetensors")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "student.safetensors")]
    assert modes[0] == modes[1]


def test_a_failure_keeps_the_older_file(
    tmp_path: Path, trained: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "student.safetensors"
    models.save(trained, path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CheckpointError, match=r"student.safetensors cannot be written: No space left"):
        models.save(models.create("hrnet_w8_small"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_not_overwritten(tmp_path: Path, trained: nn.Module) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        models.save(trained, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("metadata", [{"model": "hrnet_w32"}, {"epoch": 3}])
def test_metadata_is_of_strings_under_free_names(
    tmp_path: Path, trained: nn.Module, metadata: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(metadata))):
        models.save(trained, tmp_path / "student.safetensors", **metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_wrapper_is_not_saved_in_the_networks_place(tmp_path: Path, trained: nn.Module) -> None:
    for wrapper in (nn.DataParallel(trained), torch.compile(trained, backend="eager")):
        with pytest.raises(ConfigurationError, match="give the network inside it"):
            models.save(wrapper, tmp_path / "student.safetensors")


def test_other_files_have_no_metadata_and_load_all_the_same(tmp_path: Path, trained: nn.Module) -> None:
    torch.save(trained.state_dict(), tmp_path / "plain.pth")
    save_file(trained.state_dict(), tmp_path / "plain.safetensors")
    for path in (tmp_path / "plain.pth", tmp_path / "plain.safetensors"):
        assert models.read_metadata(path) == {}
        network = models.load(path)
        assert models.describe(network) == models.describe(trained)
        assert torch.equal(network.conv1.weight, trained.conv1.weight)


@pytest.mark.parametrize(
    "header", [{"model": "hrnet_w99"}, {"mask_fusion": "gate"}, {"num_keypoints": "0"}, {"num_keypoints": "-1"}]
)
def test_a_header_of_no_known_network_is_refused(
    tmp_path: Path, trained: nn.Module, header: dict[str, str]
) -> None:
    path = tmp_path / "student.safetensors"
    save_file(trained.state_dict(), path, models.describe(trained) | header)
    with pytest.raises(CheckpointError, match=path.name):
        models.load(path)


def test_a_network_is_loaded_with_features(tmp_path: Path, trained: nn.Module, image: Tensor) -> None:
    models.save(trained, tmp_path / "student.safetensors")
    outputs = models.load(tmp_path / "student.safetensors", features=("stage2",)).eval()(image)
    assert list(outputs) == ["heatmap", "stage2"]
    assert torch.equal(outputs["heatmap"], trained(image))
