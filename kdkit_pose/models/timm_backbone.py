"""Feature extractors made of timm's classifiers, checked to be of use under heatmaps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdkit.errors import ConfigurationError

_PROBE = (2, 3, 64, 64)  # two samples, so that BatchNorm has more than one value


@dataclass(frozen=True)
class BackboneInfo:
    """What a backbone returns.

    Args:
        indices: By the stride of features, in pixels of the input, where timm keeps the last of that stride.
        stride: Of the last features, from which heatmaps are made.
        channels: Of the last features.
        unread: Parameters that these features do not depend on.
    """

    indices: dict[int, int]
    stride: int
    channels: int
    unread: tuple[str, ...]


def inspect_backbone(name: str, output_stride: int | None) -> BackboneInfo:
    """Build a backbone without memory, run it on an empty picture, and return what it gives.

    Raises:
        ConfigurationError: The model gives no feature maps, or none that could be trained, or cannot read
            pictures of any size.
    """
    try:
        # Which parameters are read is found by autograd, also where the caller has turned it off.
        with torch.device("meta"), torch.inference_mode(False), torch.enable_grad():
            backbone = build_backbone(name, output_stride, (-1,))
            features = backbone(torch.empty(_PROBE))[-1]
    except Exception as error:  # whatever any of timm's models may do with a size or an option it does not take
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"timm's model {name!r} cannot be a backbone here ({reason}): it must have features_only and read"
            f" pictures of any size in multiples of 32 pixels; most convolutional models do, such as resnet50"
        ) from error
    info: Any = backbone.feature_info
    stride, channels = info.reduction()[-1], info.channels()[-1]
    if list(features.shape) != [_PROBE[0], channels, _PROBE[2] // stride, _PROBE[3] // stride]:
        raise ConfigurationError(
            f"timm's model {name!r} cannot be a backbone here: it should return {channels} channels at stride"
            f" {stride}, but returns {list(features.shape[1:])} of a picture of {list(_PROBE[1:])}"
        )
    if features.grad_fn is None:
        raise ConfigurationError(
            f"timm's model {name!r} cannot be a backbone here: its features give its parameters no gradient"
        )
    indices = {entry["reduction"]: index for index, entry in enumerate(info.info)}
    return BackboneInfo(indices, stride, channels, tuple(_unread(backbone, features)))


def build_backbone(name: str, output_stride: int | None, indices: tuple[int, ...]) -> nn.Module:
    """Return timm's model without its classifier; it returns a list of features [B,C,H/s,W/s]."""
    import timm

    options: dict[str, Any] = {} if output_stride is None else {"output_stride": output_stride}
    backbone: nn.Module = timm.create_model(name, features_only=True, out_indices=indices, **options)
    return backbone


def image_convolutions(backbone: nn.Module, name: str) -> list[nn.Conv2d]:
    """Return the convolutions that read the image, usually one.

    Raises:
        ConfigurationError: They cannot be given more inputs without a change in what they return.
    """
    from timm.layers.std_conv import ScaledStdConv2d, ScaledStdConv2dSame, StdConv2d, StdConv2dSame

    # Their kernels are standardised over all input channels, so that an added one, even of zeros, changes the
    # others.
    standardised = (ScaledStdConv2d, ScaledStdConv2dSame, StdConv2d, StdConv2dSame)
    found = [
        module
        for module in backbone.modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == _PROBE[1] and module.groups == 1
    ]
    if not found or any(isinstance(module, standardised) for module in found):
        raise ConfigurationError(
            f"timm's model {name!r} begins with no ordinary convolution of the image, so mask fusion 'concat'"
            f" cannot add a channel to it: take 'multiply'"
        )
    return found


def classifier_entries(name: str, backbone: nn.Module) -> dict[str, str | None]:
    """Return every entry of the classifier's state dict, and which entry of the backbone's is the same.

    timm takes some models apart for features_only: it flattens containers, so that `stages.0.` becomes
    `stages_0.`, or wraps the model as `model.` or `body.`. Entries behind the last features have no other.

    Args:
        name: timm's name of the model.
        backbone: What `build_backbone` made of it.
    """
    import timm

    with torch.device("meta"):
        classifier = timm.create_model(name)
    entries: dict[str, str | None] = dict.fromkeys(classifier.state_dict())
    flattened = {
        f"{outer}_{inner}": f"{outer}.{inner}"
        for outer, module in classifier.named_children()
        if isinstance(module, nn.Sequential)
        for inner, _ in module.named_children()
    }
    for own in backbone.state_dict():
        first, _, rest = own.partition(".")
        candidates = [own, f"{flattened.get(first, first)}.{rest}"]
        if first in ("model", "body"):
            candidates.append(rest)
        for candidate in candidates:
            if candidate in entries:
                entries[candidate] = own
                break
    return entries


def _unread(backbone: nn.Module, features: Tensor) -> Iterator[str]:
    """Yield the names of the parameters that the features were not computed from."""
    read: set[int] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [features.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            read.add(id(node.variable))
        waiting += [following for following, _ in node.next_functions]
    yield from (name for name, parameter in backbone.named_parameters() if id(parameter) not in read)
