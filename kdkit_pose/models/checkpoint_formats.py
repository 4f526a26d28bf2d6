"""The layouts in which pose networks are saved, brought to the names of the networks' official code.

| layout | where the weights are |
|---|---|
| a state dict | at the top |
| official training file | `best_state_dict`, else `state_dict`: of its last epoch; `model_best.pth` has the best |
| other training files | `state_dict`, `model_state_dict`, `model`; a kdkit run's: `network` |
| mmpose 0.x | `state_dict`: `backbone.*`, `keypoint_head.*` |
| mmpose 1.x | `state_dict`: `backbone.*`, `head.*`, perhaps `data_preprocessor.*` |
| DWPose's distillation | `state_dict`: `student.*` as in mmpose 1.x, `teacher.*`, `distill_losses.*` |
| kdkit | safetensors, with the network's description in the header |

A prefix that most names share and that only says how the network was wrapped is taken off: `module.` of
DataParallel, `_orig_mod.` of torch.compile, `model.`, `net.` or `network.` of Lightning. The other names are then
what stood beside the network, a loss's or a metric's tensors, and are not used. mmengine's averaged
weights are in `state_dict`, where its EMA hook puts them; `ema_state_dict` then holds the plain ones and is not
read.

mmpose builds its HRNet and ResNet module for module as the official code does (mmpose/models/backbones), so that
below `backbone.` every name is equal. Its heads may have layers before the last, and there may be a neck: these
keep their names, so that a network without such layers refuses them. Of DWPose's second stage only the student's
head was trained, on the teacher's backbone; the file does not say so, and its own script is needed to put the two
together.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from kdkit.errors import CheckpointError
from kdkit_pose.models.checkpoint_files import CheckpointFile

SECTIONS = {
    "best_state_dict": "official training file of its last epoch",
    "state_dict": "training file",
    "model_state_dict": "training file",
    "network": "kdkit training checkpoint",
    "model": "training file",
}
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")
# Tensors that averaged networks keep beside the wrapped network: PyTorch's and mmengine's.
COUNTERS = frozenset({"n_averaged", "steps"})
# Some mmpose 0.x heads are an nn.Sequential of one convolution: final_layer.0.weight.
MMPOSE_HEAD = re.compile(r"^(?:keypoint_head|head)\.(?:(final_layer\.)(?:0\.)?|(deconv_layers\.))")
# What stands behind the backbone in OpenMMLab's networks, and of it what only the training needs.
OPENMMLAB_PART = re.compile(r"^(?:\w*head|neck)s?\.(?!loss)")
OWN_HEAD = ("deconv_layers.", "final_layer.")
Names = dict[str, str]


@dataclass(frozen=True)
class Weights:
    """A file's weights by official names, and what else is in it.

    Args:
        tensors: The weights.
        format: The layout they came in.
        keys: For each of the weights its key in the file.
        unused: Keys of tensors that are no part of the network.
        beside: What the file holds that is no weight: optimizer, epoch, configuration.
    """

    tensors: Mapping[str, Tensor]
    format: str
    keys: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def find_weights(file: CheckpointFile) -> Weights:
    """Find the weights in what a file holds and give them the official names.

    A kdkit safetensors file keeps the names it has, which are its network's own.

    Raises:
        CheckpointError: There is nothing in the file that could be a network's weights, or it has one of them
            twice, under two names.
    """
    state, layout, beside = _locate(file)
    names = {key: key for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not names:
        found = ", ".join(repr(key) for key in list(state)[:5]) or "nothing"
        raise CheckpointError(f"{file.path} holds no weights, but {found}; give a file with a state dict")
    if "model" not in file.metadata:
        names, layout = _official(names, layout, file.path)
    used = set(names.values())
    return Weights(
        {name: state[key] for name, key in names.items()},
        layout,
        names,
        tuple(str(key) for key, value in state.items() if isinstance(value, Tensor) and key not in used),
        (*beside, *(str(key) for key, value in state.items() if not isinstance(value, Tensor))),
    )


def _locate(file: CheckpointFile) -> tuple[Mapping[Any, Any], str, tuple[str, ...]]:
    """Return the state dict, its layout, and the keys beside it."""
    content = file.content
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{file.path} holds one object of type {type(content).__name__}; give a file with a state dict"
        )
    if file.is_safetensors:
        return content, "kdkit safetensors" if "model" in file.metadata else "safetensors", ()
    for section, layout in SECTIONS.items():
        state = content.get(section)
        if isinstance(state, Mapping) and any(isinstance(value, Tensor) for value in state.values()):
            return state, layout, tuple(str(key) for key in content if key != section)
    if isinstance(content.get("state_dict"), Mapping):
        return content["state_dict"], "training file", ()
    return content, "state dict", ()


def _official(names: Names, layout: str, path: Path) -> tuple[Names, str]:
    """Return names with wrappers and mmpose's parts taken off, fewer where some are no network's."""
    names = _unwrap(names)
    if any(name.startswith("student.") for name in names) and any(
        name.startswith(("teacher.", "distill_losses.")) for name in names
    ):
        student = {name: key for name, key in names.items() if name.startswith("student.")}
        inner = {name.removeprefix("student."): key for name, key in student.items()}
        names, layout = _official(inner, layout, path)
        return names, f"student of a DWPose distillation, {layout}"
    if not any(name.startswith("backbone.") for name in names):
        return names, layout
    if any(name.startswith(OWN_HEAD) for name in names):
        return _renamed(((name.removeprefix("backbone."), key) for name, key in names.items()), path), layout
    return _from_mmpose(names, path)


def _unwrap(names: Names) -> Names:
    """Take off the prefixes that wrappers put before the network's names, as many as there are."""
    for prefix in WRAPPERS:
        wrapped = {name.removeprefix(prefix): key for name, key in names.items() if name.startswith(prefix)}
        # No network of kdkit has parts of these names, and of two copies nothing tells which is meant.
        if len(wrapped) > len(names.keys() - COUNTERS) / 2:
            return _unwrap(wrapped)
    return names


def _renamed(pairs: Iterable[tuple[str, str]], path: Path) -> Names:
    """Return the keys by their names; of two keys of one name nothing would tell which is meant."""
    renamed: Names = {}
    for name, key in pairs:
        if name in renamed:
            raise twice(path, renamed[name], key, name)
        renamed[name] = key
    return renamed


def twice(path: Path, first: str, second: str, name: str) -> CheckpointError:
    """Return the error for a file with two keys for one weight."""
    return CheckpointError(
        f"{path} has {name} twice, as {first} and as {second}, and does not say which is the network's: save the"
        " network's state_dict() alone"
    )


def _from_mmpose(names: Names, path: Path) -> tuple[Names, str]:
    pairs: list[tuple[str, str]] = []
    for name, key in names.items():
        if name.startswith("backbone."):
            pairs.append((name.removeprefix("backbone."), key))
        elif (head := MMPOSE_HEAD.match(name)) is not None:
            pairs.append(((head.group(1) or head.group(2)) + name[head.end() :], key))
        elif OPENMMLAB_PART.match(name) or f"backbone.{name}" in names:
            pairs.append((name, key))
    renamed = _renamed(pairs, path)
    if any(name.startswith("keypoint_head.") for name in names):
        return renamed, "mmpose 0.x"
    is_pose = any(name.startswith("data_preprocessor.") or MMPOSE_HEAD.match(name) for name in names)
    return renamed, "mmpose 1.x" if is_pose else "OpenMMLab network"
