"""Adaptors: trainable maps from the student's features to the shape of a teacher's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from kdkit.errors import ConfigurationError


@dataclass(frozen=True)
class Adaptor:
    """A trainable map beside the student, whose output is one of the student's.

    It trains with the student, is saved beside it in checkpoints, and is no part of the exported network.

    Args:
        source: the student's output or feature that is adapted; None for a module that takes nothing.
        module: the map, for example a 1x1 convolution to the teacher's width.
    """

    source: str | None
    module: nn.Module

    @classmethod
    def conv(cls, source: str, channels_in: int, channels_out: int) -> Self:
        """Return a 1x1 convolution of maps [B, channels_in, h, w] to [B, channels_out, h, w].

        Source: Romero et al., FitNets (arXiv 1412.6550), the regressor; 1x1 as later works have it.
        """
        return cls(source, nn.Conv2d(channels_in, channels_out, kernel_size=1))

    @classmethod
    def linear(cls, source: str, features_in: int, features_out: int) -> Self:
        """Return a linear map of vectors [B, features_in], or tokens [B, N, features_in]."""
        return cls(source, nn.Linear(features_in, features_out))

    @classmethod
    def resize(cls, source: str, height: int, width: int) -> Self:
        """Return a bilinear resizing of maps [B, C, h, w] to [B, C, height, width]; it has no parameters."""
        return cls(source, ResizeTo(height, width))

    @classmethod
    def between(cls, source: str, student: Sequence[int], teacher: Sequence[int]) -> Self:
        """Return the adaptor that brings a student's feature to a teacher's shape.

        Maps are resized where their sizes differ, then given the teacher's channels by a 1x1 convolution where
        those differ; vectors and tokens get a linear map. Where the shapes agree, nothing is trained.

        Args:
            source: the student's output or feature.
            student: its shape, batch first: [B, C, h, w], [B, C] or [B, N, C].
            teacher: the teacher's shape, of as many dimensions.

        Raises:
            ConfigurationError: if one cannot be brought to the other.

        Example:
            >>> Adaptor.between("neck", (8, 16, 32, 24), (8, 64, 16, 12)).module
            Sequential(
              (0): ResizeTo(height=16, width=12)
              (1): Conv2d(16, 64, kernel_size=(1, 1), stride=(1, 1))
            )
        """
        if len(student) != len(teacher) or len(student) not in (2, 3, 4):
            raise ConfigurationError(
                f"no adaptor brings '{source}' of shape {tuple(student)} to {tuple(teacher)}: both must be maps "
                f"[B, C, h, w], tokens [B, N, C] or vectors [B, C]"
            )
        layers: list[nn.Module] = []
        if len(student) == 4:
            if tuple(student[2:]) != tuple(teacher[2:]):
                layers.append(ResizeTo(teacher[2], teacher[3]))
            if student[1] != teacher[1]:
                layers.append(nn.Conv2d(student[1], teacher[1], kernel_size=1))
        else:
            if len(student) == 3 and student[1] != teacher[1]:
                raise ConfigurationError(
                    f"no adaptor brings '{source}' of {student[1]} tokens to {teacher[1]}: take features of the "
                    f"same number of tokens"
                )
            if student[-1] != teacher[-1]:
                layers.append(nn.Linear(student[-1], teacher[-1]))
        return cls(source, layers[0] if len(layers) == 1 else nn.Sequential(*layers))


class ResizeTo(nn.Module):
    """Resizes maps [B, C, h, w] bilinearly, antialiased when it shrinks; no parameters.

    Args:
        height: of the result, in cells.
        width: of the result, in cells.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        if height < 1 or width < 1:
            raise ConfigurationError(f"an adaptor cannot resize to {height}x{width}: at least 1x1")
        self.size = (height, width)

    def forward(self, feature: Tensor) -> Tensor:
        """Return maps [B, C, height, width]."""
        if feature.shape[2:] == self.size:
            return feature
        # In half precision some devices cannot.
        resized = F.interpolate(feature.float(), self.size, mode="bilinear", antialias=True)
        return resized.to(feature.dtype)

    def extra_repr(self) -> str:
        """Return the size for the module's repr."""
        return f"height={self.size[0]}, width={self.size[1]}"
