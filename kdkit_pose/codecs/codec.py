"""What every codec does: it owns the heatmap convention whole, so that no two can be mixed."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs.centroid import peak_centroids
from kdkit_pose.codecs.gaussian_batch import labelled_batch
from kdkit_pose.geometry import crop_affine
from kdkit_pose.skeleton import Skeleton

Decoder = Literal["peak", "centroid"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Codec(ABC):
    """Takes keypoints to heatmaps and back; its affine map makes the input that both are measured in.

    Args:
        input_size: Width and height of the network's input in pixels, each a multiple of ``stride``.
        sigma: Standard deviation of a target's Gaussian, in pixels of the heatmap.
        decoder: ``peak`` is the codec's own decoding around the highest cell; ``centroid`` is that of
            :func:`peak_centroids`, for networks that learnt binarized targets.

    Raises:
        ConfigurationError: A size that is not a positive multiple of ``stride``, a sigma that is not
            positive, or an unknown decoder.
    """

    input_size: tuple[int, int] = (192, 256)
    sigma: float = 2.0
    decoder: Decoder = "peak"

    name: ClassVar[str]
    stride: ClassVar[int] = 4
    # A network of stride 4 looks at input pixels 0, 4, 8, ...; seen in the mirror these are 3, 7, 11, ... of
    # the unmirrored input, so mirrored maps lie 3/4 of a heatmap pixel too far left: one pixel is the nearest
    # whole shift.
    unflip_shift: ClassVar[int] = 1

    def __post_init__(self) -> None:
        size = tuple(self.input_size)
        if len(size) != 2 or any(side != int(side) or side <= 0 or side % self.stride for side in size):
            raise ConfigurationError(
                f"codec {self.name!r}: input_size must be (width, height), each a positive multiple of "
                f"{self.stride}, found {self.input_size}"
            )
        # A list, as JSON gives it, would make equal codecs unequal and break hashing.
        object.__setattr__(self, "input_size", (int(size[0]), int(size[1])))
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ConfigurationError(f"codec {self.name!r}: sigma must be a positive number, found {self.sigma}")
        if self.decoder not in get_args(Decoder):
            raise ConfigurationError(
                f"codec {self.name!r}: decoder must be one of {get_args(Decoder)}, found {self.decoder!r}"
            )

    def __str__(self) -> str:
        """In a line for people: the size height x width, as the field writes it.

        >>> from kdkit_pose.codecs import DARK
        >>> print(DARK())
        DARK(256x192, sigma 2, decoder peak)
        """
        width, height = self.input_size
        return f"{type(self).__name__}({height}x{width}, sigma {self.sigma:g}, decoder {self.decoder})"

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Width and height of a heatmap, in its own pixels."""
        return self.input_size[0] // self.stride, self.input_size[1] // self.stride

    @property
    def cell_size(self) -> tuple[float, float]:
        """Width and height of a heatmap's pixel, in pixels of the input: the heatmap's point (x, y) is the
        input's (x * width, y * height)."""
        return float(self.stride), float(self.stride)

    def affine(
        self, center: npt.ArrayLike, scale: npt.ArrayLike, rotation: float = 0.0
    ) -> npt.NDArray[np.float64]:
        """The map [2, 3] from the picture to the input; ``center`` and ``scale`` in pixels of the picture,
        ``rotation`` in degrees. See :func:`kdkit_pose.geometry.crop_affine`."""
        return crop_affine(center, scale, self.input_size, rotation)

    @abstractmethod
    def encode(self, keypoints: npt.ArrayLike, visible: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The target heatmaps of one person.

        Args:
            keypoints: [K, 2], x and y in pixels of the input. Those of unlabelled keypoints are not looked at.
            visible: [K], above 0 where the keypoint is labelled (COCO's 1, occluded, counts as labelled).

        Returns:
            The heatmaps [K, h, w] in 0..1, all zero where the weight is 0, and the weights [K], 0 or 1: 1 for
            a labelled keypoint whose target reaches into the map.

        Raises:
            DataError: Shapes do not fit, or a labelled keypoint is not finite.
        """

    def encode_into(
        self, keypoints: npt.ArrayLike, visible: npt.ArrayLike, heatmap: FloatArray, weight: FloatArray
    ) -> None:
        """Write what :meth:`encode` returns to ``heatmap`` [K, h, w] and ``weight`` [K], as to a batch's arrays.

        Raises:
            DataError: As :meth:`encode` does.
        """
        heatmap[:], weight[:] = self.encode(keypoints, visible)

    def encode_batch(self, keypoints: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """The targets of many persons; equal to :meth:`encode`'s, person by person.

        A keypoint that is not finite counts as unlabelled: to refuse it would take waiting for the device, which
        the codecs here never do. They make the targets where the keypoints are; a codec of one's own has its
        ``encode`` called for each person, unless it overrides this.

        Args:
            keypoints: [B, K, 2], x and y in pixels of the input, on any device.
            labelled: [B, K], above 0, or True, where the keypoint is labelled.

        Returns:
            The heatmaps [B, K, h, w] and the weights [B, K], both float32.

        Raises:
            DataError: Shapes do not fit.

        >>> import torch
        >>> from kdkit_pose.codecs import DARK
        >>> heatmap, weight = DARK().encode_batch(torch.tensor([[[100.0, 60.0], [20.0, 30.0]]]), torch.ones(1, 2))
        >>> heatmap.shape, weight
        (torch.Size([1, 2, 64, 48]), tensor([[1., 1.]]))
        """
        points, known = labelled_batch(keypoints, labelled)
        targets = [self.encode(*person) for person in zip(points.cpu(), known.cpu(), strict=True)]
        heatmap, weight = (torch.from_numpy(np.stack(part)) for part in zip(*targets, strict=True))
        return heatmap.to(points.device), weight.to(points.device)

    def decode(self, heatmap: Tensor) -> tuple[Tensor, Tensor]:
        """The keypoints that heatmaps show.

        Args:
            heatmap: [B, K, h, w], any floating type and device; computed in float32.

        Returns:
            Keypoints [B, K, 2] float32, in pixels of the input, always finite, and scores [B, K] float32, the
            height of each map's peak. A map without a positive value, or with one that is not finite, scores
            0.

        Raises:
            ConfigurationError: The maps are not of ``heatmap_size``.
        """
        width, height = self.heatmap_size
        if heatmap.ndim != 4 or heatmap.shape[-2:] != (height, width):
            raise ConfigurationError(
                f"codec {self.name!r} of input_size {self.input_size} decodes heatmaps [B, K, {height}, "
                f"{width}], found {tuple(heatmap.shape)}: give the codec the input size that the network saw"
            )
        heatmap = _without_infinite(heatmap.detach().float())
        # Autocast would take the decoding's own products back to half precision.
        with torch.autocast(heatmap.device.type, enabled=False):
            if self.decoder == "peak":
                points, scores = self._decode_peaks(heatmap)
            else:
                points, scores = peak_centroids(heatmap, self.sigma)
        return points * points.new_tensor(self.cell_size), scores

    def unflip(self, heatmap: Tensor, skeleton: Skeleton) -> Tensor:
        """Bring back the maps [B, K, h, w] of mirrored images, to be averaged with those of the images.

        They are mirrored, left and right keypoints change places, and all moves right by ``unflip_shift``;
        the columns left free keep their values, as in the reference.

        Raises:
            ConfigurationError: The maps are not of as many keypoints as the skeleton.
        """
        if heatmap.ndim != 4 or heatmap.shape[1] != skeleton.num_keypoints:
            raise ConfigurationError(
                f"skeleton {skeleton.name!r} needs heatmaps [B, {skeleton.num_keypoints}, h, w], found "
                f"{tuple(heatmap.shape)}"
            )
        mirrored = heatmap[:, list(skeleton.flip_permutation)].flip(-1)
        shift = self.unflip_shift
        return torch.cat([mirrored[..., :shift], mirrored[..., : mirrored.shape[-1] - shift]], dim=-1)

    @property
    def convention(self) -> dict[str, str]:
        """All of :meth:`to_metadata` but the decoder, which reads maps and makes none."""
        return {key: value for key, value in self.to_metadata().items() if key != "codec_decoder"}

    def differences(self, other: "Codec") -> list[str]:
        """In what two conventions differ, in words; nothing if they are the same.

        The decoder is no part of the convention: it reads maps, and makes none.

        >>> from kdkit_pose.codecs import DARK, UDP
        >>> DARK(sigma=3.0).differences(UDP(decoder="centroid"))
        ['codec: dark and udp', 'sigma: 3.0 and 2.0']
        """
        parts = (
            ("codec", self.name, other.name),
            ("input_size", self.input_size, other.input_size),
            ("sigma", float(self.sigma), float(other.sigma)),
        )
        return [f"{part}: {mine} and {theirs}" for part, mine, theirs in parts if mine != theirs]

    def same_convention(self, other: "Codec") -> bool:
        """Whether maps of the one mean to the other what they mean to itself: all but the decoder is equal."""
        return not self.differences(other)

    def to_metadata(self) -> dict[str, str]:
        """The codec as strings, for a file's header; :func:`kdkit_pose.codecs.from_metadata` reads them."""
        return {
            "codec": self.name,
            "codec_input_size": f"{self.input_size[0]}x{self.input_size[1]}",
            "codec_sigma": repr(float(self.sigma)),
            "codec_decoder": self.decoder,
        }

    @abstractmethod
    def _decode_peaks(self, heatmap: Tensor) -> tuple[Tensor, Tensor]:
        """The codec's own decoding of finite float32 maps: points [B, K, 2] in heatmap px, scores [B, K]."""


def _without_infinite(heatmap: Tensor) -> Tensor:
    """Return maps [B, K, h, w], all 0 where one holds a value that is not finite."""
    # A sum is finite only if all its terms are. Elsewhere than on the CPU, to look at it waits for the device.
    if heatmap.device.type == "cpu" and bool(heatmap.sum().isfinite()):
        return heatmap
    finite = heatmap.isfinite().flatten(2).all(-1)
    return torch.where(finite[..., None, None], heatmap, 0.0)
