"""How the benchmark's teachers are made, by role."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kdkit import losses
from kdkit_pose.codecs import Decoder
from kdkit_pose.models import Activation


@dataclass(frozen=True)
class TeacherRecipe:
    """What a teacher is and learns.

    Args:
        mask_fusion: how the person's mask enters its network, see :func:`kdkit_pose.models.create`.
        begins_from: the role of the teacher whose weights it begins from; without, from random ones.
        binary: whether it learns the binarized truth by binary cross-entropy, behind a sigmoid, as a student of
            the row ``binary_bce`` does; else heatmaps by their squared error.
    """

    mask_fusion: str = "none"
    begins_from: str | None = None
    binary: bool = False

    @property
    def activation(self) -> Activation:
        """What its heatmaps go through."""
        return "sigmoid" if self.binary else "none"

    @property
    def decoder(self) -> Decoder:
        """How its heatmaps are decoded."""
        return "centroid" if self.binary else "peak"

    @property
    def supervision(self) -> dict[str, Any]:
        """The arguments of :func:`kdkit_pose.recipes.supervised` that say what it learns."""
        return {"loss": losses.bce if self.binary else losses.mse, "binarized": self.binary}


TEACHERS: Mapping[str, TeacherRecipe] = MappingProxyType(
    {
        "primary": TeacherRecipe(),
        "senior": TeacherRecipe("concat", "primary"),
        "senior_multiply": TeacherRecipe("multiply", "primary"),
        "senior_add": TeacherRecipe("add", "primary"),
        "blind": TeacherRecipe("none", "primary"),
        "primary_bce": TeacherRecipe(binary=True),
        "senior_bce": TeacherRecipe("concat", "primary_bce", binary=True),
        "blind_bce": TeacherRecipe("none", "primary_bce", binary=True),
    }
)
"""Every teacher of the benchmark, by its role."""
