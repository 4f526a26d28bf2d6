"""The layouts in which pose networks are saved, brought to the official repository's names.

| layout | where the weights are |
|---|---|
| a state dict | at the top, perhaps under `module.` (DataParallel) or `_orig_mod.` (torch.compile) |
| official training file | `best_state_dict`, else `state_dict` with `module.*` |
| mmpose 0.x | `state_dict`: `backbone.*`, `keypoint_head.final_layer.*` |
| mmpose 1.x | `state_dict`: `backbone.*`, `head.final_layer.*`, perhaps `data_preprocessor.*` |
| kdkit | safetensors, with the network's description in the header |

mmpose builds its HRNet module for module as the official code does (mmpose/models/backbones/hrnet.py), so
that below `backbone.` every name is equal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from kdkit.errors import CheckpointError
from kdkit_pose.models.checkpoint_files import CheckpointFile

WRAPPERS = ("module.", "_orig_mod.")
# Some mmpose 0.x heads are an nn.Sequential of one convolution: final_layer.0.weight.
MMPOSE_HEAD = re.compile(r"^(?:keypoint_head|head)\.final_layer\.(?:0\.)?")


@dataclass(frozen=True)
class Weights:
    """A file's weights by official names, the layout they came in, and the keys that are no network's."""

    tensors: Mapping[str, Tensor]
    format: str
    unused: tuple[str, ...] = ()


def recognise(file: CheckpointFile) -> Weights:
    """Find the weights in what a file holds and give them the official names.

    Raises:
        CheckpointError: There is nothing in the file that could be a network's weights.
    """
    state, layout = _locate(file)
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        found = ", ".join(repr(key) for key in list(state)[:5]) or "nothing"
        raise CheckpointError(f"{file.path} holds no weights, but {found}; give a file with a state dict")
    tensors = _unwrap(tensors)
    if any(key.startswith("backbone.") for key in tensors):
        return _from_mmpose(tensors)
    return Weights(tensors, layout)


def _locate(file: CheckpointFile) -> tuple[Mapping[str, Any], str]:
    content = file.content
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{file.path} holds one object of type {type(content).__name__}; give a file with a state dict"
        )
    if file.is_safetensors:
        return content, "kdkit safetensors" if "model" in file.metadata else "safetensors"
    if isinstance(content.get("best_state_dict"), Mapping):
        return content["best_state_dict"], "official training file, its best weights"
    if isinstance(content.get("state_dict"), Mapping):
        return content["state_dict"], "training file"
    return content, "state dict"


def _unwrap(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off the prefixes that wrappers put before every name, as many as there are."""
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in tensors):
            return _unwrap({key.removeprefix(prefix): value for key, value in tensors.items()})
    return tensors


def _from_mmpose(tensors: dict[str, Tensor]) -> Weights:
    renamed: dict[str, Tensor] = {}
    unused: list[str] = []
    for key, value in tensors.items():
        if key.startswith("backbone."):
            renamed[key.removeprefix("backbone.")] = value
        elif MMPOSE_HEAD.match(key):
            renamed[MMPOSE_HEAD.sub("final_layer.", key)] = value
        else:
            unused.append(key)
    version = "0.x" if any(key.startswith("keypoint_head.") for key in tensors) else "1.x"
    return Weights(renamed, f"mmpose {version}", tuple(unused))
