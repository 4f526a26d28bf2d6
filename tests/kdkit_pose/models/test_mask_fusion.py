from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kdkit.errors import BatchError
from kdkit_pose import models
from kdkit_pose.models.identify import identify

FUSIONS = ["concat", "multiply", "add"]


@pytest.fixture
def rgb_file(trained: nn.Module, tmp_path: Path) -> Path:
    torch.save(trained.state_dict(), tmp_path / "rgb.pth")
    return tmp_path / "rgb.pth"


@pytest.mark.parametrize("fusion", FUSIONS)
def test_starts_equal_to_the_rgb_network(
    fusion: str, rgb_file: Path, trained: nn.Module, image: Tensor, mask: Tensor
) -> None:
    model = models.create("hrnet_w8_small", checkpoint=rgb_file, mask_fusion=fusion).eval()
    neutral = torch.ones_like(mask) if fusion == "multiply" else mask
    torch.testing.assert_close(model(image, neutral), trained(image))


@pytest.mark.parametrize("fusion", ["concat", "add"])
def test_loading_rgb_weights_forgets_a_trained_fusion(
    fusion: str, rgb_file: Path, trained: nn.Module, image: Tensor, mask: Tensor
) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    models.load_checkpoint(model, rgb_file)
    torch.testing.assert_close(model(image, mask), trained(image))


@pytest.mark.parametrize("fusion", ["concat", "add"])
def test_the_mask_kernel_can_leave_zero(fusion: str, image: Tensor, mask: Tensor) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion)
    model(image, mask).square().sum().backward()
    kernel = {
        "concat": lambda: (model.conv1.weight, model.conv1.weight.grad[:, 3:]),
        "add": lambda: (model.mask_fusion.stem.weight, model.mask_fusion.stem.weight.grad),
    }
    assert kernel[fusion]()[1].count_nonzero() == kernel[fusion]()[1].numel()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_mask_is_read(fusion: str, image: Tensor, mask: Tensor) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    assert not torch.allclose(model(image, mask), model(image, 1 - mask))


def test_multiply_hides_what_lies_outside_the_mask(image: Tensor) -> None:
    model = models.create("hrnet_w8_small", mask_fusion="multiply").eval()
    mask = torch.zeros(2, 1, 64, 32)
    mask[:, :, :32] = 1
    changed = image.clone()
    changed[:, :, 32:] += 5
    assert torch.equal(model(image, mask), model(changed, mask))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_mask_of_booleans_is_one_of_zeros_and_ones(fusion: str, image: Tensor, mask: Tensor) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion).eval()
    assert torch.equal(model(image, mask > 0.5), model(image, (mask > 0.5).float()))


@pytest.mark.parametrize("fusion", ["none", *FUSIONS])
def test_inputs_say_what_forward_takes(fusion: str, image: Tensor, mask: Tensor) -> None:
    model = models.create("hrnet_w8_small", mask_fusion=fusion)
    assert model.inputs == (("image",) if fusion == "none" else ("image", "mask"))
    wrong = (image, mask) if fusion == "none" else (image,)
    with pytest.raises(BatchError, match="mask"):
        model(*wrong)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("shape", [(2, 3, 64, 32), (1, 1, 64, 32), (2, 1, 16, 8), (2, 64, 32)])
def test_a_mask_of_another_shape_is_refused(fusion: str, shape: tuple[int, ...], image: Tensor) -> None:
    with pytest.raises(BatchError, match=r"\[2, 1, 64, 32\]"):
        models.create("hrnet_w8_small", mask_fusion=fusion)(image, torch.ones(shape))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_official_names_are_kept(fusion: str) -> None:
    with torch.device("meta"):
        official = models.create("hrnet_w32").state_dict()
        fused = models.create("hrnet_w32", mask_fusion=fusion).state_dict()
    added = {"mask_fusion.stem.weight"} if fusion == "add" else set()
    assert fused.keys() - official.keys() == added
    assert official.keys() <= fused.keys()
    identity = identify(fused)
    assert identity is not None
    assert identity.mask_fusion == ("none" if fusion == "multiply" else fusion)
