"""Starting from ImageNet: a classifier's weights for the trunk of a pose network."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.transforms import IMAGENET_MEAN, IMAGENET_STD
from kdkit_pose.models.checkpoint import load_weights
from kdkit_pose.models.checkpoint_files import CheckpointFile, open_checkpoint
from kdkit_pose.models.checkpoint_formats import Weights, find_weights
from kdkit_pose.models.checkpoint_report import LoadReport
from kdkit_pose.models.description import as_pose_network
from kdkit_pose.models.hrnet import PoseHRNet
from kdkit_pose.models.simple_baseline import SimpleBaseline
from kdkit_pose.models.simple_baseline_config import PREFIX
from kdkit_pose.models.timm_backbone import classifier_entries
from kdkit_pose.models.timm_variant import check_variant

HUB = "hub"

# timm's classifiers with the trunks of HRNets here; those of other widths were never published for ImageNet.
_HRNETS = {
    "hrnet_w18": "hrnet_w18",
    "hrnet_w32": "hrnet_w32",
    "hrnet_w48": "hrnet_w48",
    "hrnet_w16_small": "hrnet_w18_small",
}


def load_pretrained(model: nn.Module, source: str | Path) -> LoadReport:
    """Load an ImageNet classifier's weights into a network's trunk: all of it, or nothing and an error.

    What weights cannot tell: those of timm's `tf_` variants fit the models without `tf_`, and the reverse, but
    were trained with another padding. That is refused where the file's name says it, such as
    `tf_efficientnet_lite0.pth`.

    The head stays as it is. With a mask fusion the network then starts equal to the RGB one.

    Args:
        model: A SimpleBaseline or an HRNet from `create`.
        source: A file of the classifier's weights, as timm names them; a ResNet's may be torchvision's, an
            HRNet's the official repository's. Or `hub`: timm fetches its own, by the tag in
            `simplebaseline_resnet50.tv_in1k` or the model's default.

    Returns:
        What was loaded, what was not used, and what is fresh.

    Raises:
        ConfigurationError: The network has no counterpart trained on ImageNet, or is not from `create`.
        CheckpointError: The file is missing, damaged, unsafe or of another network, or by its name of the
            backbone's `tf_` variant; or the hub cannot be reached.
    """
    network = as_pose_network(model)
    if not isinstance(network, SimpleBaseline | PoseHRNet):
        raise ConfigurationError(
            f"{network.title} has no counterpart trained on ImageNet: train it from random weights, or"
            " from a pose network's file by models.load_checkpoint"
        )
    file = _fetch(network) if source == HUB else open_checkpoint(source)
    weights = find_weights(file)
    if isinstance(network, SimpleBaseline):
        if source != HUB:
            said = file.metadata.get("model", file.path.stem)
            check_variant(file.path, said, network.config.backbone, f"build {PREFIX}{{}}")
        weights = _by_own_names(network, weights)
    try:
        return load_weights(network, file, weights, trunk_only=True)
    except CheckpointError as error:
        name = _classifier(network)
        wanted = f"timm's {name!r}" if name else f"an ImageNet classifier with the trunk of {network.title}"
        raise CheckpointError(f"{error}; what fits here are the weights of {wanted}") from error


def _classifier(network: SimpleBaseline | PoseHRNet) -> str | None:
    """Return timm's name of the classifier with the network's trunk."""
    return network.config.backbone if isinstance(network, SimpleBaseline) else _HRNETS.get(network.name)


def _fetch(network: SimpleBaseline | PoseHRNet) -> CheckpointFile:
    """Let timm download a classifier's weights, or find them where it keeps them."""
    import timm

    name = _classifier(network)
    config = timm.get_pretrained_cfg(name) if name is not None else None
    if name is None or config is None or not config.has_weights:
        raise ConfigurationError(f"timm has no weights for the trunk of {network.name}: give a file of your own")
    place = f"{config.hf_hub_id} of the Hugging Face hub" if config.hf_hub_id else config.url
    try:
        # The whole classifier, since timm is strict with it, but not with what features_only leaves of it.
        state = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # of whatever the download goes through
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"the weights of timm's {name!r} could not be fetched ({reason}): without a network, download them"
            f" elsewhere ({place}) and give the file"
        ) from error
    return CheckpointFile(Path("timm", ".".join(filter(None, (config.architecture, config.tag)))), state)


def _by_own_names(network: SimpleBaseline, weights: Weights) -> Weights:
    """Return weights whose names `own_name` understands, and without what stands behind the last features."""
    entries = classifier_entries(network.config.backbone, network.backbone)
    tensors, keys, unused = {}, {}, list(weights.unused)
    for name, value in weights.tensors.items():
        own = entries.get(name, name)
        if own is None:
            unused.append(weights.keys[name])
            continue
        renamed = name if own == name else f"backbone.{own}"
        tensors[renamed], keys[renamed] = value, weights.keys[name]
    remark = _other_pictures(network.config.backbone)
    return replace(weights, tensors=tensors, keys=keys, unused=tuple(unused), format=weights.format + remark)


def _other_pictures(name: str) -> str:
    """Return a remark if the classifier read pictures normalised in another way than the data here are."""
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None or (config.mean, config.std) == (tuple(IMAGENET_MEAN), tuple(IMAGENET_STD)):
        return ""
    return f", trained on pictures normalised by mean {config.mean} and deviation {config.std}, unlike those here"
