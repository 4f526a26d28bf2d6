from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdkit import ModuleTeacher, Resize, TransformedTeacher, fast_teacher
from kdkit.transforms import IMAGENET_MEAN, IMAGENET_STD, Standardize


def trained(network: nn.Module) -> nn.Module:
    """Give BatchNorms statistics, scales and shifts that change what goes through."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for value in module.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    for name, value in network.named_parameters():
        if name.endswith("bias"):
            value.data.copy_(torch.randn(value.shape, generator=generator))
    return network


def batch(shape: tuple[int, ...] = (4, 10, 8)) -> dict[str, Tensor]:
    return {"image": torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))}


def fold(network: nn.Module, fields: dict[str, Tensor] | None = None, **options):
    """Return how many BatchNorms were folded, after the targets were compared with the network's own."""
    torch.manual_seed(0)
    teacher = ModuleTeacher("t", trained(network), tuple(fields or ["image"]), "map", **options)
    fields = fields or batch()
    fast = fast_teacher(teacher, fields, compile=False)
    expected, found = teacher.targets(fields), fast.targets(fields)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)
    folding = fast.conversions[0].folding
    left = sum(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in fast._runs.module.modules())
    assert left == folding.batchnorms - folding.folded
    return folding.folded


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    "convolution",
    [
        partial(nn.Conv2d, 4, 6, 3, padding=1),
        partial(nn.Conv2d, 4, 6, 3, stride=2, groups=2),
        partial(nn.Conv2d, 4, 6, 3, padding=2, padding_mode="reflect", dilation=2),
        partial(nn.ConvTranspose2d, 4, 6, 4, stride=2, padding=1),
        partial(nn.ConvTranspose2d, 4, 6, 3, groups=2, output_padding=1, stride=2),
    ],
    ids=["plain", "groups", "reflect", "transposed", "transposed groups"],
)
def test_a_batchnorm_behind_a_convolution_is_folded(convolution, bias, affine):
    assert fold(nn.Sequential(convolution(bias=bias), nn.BatchNorm2d(6, affine=affine), nn.ReLU())) == 1


def test_lines_and_volumes_too():
    assert fold(nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), batch((4, 10))) == 1
    assert fold(nn.Sequential(nn.Conv3d(4, 6, 3), nn.BatchNorm3d(6)), batch((4, 5, 6, 7))) == 1


class Parts(nn.Module):
    """Two convolutions and BatchNorms, to be put together in many ways."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.path = forward

    def forward(self, image):
        return self.path(self, image)


def shortcut(self, image):
    first = self.conv(image)
    return self.norm(first) + self.norm2(self.conv2(image)) + first


def inplace(self, image):
    first = self.conv(image)
    normalized = self.norm(first)
    return normalized + first.mul_(2) + self.norm2(self.conv2(image))


def convolution_twice(self, image):
    return self.norm(self.conv(image)) + self.conv(image.flip(-1)) + self.norm2(self.conv2(image))


def norm_twice(self, image):
    return self.norm(self.conv(image)) + self.norm(image) + self.norm2(self.conv2(image))


def weight_elsewhere(self, image):
    return self.norm(self.conv(image)) * self.conv.weight.sum() + self.norm2(self.conv2(image))


def statistics_elsewhere(self, image):
    return self.norm(self.conv(image)) * self.norm.running_var.sum() + self.norm2(self.conv2(image))


def activation_between(self, image):
    return self.norm(F.relu(self.conv(image))) + self.norm2(self.conv2(image))


def view_between(self, image):
    return self.norm(self.conv(image)[:, :, 1:])[..., 0, :] + self.norm2(self.conv2(image))[..., 0, :]


def norm_of_the_input(self, image):
    return self.norm2(self.conv2(self.norm(image))) + self.conv(image)


def functional(self, image):
    normalized = F.batch_norm(self.conv(image), self.norm.running_mean, self.norm.running_var, eps=0.1)
    return normalized + self.norm(image) + self.norm2(self.conv2(image))


def norm_by_its_parts(self, image):
    parts = self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias
    return F.batch_norm(self.conv(image), *parts, eps=0.5) + self.norm2(self.conv2(image))


def convolution_by_its_parts(self, image):
    return (
        self.norm(F.conv2d(image, self.conv.weight, self.conv.bias))
        + self.norm2(self.conv2(image))[..., 1:-1, 1:-1]
    )


@pytest.mark.parametrize(
    "forward",
    [
        norm_by_its_parts,
        convolution_by_its_parts,
        shortcut,
        inplace,
        convolution_twice,
        norm_twice,
        weight_elsewhere,
        statistics_elsewhere,
        activation_between,
        view_between,
        norm_of_the_input,
        functional,
    ],
)
def test_what_is_used_otherwise_is_left_and_the_other_is_folded(forward):
    assert fold(Parts(forward)) == 1


def test_shared_weights_are_left():
    network = Parts(lambda self, image: self.norm(self.conv(image)) + self.conv2(image))
    network.conv2.weight = network.conv.weight
    assert fold(network) == 0


def test_weights_shared_with_what_is_not_run_are_left():
    network = Parts(lambda self, image: self.norm(self.conv2(image)))
    network.conv2.weight = network.conv.weight
    network.conv2.bias = network.conv.bias
    assert fold(network) == 0


def test_statistics_of_the_batch_are_left():
    assert fold(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, track_running_stats=False))) == 0


class Doubling(nn.BatchNorm2d):
    def forward(self, image):
        return 2 * super().forward(image)


def test_a_subclass_that_may_do_more_is_left():
    assert fold(nn.Sequential(nn.Conv2d(4, 6, 3), Doubling(6))) == 0


def test_the_activation_in_timms_batchnorm_stays():
    from timm.layers import BatchNormAct2d

    network = nn.Sequential(nn.Conv2d(4, 6, 3), BatchNormAct2d(6))
    assert fold(network, features={"inside": "1.act"}) == 1


def test_a_module_at_two_places_is_replaced_at_both():
    network = Parts(lambda self, image: self.again(self.conv(image)))
    network.again = network.norm
    assert fold(network) == 1


def test_features_keep_what_they_are():
    def network() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        )

    assert fold(network(), features={"behind": "1"}) == 2
    assert fold(network(), features={"before": "0"}) == 1


def test_an_output_that_is_returned_keeps_what_it_is():
    def both(self, image):
        first = self.conv(image)
        return first, self.norm(first)

    torch.manual_seed(0)
    teacher = ModuleTeacher("t", trained(Parts(both)), "image", ("raw", "normal"))
    fast = fast_teacher(teacher, batch(), compile=False)
    torch.testing.assert_close(fast.targets(batch()), teacher.targets(batch()))
    assert fast.conversions[0].folding.folded == 0
    # Where nobody asks for it, it may become something else.
    fast = fast_teacher(teacher, batch(), compile=False, outputs="normal")
    torch.testing.assert_close(fast.targets(batch())["normal"], teacher.targets(batch())["normal"])
    assert fast.conversions[0].folding.folded == 1


def test_without_folding_every_batchnorm_stays():
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))
    fast = fast_teacher(ModuleTeacher("t", network, "image", "map"), batch(), compile=False, fold_batchnorm=False)
    folding = fast.conversions[0].folding
    assert (folding.batchnorms, folding.folded) == (1, 0)
    assert any(isinstance(module, nn.BatchNorm2d) for module in fast._runs.module.modules())


class WithMask(nn.Module):
    """Puts the mask where it wants."""

    def __init__(self, join, channels: int, **options) -> None:
        super().__init__()
        self.conv, self.join = nn.Conv2d(channels, 6, 3, **options), join

    def forward(self, image, mask):
        return self.conv(self.join(image, mask))


STANDARDIZE = Standardize(IMAGENET_MEAN, IMAGENET_STD, from_mean=(0.5, 0.4, 0.3), from_std=(0.25, 0.5, 1.0))
JOINS = {
    "behind": (lambda image, mask: torch.cat([image, mask], 1), 4),
    "before": (lambda image, mask: torch.cat([mask, image], 1), 4),
    "multiplied": (lambda image, mask: image * mask, 3),
    "twice": (lambda image, mask: torch.cat([image, mask, image], 1), 7),
    "below": (lambda image, mask: torch.cat([image, mask.expand_as(image)], 2), 3),
}


def standardized(network: nn.Module, fields: dict[str, Tensor], before=STANDARDIZE):
    """Return original and fast teacher, after their targets were compared, the border included."""
    teacher = ModuleTeacher("t", trained(network), tuple(fields), "map")
    teacher = TransformedTeacher(teacher, inputs={"image": before})
    fast = fast_teacher(teacher, fields, compile=False)
    torch.testing.assert_close(fast.targets(fields), teacher.targets(fields), atol=1e-4, rtol=0)
    return teacher, fast


def picture(kind: str = "float") -> Tensor:
    generator = torch.Generator().manual_seed(2)
    if kind == "bytes":
        return torch.randint(0, 256, (2, 3, 8, 6), generator=generator, dtype=torch.uint8)
    return torch.rand(2, 3, 8, 6, generator=generator)


def first_weight(teacher) -> Tensor:
    return next(value for value in teacher.parameters() if value.ndim == 4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("batchnorm", [True, False])
def test_a_normalization_is_folded_exactly(padding, bias, batchnorm):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=padding, bias=bias))
    if batchnorm:
        network.append(nn.BatchNorm2d(6))
    teacher, fast = standardized(network, {"image": picture()})
    ratio = first_weight(fast) / first_weight(teacher)
    expected = torch.tensor([0.25, 0.5, 1.0]) / torch.tensor(IMAGENET_STD)
    ratio, expected = ratio / ratio[:, :1], expected / expected[0]
    torch.testing.assert_close(ratio, expected.view(1, 3, 1, 1).expand_as(ratio))


@pytest.mark.parametrize("padding", [0, 1])
def test_a_picture_of_bytes_is_normalized_in_the_weights(padding):
    torch.manual_seed(0)
    std = tuple(255 * value for value in IMAGENET_STD)
    mean = tuple(255 * value for value in IMAGENET_MEAN)
    standardized(nn.Conv2d(3, 6, 3, padding=padding), {"image": picture("bytes")}, Standardize(mean, std))


def test_a_scale_alone_leaves_nothing_to_do_at_the_border():
    torch.manual_seed(0)
    scale = Standardize((0.0, 0.0, 0.0), (0.5, 0.25, 2.0))
    _, fast = standardized(nn.Conv2d(3, 6, 3, padding=1), {"image": picture("bytes")}, scale)
    assert fast._runs.teacher._runs.module._transforms == [[]]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("place", JOINS)
def test_a_mask_beside_the_image_keeps_what_it_is(place, padding):
    torch.manual_seed(0)
    join, channels = JOINS[place]
    mask = torch.rand(2, 1, 8, 6, generator=torch.Generator().manual_seed(3))
    network = WithMask(join, channels, padding=padding)
    teacher, fast = standardized(network, {"image": picture(), "mask": mask})
    folded = not torch.equal(first_weight(fast), first_weight(teacher))
    assert folded == (place in ("behind", "before"))


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(3, 6, 3, groups=3, padding=1),
        nn.ConvTranspose2d(3, 6, 3),
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3)),
    ],
    ids=["groups", "transposed", "circular", "normalized first"],
)
def test_a_normalization_that_does_not_fit_is_done_before(network):
    teacher, fast = standardized(network, {"image": picture()})
    assert torch.equal(first_weight(fast), first_weight(teacher))


def test_what_comes_before_the_normalization_stays():
    torch.manual_seed(0)
    network = nn.Conv2d(3, 6, 3, padding=1)
    teacher, fast = standardized(network, {"image": picture()}, Resize(16, 12) >> STANDARDIZE)
    assert not torch.equal(first_weight(fast), first_weight(teacher))
    teacher, fast = standardized(network, {"image": picture()}, STANDARDIZE >> Resize(16, 12))
    assert torch.equal(first_weight(fast), first_weight(teacher))
