"""From a network and batches of crops to keypoints in the pictures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kdkit.errors import BatchError, ConfigurationError
from kdkit_pose.codecs import Codec
from kdkit_pose.convention import require_convention
from kdkit_pose.evaluation.modes import evaluating
from kdkit_pose.evaluation.rescore import rescore
from kdkit_pose.geometry import apply_affine, invert_affine
from kdkit_pose.skeleton import COCO, Skeleton

Result = dict[str, Any]
_READ = ("id", "image_id", "center", "scale", "box_score")


def predict(
    module: nn.Module,
    loader: Iterable[Mapping[str, Any]],
    codec: Codec,
    *,
    skeleton: Skeleton = COCO,
    flip: bool = True,
    device: torch.device | str | None = None,
    keep_heatmap: bool = False,
    category_id: int = 1,
) -> list[Result]:
    """The keypoints that a network finds, as COCO keypoint results, one for each crop and in the loader's
    order.

    Args:
        module: Gives heatmaps [B, K, h, w] of the codec's size. Its attribute ``inputs`` names the batch
            fields that it is called with, in order; without one it is called with ``image``. The modes of its
            parts are as before when this returns.
        loader: Batches with the module's inputs [B, C, H, W], ``id`` [B], ``image_id`` [B], ``center`` [B, 2]
            and ``scale`` [B, 2] in pixels of the picture, and ``box_score`` [B].
        codec: The convention that the network was trained with.
        skeleton: The keypoints' order, for the flip test.
        flip: Average the maps with those of the mirrored inputs.
        device: Where to run; by default where the module's parameters are. The module itself is not moved.
        keep_heatmap: Whether results also have the ``heatmap`` that was decoded, float32 [K, h, w].
        category_id: The persons' category in the ground truth; COCO's by default.

    Returns:
        Dictionaries of ``image_id``, ``category_id``, ``keypoints`` (x, y in pixels of the picture and
        score, 3 K floats), ``score`` (see :func:`rescore`), ``center`` and ``scale`` (of the crop, as given)
        and ``id``.

    Raises:
        BatchError: A batch lacks a field.
        ConfigurationError: The network's maps do not fit codec or skeleton, or network or crops are known to be
            another codec's; see :func:`kdkit_pose.convention.require_convention`.
    """
    require_convention(loader, codec)
    require_convention(module, codec, skeleton)
    inputs: Sequence[str] = getattr(module, "inputs", ("image",))
    if device is None:
        device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    results: list[Result] = []
    with evaluating(module):
        for batch in loader:
            missing = [field for field in (*inputs, *_READ) if field not in batch]
            if missing:
                raise BatchError(
                    f"evaluation needs the batch field {missing[0]!r}, found only {sorted(batch)}; the "
                    "loader must give what kdkit_pose.data.CocoKeypoints gives"
                )
            fields = [batch[name].to(device, non_blocking=True) for name in inputs]
            heatmap = predict_heatmap(module, fields, codec, skeleton=skeleton, flip=flip)
            found = list(_to_results(*codec.decode(heatmap), batch, codec, category_id))
            if keep_heatmap:
                for result, maps in zip(found, heatmap.cpu().numpy(), strict=True):
                    result["heatmap"] = maps
            results.extend(found)
    return results


def predict_heatmap(
    module: nn.Module, fields: Sequence[Tensor], codec: Codec, *, skeleton: Skeleton = COCO, flip: bool = True
) -> Tensor:
    """The heatmaps [B, K, h, w], float32, that ``module`` gives for ``fields``, each [B, C, H, W].

    With ``flip`` they are averaged with those of the mirrored fields.
    """
    heatmap = _checked(module(*fields), module, codec, skeleton)
    if not flip:
        return heatmap
    mirrored = _checked(module(*(field.flip(-1) for field in fields)), module, codec, skeleton)
    return (heatmap + codec.unflip(mirrored, skeleton)) * 0.5


def _checked(output: object, module: nn.Module, codec: Codec, skeleton: Skeleton) -> Tensor:
    if isinstance(output, Mapping):  # a network that returns features beside its heatmaps
        output = output.get("heatmap")
    width, height = codec.heatmap_size
    expected = (skeleton.num_keypoints, height, width)
    if not isinstance(output, Tensor) or output.shape[1:] != expected:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigurationError(
            f"{type(module).__name__} should give heatmaps [B, {', '.join(map(str, expected))}] for codec "
            f"{codec.name!r} of input_size {codec.input_size} and skeleton {skeleton.name!r}, found {found}"
        )
    return output.float()


def _to_results(
    keypoints: Tensor, scores: Tensor, batch: Mapping[str, Any], codec: Codec, category_id: int
) -> Iterable[Result]:
    # One copy from the device a batch, then plain numpy: the rest is a few numbers a person.
    points = keypoints.cpu().numpy()
    confidence = scores.cpu().numpy().astype(np.float64)
    host = {field: _to_numpy(batch[field]) for field in _READ}
    for row in range(len(points)):
        center, scale = host["center"][row], host["scale"][row]
        placed = apply_affine(invert_affine(codec.affine(center, scale)), points[row])
        yield {
            "image_id": int(host["image_id"][row]),
            "category_id": category_id,
            "keypoints": np.column_stack([placed, confidence[row]]).ravel().tolist(),
            "score": rescore(float(host["box_score"][row]), confidence[row]),
            "center": center.tolist(),
            "scale": scale.tolist(),
            "id": int(host["id"][row]),
        }


def _to_numpy(values: Any) -> npt.NDArray[Any]:
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
