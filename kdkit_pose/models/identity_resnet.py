"""ResNets, bare or with SimpleBaseline's deconvolutions, known by their blocks."""

import re
from collections.abc import Mapping

from torch import Tensor

from kdkit_pose.models.identity import Identity, count_heatmaps, count_numbers, fusion_of, kernel_of, listed
from kdkit_pose.models.simple_baseline_config import PREFIX, config_for

STEM = "conv1.weight"
# Blocks a stage, whether they are bottlenecks, and the first block's 3x3 kernel, [out, in / groups]: timm's name
# and that in the papers.
RESNETS: dict[tuple[tuple[int, ...], bool, tuple[int, ...]], tuple[str, str]] = {
    ((2, 2, 2, 2), False, (64, 64)): ("resnet18", "ResNet-18"),
    ((3, 4, 6, 3), False, (64, 64)): ("resnet34", "ResNet-34"),
    ((3, 4, 6, 3), True, (64, 64)): ("resnet50", "ResNet-50"),
    ((3, 4, 23, 3), True, (64, 64)): ("resnet101", "ResNet-101"),
    ((3, 8, 36, 3), True, (64, 64)): ("resnet152", "ResNet-152"),
    ((3, 4, 6, 3), True, (128, 4)): ("resnext50_32x4d", "ResNeXt-50 32x4d"),
    ((3, 4, 23, 3), True, (128, 4)): ("resnext101_32x4d", "ResNeXt-101 32x4d"),
    ((3, 4, 23, 3), True, (256, 8)): ("resnext101_32x8d", "ResNeXt-101 32x8d"),
    ((3, 4, 6, 3), True, (128, 128)): ("wide_resnet50_2", "Wide ResNet-50"),
    ((3, 4, 23, 3), True, (128, 128)): ("wide_resnet101_2", "Wide ResNet-101"),
}
# What a plain block has; squeeze-and-excitation, attention or another shortcut makes another network.
PLAIN = re.compile(r"layer[1-4]\.\d+\.(conv[123]|bn[123]|downsample\.[01])\.\w+$")
DECONVOLUTIONS = tuple(f"deconv_layers.{place}.weight" for place in (0, 3, 6))
# The paper's: 256 filters with kernels of 4 x 4.
FILTERS = (256, 4, 4)


def identify_resnet(tensors: Mapping[str, Tensor]) -> Identity | None:
    """Read the depth of a ResNet or of a SimpleBaseline on one; None for another network's weights.

    The names are those of torchvision, which timm, the official SimpleBaseline and mmpose share. A bare ResNet
    is named as the SimpleBaseline whose trunk it is. Where the stride of a bottleneck lies, in its 1x1 or its
    3x3 convolution, no weight tells: the 3x3 is assumed, as everywhere but in SimpleBaseline's `caffe` style.
    """
    kernel = kernel_of(tensors, "layer1.0.conv2.weight")
    if kernel is None or kernel_of(tensors, STEM) is None:
        return None
    blocks = tuple(count_numbers(tensors, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    trunk = RESNETS.get((blocks, "layer1.0.conv3.weight" in tensors, kernel[:2]))
    name, title = None, f"variant of ResNet with {listed(blocks)} blocks in its stages, unknown to kdkit"
    if trunk is not None and all(PLAIN.match(key) for key in tensors if key.startswith("layer")):
        name, title = _with_head(tensors, *trunk)
    # A convolution to heatmaps right on the trunk is another network's.
    heatmaps = count_heatmaps(tensors) if any(key.startswith("deconv_layers.") for key in tensors) else None
    return Identity(name, title, heatmaps, fusion_of(tensors, STEM))


def _with_head(tensors: Mapping[str, Tensor], backbone: str, title: str) -> tuple[str | None, str]:
    """Return the name and title of what a ResNet is the trunk of; without deconvolutions its own title."""
    places = count_numbers((key for key in tensors if kernel_of(tensors, key)), r"deconv_layers\.(\d+)\.")
    if not places:
        return PREFIX + backbone, title
    kernels = [kernel_of(tensors, key) for key in DECONVOLUTIONS]
    if places == len(kernels) and all(kernel is not None and kernel[1:] == FILTERS for kernel in kernels):
        config = config_for(PREFIX + backbone)
        return PREFIX + backbone, config.title if config is not None else title
    filters = listed(kernel[1] for kernel in kernels if kernel is not None)
    return (
        None,
        f"SimpleBaseline on {title} with deconvolutions of {filters or 'unknown'} filters, unknown to kdkit",
    )
