"""Starting a mask predictor from a classifier's weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from kdkit.errors import CheckpointError
from kdkit_pose.masks.predictor import MaskPredictor
from kdkit_pose.models.checkpoint_files import open_checkpoint
from kdkit_pose.models.checkpoint_formats import find_weights
from kdkit_pose.models.timm_backbone import classifier_entries
from kdkit_pose.models.timm_variant import check_variant

HUB = "hub"


def load_encoder_weights(predictor: MaskPredictor, source: str | Path) -> str:
    """Load an ImageNet classifier's weights into the predictor's encoder: all of it, or nothing and an error.

    Weights of timm's `tf_` variants fit the models without `tf_`, and the reverse, but were trained with another
    padding: that is refused where the file's name says it.

    Args:
        predictor: Its decoder stays as it is. The encoder at first does not see the box: the weights for it are 0.
        source: A file of the weights of timm's model of the encoder's name, or ``hub``: timm fetches its own.

    Returns:
        How much was loaded, and from where, in a line.

    Raises:
        CheckpointError: The file is missing, damaged, unsafe or of another model, or by its name of the
            encoder's `tf_` variant; or the hub cannot be reached.
    """
    if source == HUB:
        weights = _fetch(predictor.encoder)
    else:
        weights = find_weights(open_checkpoint(source)).tensors
        path = Path(source)
        check_variant(path, path.stem, predictor.encoder, "build the mask predictor with encoder {}")
    backbone: nn.Module = predictor.network.encoder.model  # type: ignore[union-attr,assignment]
    entries = classifier_entries(predictor.encoder, backbone)
    state = {own: weights[name] for name, own in entries.items() if own is not None and name in weights}
    wanted = backbone.state_dict()
    state = {key: _with_box(value, wanted[key]) for key, value in state.items()}
    lacking = [key for key, value in wanted.items() if key not in state or state[key].shape != value.shape]
    # Counts of batches are no weights; files often leave them out.
    lacking = [key for key in lacking if not key.endswith("num_batches_tracked")]
    if lacking:
        raise CheckpointError(
            f"{source}: these are no weights of timm's '{predictor.encoder}': {len(lacking)} of the encoder's "
            f"{len(wanted)} tensors are missing or of another shape, such as {lacking[0]}; give the file of that "
            "model, or name the encoder that the file is of"
        )
    backbone.load_state_dict(state, strict=False)
    return f"{source}: {len(state)} tensors for the encoder, {len(weights) - len(state)} of the classifier unused"


def _with_box(value: Tensor, wanted: Tensor) -> Tensor:
    """A kernel that reads images, with zeros for a fourth channel; anything else as it is."""
    if value.ndim != 4 or (value.shape[1], wanted.shape[1]) != (3, 4):
        return value
    return torch.cat([value, torch.zeros_like(value[:, :1])], dim=1)


def _fetch(name: str) -> Mapping[str, Tensor]:
    try:
        weights: dict[str, Any] = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # of whatever the download goes through
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"the weights of timm's '{name}' could not be fetched ({reason}): without a network, download them "
            "elsewhere and give the file"
        ) from error
    return weights
