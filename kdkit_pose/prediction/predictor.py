"""From a picture to the keypoints of its persons."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose import codecs
from kdkit_pose.codecs import Codec
from kdkit_pose.convention import check_keypoints, require_convention
from kdkit_pose.data.masks import EncodedMask, MaskStore
from kdkit_pose.data.normalize import network_input
from kdkit_pose.evaluation import predict
from kdkit_pose.geometry import box_to_center_scale
from kdkit_pose.models.saving import load_described
from kdkit_pose.prediction.checks import Mask, Picture, encoded, numbers, picture_size
from kdkit_pose.prediction.poses import Array, Poses
from kdkit_pose.skeleton import COCO, Skeleton

if TYPE_CHECKING:  # it imports what only a predictor of masks needs
    from kdkit_pose.masks import LoadedPredictor


class Predictor:
    """A network with all that turns its heatmaps into keypoints: crop, flip test, decoding, way back.

    It is the same path as evaluation's, :func:`kdkit_pose.evaluation.predict`: for the same boxes it gives the
    same keypoints.

    Args:
        network: From images, and perhaps masks, to heatmaps; moved to ``device``.
        codec: The convention that the network was trained with.
        skeleton: The keypoints' names and order.
        flip: Average with the mirrored input's maps: better, at twice the time.
        device: Where to run; by default where the network is.
        batch_size: Persons at a time.
        mask_predictor: Predicts the masks of persons who are given none, for a network that reads masks; from
            :func:`kdkit_pose.masks.load`, and moved to ``device``.

    Raises:
        ConfigurationError: The network gives other keypoints than the skeleton's, or was loaded as one of another
            codec, or reads no masks and there is a ``mask_predictor``; a batch size below 1.
    """

    def __init__(
        self,
        network: nn.Module,
        codec: Codec,
        skeleton: Skeleton = COCO,
        *,
        flip: bool = True,
        device: torch.device | str | None = None,
        batch_size: int = 64,
        mask_predictor: "LoadedPredictor | None" = None,
    ) -> None:
        found = getattr(network, "num_keypoints", skeleton.num_keypoints)
        if found != skeleton.num_keypoints:
            raise ConfigurationError(
                f"the network finds {found} keypoints, skeleton {skeleton.name!r} has {skeleton.num_keypoints}: "
                "give the skeleton that it was trained with"
            )
        require_convention(network, codec, skeleton)
        if batch_size < 1:
            raise ConfigurationError(f"batch_size must be 1 or more, found {batch_size}")
        self.network = network if device is None else network.to(device)
        self.codec, self.skeleton, self.flip, self.batch_size = codec, skeleton, flip, batch_size
        self.mask_predictor = mask_predictor
        if mask_predictor is not None:
            if not self.reads_masks:
                raise ConfigurationError(
                    f"{_name(network)} reads no masks, so a mask predictor would change nothing: leave it out"
                )
            if device is not None:
                mask_predictor.predictor.to(device)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        codec: Codec | None = None,
        skeleton: Skeleton | None = None,
        flip: bool = True,
        device: torch.device | str | None = None,
        mask_predictor: "LoadedPredictor | None" = None,
    ) -> "Predictor":
        """The predictor that a checkpoint holds; kdkit's own files say everything themselves.

        Args:
            path: Such as a run's ``student.safetensors``.
            codec: For a file that does not say which one it was trained with; with one that does, only the
                decoder may be another.
            skeleton: For a file that does not say it; COCO's by default, for 17 keypoints.
            flip: As for the class.
            device: As for the class.
            mask_predictor: As for the class.

        Raises:
            CheckpointError: The file cannot be used, or does not say which network it holds.
            ConfigurationError: It does not say which codec or skeleton it was trained with, or says another one.
        """
        network, _, found = load_described(path)
        said = codecs.from_metadata(found.metadata) if codec is None or "codec" in found.metadata else codec
        known = Skeleton.from_metadata(found.metadata) if "skeleton" in found.metadata else None
        chosen, origin = skeleton or known, "the skeleton given"
        if chosen is None:
            chosen, origin = _assumed(network.num_keypoints, path), "the skeleton assumed"
        check_keypoints(path, known, found.keypoints, chosen, origin)
        if codec is not None and (differences := said.differences(codec)):
            raise ConfigurationError(
                f"{path} was trained with another codec than the one given ({'; '.join(differences)}): its "
                "heatmaps would be misread; leave codec out, or give one that differs only in its decoder"
            )
        return cls(network, codec or said, chosen, flip=flip, device=device, mask_predictor=mask_predictor)

    @property
    def reads_masks(self) -> bool:
        """Whether the network needs each person's mask."""
        return "mask" in getattr(self.network, "inputs", ("image",))

    def predict(
        self,
        picture: Picture,
        boxes: npt.ArrayLike | None = None,
        *,
        box_scores: npt.ArrayLike | None = None,
        masks: Sequence[Mask] | None = None,
        heatmaps: bool = False,
    ) -> Poses:
        """Find one person's keypoints in each box.

        Args:
            picture: RGB uint8 [H, W, 3].
            boxes: [N, 4], left, top, width and height in pixels of the picture; without them the whole picture
                is taken for the one box of one person.
            box_scores: [N], the detector's, by which the poses' scores are multiplied; 1 by default.
            masks: N of them, for a network that reads them. A person whose mask is None gets the predictor's,
                or, without one, a mask of ones.
            heatmaps: Whether to keep the heatmaps, too.

        Returns:
            A pose for each box, in their order. Near duplicates are left to :meth:`Poses.distinct`.

        Raises:
            DataError: The picture is of another shape or type, a box is empty or not finite, or numbers of
                boxes, scores and masks differ.
            ConfigurationError: The network reads masks, and there are neither masks nor a predictor of them; or
                there are masks and it reads none.
        """
        width, height = picture_size(picture)
        placed = numbers([[0, 0, width, height]] if boxes is None else boxes, (None, 4), "boxes")
        persons = len(placed)
        trust = numbers(np.ones(persons) if box_scores is None else box_scores, (persons,), "box_scores")
        read = self._masks(masks, picture, placed)
        aspect = self.codec.input_size[0] / self.codec.input_size[1]
        crops = [box_to_center_scale(box, aspect) for box in placed]
        centers = np.array([center for center, _ in crops]).reshape(-1, 2)
        scales = np.array([scale for _, scale in crops]).reshape(-1, 2)
        batches = self._batches(picture, centers, scales, trust, None if read is None else MaskStore.pack(read))
        found = predict(
            self.network, batches, self.codec, skeleton=self.skeleton, flip=self.flip, keep_heatmap=heatmaps
        )
        shape = (persons, self.skeleton.num_keypoints)
        maps = np.array([result["heatmap"] for result in found], dtype=np.float32) if heatmaps else None
        return Poses(
            keypoints=np.array([result["keypoints"] for result in found]).reshape(*shape, 3),
            scores=np.array([result["score"] for result in found], dtype=np.float64),
            boxes=placed,
            box_scores=trust,
            centers=centers,
            scales=scales,
            heatmaps=None if maps is None else maps.reshape(*shape, *self.codec.heatmap_size[::-1]),
            masks=read,
        )

    def _batches(
        self, picture: Picture, centers: Array, scales: Array, box_scores: Array, masks: MaskStore | None
    ) -> Iterator[dict[str, torch.Tensor]]:
        for first in range(0, len(centers), self.batch_size):
            rows = range(first, min(first + self.batch_size, len(centers)))
            matrices = [self.codec.affine(centers[row], scales[row]) for row in rows]
            images = [network_input(picture, matrix, self.codec.input_size) for matrix in matrices]
            batch = {
                "image": torch.from_numpy(np.stack(images)),
                "id": torch.tensor(list(rows)),
                "image_id": torch.zeros(len(rows), dtype=torch.int64),
                "center": torch.from_numpy(centers[rows.start : rows.stop]),
                "scale": torch.from_numpy(scales[rows.start : rows.stop]),
                # As data sets hold it.
                "box_score": torch.tensor(box_scores[rows.start : rows.stop], dtype=torch.float32),
            }
            if masks is not None:
                warped = [
                    masks.warp(row, matrix, self.codec.input_size)
                    for row, matrix in zip(rows, matrices, strict=True)
                ]
                batch["mask"] = torch.from_numpy(np.stack(warped))[:, None]
            yield batch

    def _masks(
        self, masks: Sequence[Mask] | None, picture: Picture, boxes: Array
    ) -> tuple[EncodedMask | None, ...] | None:
        """What the network reads of each person: the masks given, and predicted ones where there is none."""
        if not self.reads_masks:
            if masks is not None:
                raise ConfigurationError(f"{_name(self.network)} reads no masks: leave them out")
            return None
        if masks is None and self.mask_predictor is None:
            raise ConfigurationError(
                f"{_name(self.network)} reads each person's mask: give masks, one for each box, or a "
                "mask_predictor, or take a network that needs none, such as its student"
            )
        if masks is not None and len(masks) != len(boxes):
            raise DataError(f"{len(boxes)} boxes need as many masks, found {len(masks)}")
        height, width = picture.shape[:2]
        known = [encoded(mask, width, height) for mask in ([None] * len(boxes) if masks is None else masks)]
        missing = [row for row, mask in enumerate(known) if mask is None]
        if self.mask_predictor is not None and missing:
            found = self.mask_predictor.predict(picture, boxes[missing], batch_size=self.batch_size)
            for row, mask in zip(missing, found, strict=True):
                known[row] = mask
        return tuple(known)

    def __repr__(self) -> str:
        return (
            f"Predictor({_name(self.network)}, {self.codec!r}, skeleton={self.skeleton.name!r}, flip={self.flip})"
        )


def _name(network: nn.Module) -> str:
    return str(getattr(network, "name", type(network).__name__))


def _assumed(num_keypoints: int, path: str | Path) -> Skeleton:
    if num_keypoints == COCO.num_keypoints:
        return COCO
    raise ConfigurationError(
        f"{path} finds {num_keypoints} keypoints and does not say which: give its skeleton, for instance "
        "kdkit_pose.skeleton.CROWDPOSE or Skeleton.from_category(category)"
    )
