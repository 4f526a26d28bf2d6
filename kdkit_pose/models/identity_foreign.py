"""Networks that kdkit does not build, known by sight, so that their files are refused by name."""

import re
from collections.abc import Iterable

from kdkit_pose.models.identity import Identity

_WRAP = "to learn from it, wrap the network in a kdkit.ModuleTeacher"
_SIMCC = (
    "it gives a distribution along each axis and no heatmaps, and kdkit learns from heatmaps; give a file of a"
    " heatmap network"
)
_MMPOSE = "kdkit builds this backbone as timm does, with other names and layers"

# Parts of a distillation's file that are not the student.
_OTHERS = re.compile(r"(^|\.)(teacher|distill_losses)\.")

# What all of a network's patterns are found in, among the names in the file; the first that fits is taken.
_FOREIGN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((r"head\.cls_x\.", r"head\.cls_y\.", r"head\.gau\."), "RTMPose with a SimCC head", _SIMCC),
    ((r"head\.mlp_head_x\.", r"head\.mlp_head_y\."), "network with a SimCC head", _SIMCC),
    ((r"patch_embed\.",), "ViTPose, or another vision transformer", f"kdkit builds no such backbone; {_WRAP}"),
    ((r"stage2\.0\.branches\.0\.0\.attn\.",), "HRFormer", f"kdkit builds no such backbone; {_WRAP}"),
    (
        (r"stem\.0\.conv\.weight", r"stage1\.[01]\.(conv|blocks)"),
        "network on CSPNeXt",
        f"kdkit builds no such backbone; {_WRAP}",
    ),
    ((r"conv1\.conv\.weight", r"layer1\.0\.conv\.0\.conv\."), "network on mmpose's MobileNetV2", _MMPOSE),
    ((r"conv1\.conv\.weight", r"layers\.0\.0\.branch1\."), "network on mmpose's ShuffleNetV2", _MMPOSE),
    ((r"stem\.0\.(conv\.)?weight", r"layer1\.0\.conv1\."), "network on ResNet V1d", f"kdkit builds V1; {_WRAP}"),
    ((r"hourglass_modules\.",), "mmpose Hourglass", f"kdkit builds another; {_WRAP}"),
    ((r"roi_heads\.keypoint_predictor\.",), "Keypoint R-CNN", f"kdkit is top-down, one person an input; {_WRAP}"),
)


def identify_foreign(names: Iterable[str]) -> Identity | None:
    """Return which foreign network a file's names are of, and why it is of no use; None for any other's."""
    names = tuple(name for name in names if not _OTHERS.search(name))
    for patterns, title, reason in _FOREIGN:
        if all(any(re.search(rf"(^|\.){pattern}", name) for name in names) for pattern in patterns):
            return Identity(None, title, unusable=reason)
    return None
