"""The senior teacher: a pose network that also sees the person's segmentation mask."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from kdkit import ConfigurationError, ModuleTeacher


class MaskAwareTeacher(ModuleTeacher):
    """A frozen pose network that reads ``image`` and, by its mask fusion, the privileged field ``mask``.

    Args:
        name: the teacher's name, unique within a run.
        module: a network of :func:`kdkit_pose.models.create`, whose ``inputs`` say what it reads; with
            ``mask_fusion="none"`` it is an ordinary teacher.
        outputs: the name or names of what the network returns.
        features: further targets by name: what submodules return, by their path.
        dtype: the floating type to cast the weights to, once.

    Raises:
        ConfigurationError: if the network does not say what it reads.

    Source: Orderly Dual-Teacher Knowledge Distillation (arXiv 2104.10414); how the mask enters is not
    published, see :mod:`kdkit_pose.models`.

    Example:
        >>> from kdkit_pose import models
        >>> senior = MaskAwareTeacher("senior", models.create("hrnet_w8_small", mask_fusion="concat"))
        >>> senior.reads
        ('image', 'mask')
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        outputs: str | Sequence[str] = "heatmap",
        *,
        features: Mapping[str, str] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        inputs = getattr(module, "inputs", None)
        if not inputs:
            raise ConfigurationError(
                f"teacher '{name}': the network {type(module).__name__} has no attribute 'inputs'; for a network "
                f"of your own use ModuleTeacher(name, network, inputs=('image', 'mask'), outputs='heatmap')"
            )
        super().__init__(name, module, inputs, outputs, features=features, dtype=dtype)
