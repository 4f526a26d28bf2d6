"""Persons of a COCO keypoint file as training and evaluation samples."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose.codecs import Codec
from kdkit_pose.data.annotations import check_coco, parse_persons, read_json
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.boxes import parse_boxes
from kdkit_pose.data.categories import person_categories
from kdkit_pose.data.collating import empty_batch
from kdkit_pose.data.images import Picture, PictureFolder, PictureSource, read_picture
from kdkit_pose.data.mask_filling import fill_masks, masks_for
from kdkit_pose.data.normalize import network_input
from kdkit_pose.data.people import Array, People
from kdkit_pose.data.pictures import Pictures
from kdkit_pose.data.pose_dataset import PoseDataset
from kdkit_pose.data.predicted_masks import PredictedMasks
from kdkit_pose.data.skipped import Skipped
from kdkit_pose.skeleton import COCO, Skeleton

Unlabelled = Literal["leave out", "keep"]
"""What becomes of persons without a labelled keypoint."""


class CocoKeypoints(PoseDataset):
    """The persons of a COCO keypoint file, each cut from its picture as the top-down protocol does.

    Args:
        annotations: The file, or its content.
        images: The folder of the pictures, or a function from an entry of ``images`` to RGB uint8 [H, W, 3].
        codec: The heatmap convention, which also gives the input's size and affine map.
        augment: How the views of a person vary; not at all without it.
        skeleton: Which keypoints the file holds.
        seed: What the variations derive from, together with a person's id and the view.
        boxes: A detector's boxes, a file or its content in COCO's result format, to be evaluated instead of
            the ground truth's. Samples then have neither ``mask``, ``heatmap``, ``visible`` nor
            ``keypoints``, unless ``unlabelled`` persons are kept. Of ``annotations`` only ``images`` are needed.
        verify: Whether to look at each picture file now. Bad ones are left out and counted, unless none is
            there; otherwise they raise when they are read.
        masks: Whether samples have a ``mask``; by default they do, except with ``boxes`` that have no
            ``predicted_masks``.
        cache_images: Whether to keep decoded pictures in memory, in each worker: for small sets.
        predicted_masks: What :func:`kdkit_pose.masks.predict_masks` made for these annotations, or for these
            ``boxes``, or its file: the masks of persons without a segmentation. Annotated masks stay.
        unlabelled: Whether to ``"leave out"`` persons without a labelled keypoint, as the protocol does, or to
            ``"keep"`` them, for teachers alone to teach: annotations with no keypoints or only zeros, and
            ``boxes``, which may then be augmented. Their ``heatmap``, ``visible`` and ``keypoints`` are 0, so no
            ground truth is learned from them; a teacher's term must not be weighted by ``visible`` (see the
            recipes' ``teacher_region``).
        box_threshold: The least score of a detector's box.
        canonical: Whether samples have ``warp`` and ``mirrored``, for a `kdkit.cache.CanonicalTeacher`.

    A sample is a dict of tensors:

    ========  ==================  ==================================================================
    image     [3, H, W] float32   RGB, ImageNet's mean and standard deviation taken out
    mask      [1, H, W] float32   the same person's segmentation, in [0, 1]
    heatmap   [K, h, w] float32   the codec's target
    visible   [K] float32         the codec's weight, 0 or 1
    keypoints [K, 2] float32      x and y in pixels of the input; (0, 0) where not labelled
    id        int64               the annotation's id, or the place in ``boxes``
    view      int64               the view the sample is of
    image_id  int64               the picture's id
    center    [2] float64         the middle of the crop, in pixels of the (unmirrored) picture
    scale     [2] float64         the crop's width and height, in pixels of the picture
    box_score float32             the detector's score; 1 for ground truth
    warp      [2, 3] float32      with ``canonical``: the map from cells of the view's heatmap to those of
                                  the heatmap without augmentation
    mirrored  bool                with ``canonical``: whether left and right are exchanged
    ========  ==================  ==================================================================

    It is read by an index, which means view 0, or by (index, view), as `kdkit.sampling.ViewSampler` yields
    them. What it holds depends on (seed, id, view) alone, not on workers or order.

    Attributes:
        skipped: What was left out, and why.
        image_ids: The pictures to be scored: all of the file's, but for those that were needed and cannot be
            read.
        masks_predicted: Which predictor's masks were taken, and for how many persons; None for none.
        people: The persons as arrays, in pixels of the pictures.
        annotations: The file, or its content.
        images: Where the pictures come from.
        entries: What the annotations say of each person's picture, by its id.
        detector_boxes: A detector's boxes, if they were given.
        unlabelled: What became of persons without a labelled keypoint.
        box_threshold: The least score of a detector's box.

    Raises:
        DataError: The annotations are no COCO keypoint file for the skeleton, an annotation is malformed, a
            picture's name leads out of the folder, the folder has none of the pictures, or no usable person is
            left.
        ConfigurationError: ``boxes`` together with ``augment``, or with ``masks`` that were not predicted, unless
            ``unlabelled`` persons are kept; ``predicted_masks`` without masks.
    """

    def __init__(
        self,
        annotations: str | Path | Mapping[str, Any],
        images: str | Path | PictureSource,
        *,
        codec: Codec,
        augment: Augment | None = None,
        skeleton: Skeleton = COCO,
        seed: int = 0,
        boxes: str | Path | Sequence[Mapping[str, Any]] | None = None,
        verify: bool = True,
        masks: bool | None = None,
        cache_images: bool = False,
        predicted_masks: str | Path | PredictedMasks | None = None,
        unlabelled: Unlabelled = "leave out",
        box_threshold: float = 0.0,
        canonical: bool = False,
    ) -> None:
        if unlabelled not in get_args(Unlabelled):
            raise ConfigurationError(f"unlabelled must be one of {get_args(Unlabelled)}, found {unlabelled!r}")
        keep = unlabelled == "keep"
        if boxes is not None and not keep and (augment is not None or (masks and predicted_masks is None)):
            raise ConfigurationError(
                "detector boxes have no keypoints and no masks, so "
                f"{'augment' if augment is not None else 'masks, unless predicted,'} "
                "cannot be used with them; leave it out, or leave out boxes to use the ground truth's, or give "
                "unlabelled='keep' to train on them by teachers alone"
            )
        if predicted_masks is not None and masks is False:
            raise ConfigurationError("predicted_masks are of no use with masks=False: leave out one of the two")
        self.codec, self.augment, self.skeleton, self.seed = codec, augment, skeleton, seed
        self.canonical = canonical
        self.has_targets = boxes is None or keep
        self.has_masks = boxes is None or predicted_masks is not None if masks is None else masks
        self.detector_boxes, self.unlabelled, self.box_threshold = boxes, unlabelled, box_threshold
        self.skipped = Skipped()
        self.annotations: Path | Mapping[str, Any]
        self.annotations = annotations if isinstance(annotations, Mapping) else Path(annotations)
        self.images = images if callable(images) else PictureFolder(Path(images))
        content, self._digest = self._read_annotations()
        name = "annotations" if isinstance(annotations, Mapping) else str(annotations)
        check_coco(content, name, skeleton, annotated=boxes is None)
        pictures = Pictures(content, name, self.images, verify=verify)
        if boxes is None:
            persons = parse_persons(
                *(content, name, skeleton, pictures, self.skipped), masks=self.has_masks, keep_unlabelled=keep
            )
        else:
            categories = person_categories(content, name)
            persons = parse_boxes(boxes, pictures, self.skipped, categories=categories, threshold=box_threshold)
        self.masks_predicted = None
        if self.has_masks:
            predicted = None if predicted_masks is None else masks_for(predicted_masks, annotations, boxes)
            persons, self.masks_predicted = fill_masks(persons, predicted, pictures.entries, self.skipped)
        if not persons:
            raise DataError(f"{name}: no usable person\n{self.skipped}")
        if boxes is not None and keep:
            persons = [person.unlabelled(skeleton.num_keypoints) for person in persons]
        width, height = codec.input_size
        self.people = People.pack(persons, aspect=width / height)
        self.image_ids = tuple(sorted(pictures.entries.keys() - pictures.unusable))
        self.entries = pictures.entries_of(self.people.image_ids.tolist())
        self._cache: dict[int, Picture] | None = {} if cache_images else None

    @property
    def own_masks(self) -> tuple[bool, ...]:
        """For each sample, whether its mask is the person's, annotated or predicted, and not a mask of ones."""
        return tuple((self.people.masks.windows[:, 2] > 0).tolist())

    def coco_dict(self) -> Mapping[str, Any]:
        """The annotations just as they were given, for pycocotools; read again, not kept in memory.

        Raises:
            DataError: The file is not the one it was when this data set was made.
        """
        content, digest = self._read_annotations()
        if digest != self._digest:
            raise DataError(
                f"{self.annotations}: the file has changed since it was first read; begin again with it"
            )
        return content

    def fingerprint(self) -> str:
        """A SHA-256 of what the samples depend on: persons, boxes, keypoints, masks, pictures' sizes and
        names, input geometry, skeleton, augmentation and seed. The pictures' content is not in it."""
        parts = (
            *(self.people.digest(), self.codec.name, self.codec.input_size, self.codec.heatmap_size),
            *(self.codec.sigma, self.skeleton, self.augment, self.seed, self.has_targets, self.has_masks),
            self._listed(),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def source_fingerprint(self) -> str:
        """A SHA-256 of the persons alone, as :meth:`fingerprint` has them: without the codec, but for the crops'
        aspect, without augmentation and seed."""
        parts = (self.people.digest(), self.skeleton, self.has_targets, self.has_masks, self._listed())
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def __repr__(self) -> str:
        boxes = "ground-truth" if self.detector_boxes is None else "detector"
        return f"CocoKeypoints({len(self)} {boxes} boxes in {len(self.entries)} pictures, codec={self.codec!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A worker started afresh reads its own pictures.
        return self.__dict__ | {"_cache": None if self._cache is None else {}}

    def _listed(self) -> list[tuple[Any, ...]]:
        return sorted((i, e.get("file_name"), e["width"], e["height"]) for i, e in self.entries.items())

    def _picture_width(self, row: int) -> int:
        return int(self.entries[int(self.people.image_ids[row])]["width"])

    def _empty_fields(self, count: int) -> dict[str, Tensor]:
        (width, height), (columns, rows) = self.codec.input_size, self.codec.heatmap_size
        shapes: dict[str, tuple[int, ...]] = {"image": (3, height, width)}
        if self.has_masks:
            shapes["mask"] = (1, height, width)
        if self.has_targets:
            joints = self.skeleton.num_keypoints
            shapes |= {"heatmap": (joints, rows, columns), "visible": (joints,), "keypoints": (joints, 2)}
        return {name: empty_batch((count, *shape), torch.float32) for name, shape in shapes.items()}

    def _fill(self, row: int, matrix: Array, flip: bool, sample: dict[str, Any]) -> None:
        picture = self._picture(self.entries[int(self.people.image_ids[row])])
        network_input(picture, matrix, self.codec.input_size, sample["image"])
        if self.has_masks:
            self.people.masks.warp(row, matrix, self.codec.input_size, sample["mask"][0])
        if self.has_targets:
            keypoints, labelled = self._keypoints(row, matrix, flip=flip)
            self.codec.encode_into(keypoints, labelled, sample["heatmap"], sample["visible"])
            sample["keypoints"][:] = keypoints

    def _picture(self, entry: Mapping[str, Any]) -> Picture:
        picture = None if self._cache is None else self._cache.get(entry["id"])
        if picture is None:
            picture = read_picture(self.images, entry)
            if self._cache is not None:
                self._cache[entry["id"]] = picture
        return picture

    def _read_annotations(self) -> tuple[Mapping[str, Any], str]:
        if isinstance(self.annotations, Path):
            return read_json(self.annotations)
        return self.annotations, ""
