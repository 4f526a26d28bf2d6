"""What every network of `create` has in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from kdkit.errors import BatchError, ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.models.heatmap_layer import Activation, HeatmapLayer
from kdkit_pose.models.mask_fusion import MaskFusion, check_mask
from kdkit_pose.skeleton import Skeleton

STRIDE = 4
"""Of the heatmaps, in pixels of the input."""


def check_arguments(num_keypoints: int, features: Iterable[str], known: Sequence[str]) -> None:
    """Require what every network of `create` requires of its arguments.

    Raises:
        ConfigurationError: A feature that is not among the `known` ones, or fewer than one keypoint.
    """
    for feature in features:
        if feature not in known:
            raise ConfigurationError(f"no feature is called {feature!r}; choose from {', '.join(known)}")
    if num_keypoints < 1:
        raise ConfigurationError(f"num_keypoints is {num_keypoints}; a network predicts at least 1 keypoint")


class PoseNetwork(nn.Module):
    """A network from images, and perhaps masks, to heatmaps at a quarter of the resolution.

    A subclass sets the attributes in its constructor and has a `forward(image, mask=None)` that begins with
    `self.check_inputs(image, mask)`.

    Attributes:
        name: What `create` knows the network by; kept for its checkpoints.
        num_keypoints: Number of heatmaps K.
        mask_fusion: How the person's mask enters; `none` is a fusion too.
        features: What `forward` returns beside the heatmaps, in a dict; usually nothing.
        intermediate_heatmaps: Heatmaps that the network makes on its way, [B,K,H/4,W/4] each, to be supervised
            like the last: for each output's name the path of the submodule that returns it, as
            `kdkit.Student(features=...)` takes it. Empty for most networks.
        head_prefixes: How the entries of the state dict begin that make heatmaps of features, and that weights
            for another task or other keypoints do not fit.
        codec: What the heatmaps mean: what loading found in the file, or what :func:`kdkit_pose.fit.fit` taught.
            None where nothing says it, as of random weights or an official file. Whatever reads or writes the
            network refuses another convention; to be set by hand before a training that does not set it.
        skeleton: The keypoints, known in the same way.
        keypoints: The keypoints' names in order, also where no more than these is known.
        activation: What the heatmaps, intermediate ones too, go through: `none` or `sigmoid`; see `activate`.
        size_multiple: What an input's height and width must be multiples of, in pixels.
    """

    head_prefixes: ClassVar[tuple[str, ...]] = ("final_layer.",)
    size_multiple: int = 32
    activation: Activation = "none"
    codec: Codec | None = None
    skeleton: Skeleton | None = None
    keypoints: tuple[str, ...] | None = None

    name: str
    num_keypoints: int
    mask_fusion: MaskFusion
    features: tuple[str, ...]
    intermediate_heatmaps: Mapping[str, str]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What `forward` takes, in order: `("image",)` or `("image", "mask")`."""
        return ("image", "mask") if self.mask_fusion.reads_mask else ("image",)

    @property
    def heatmap_outputs(self) -> tuple[str, ...]:
        """What is to be supervised: `heatmap` and the intermediate ones, for the recipes' `outputs`."""
        return ("heatmap", *self.intermediate_heatmaps)

    @property
    def convention(self) -> dict[str, str]:
        """The codec in strings but for its decoder, for `kdkit.Trainer` to compare; empty where not known."""
        return {} if self.codec is None else self.codec.convention

    @property
    def usage(self) -> dict[str, str]:
        """Codec and skeleton as strings for a file's header, as far as they are known."""
        codec = {} if self.codec is None else self.codec.to_metadata()
        return codec | ({} if self.skeleton is None else self.skeleton.to_metadata())

    def activate(self, activation: str) -> None:
        """Let all heatmaps go through an activation, as `create` does with a new network; their biases start anew.

        Raises:
            ConfigurationError: An unknown activation, or a network whose heatmaps are of no `HeatmapLayer`.
        """
        layers = [module for module in self.modules() if isinstance(module, HeatmapLayer)]
        if not layers:
            raise ConfigurationError(f"{self.name} has no HeatmapLayer, behind which an activation has its place")
        for layer in layers:
            layer.activate(activation)
        self.activation = layers[0].activation

    @property
    def title(self) -> str:
        """How to call the network in a message, such as `HRNet-W32`."""
        return self.name

    def own_name(self, key: str) -> str:
        """Return the state dict entry that a file's `key` names, written as the network's official code does."""
        return key

    def leaves_unread(self, key: str) -> bool:
        """Whether a file's `key`, written as for `own_name`, is of a part that no heatmap depends on."""
        return False

    def check_inputs(self, image: Tensor, mask: Tensor | None) -> None:
        """Require what `forward` can work on.

        Raises:
            BatchError: A size that is not a multiple of `size_multiple`; a mask too many, missing, or of the
                wrong shape.
        """
        if image.shape[-1] % self.size_multiple or image.shape[-2] % self.size_multiple:
            raise BatchError(
                f"the image is {image.shape[-2]} x {image.shape[-1]} (height x width) pixels; {self.name}"
                f" needs both to be multiples of {self.size_multiple}"
            )
        if not self.mask_fusion.reads_mask:
            if mask is not None:
                raise BatchError(f"{self.name} was built without a mask fusion, but was given a mask")
            return
        if mask is None:
            raise BatchError(
                f"{self.name} with mask fusion {self.mask_fusion.name!r} reads a mask, but none was given"
            )
        check_mask(image, mask)
