"""The persons to train and to evaluate on, and a run's description, from options."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from kdkit_pose.cli.cut_persons import open_cut
from kdkit_pose.cli.loading import content_of_file, content_of_weights
from kdkit_pose.cli.masks_needed import require_masks
from kdkit_pose.cli.option_groups import DataFiles, Fitting, UnlabelledPersons
from kdkit_pose.cli.present import truth_of_present
from kdkit_pose.cli.show import describe_data, show_doubtful_masks
from kdkit_pose.codecs import Codec
from kdkit_pose.data import Augment, CocoKeypoints, PictureFolder, PoseDataset, loader
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class TrainingData:
    """The persons of a run.

    Args:
        train: to learn from.
        val: to evaluate on, in ground-truth boxes, or None.
    """

    train: PoseDataset
    val: CocoKeypoints | None

    @cached_property
    def evaluator(self) -> Evaluator | None:
        """What evaluates on the validation persons, decoding as their codec says."""
        if (val := self.val) is None:
            return None
        truth, _ = truth_of_present(val)  # persons in missing pictures do not count as not found
        return Evaluator(loader(val, 64), truth, val.codec, skeleton=val.skeleton)

    @property
    def config(self) -> dict[str, Any]:
        """What names the run and is only known with the data, beside what `fit` says of the training persons."""
        predicted = None if self.val is None else self.val.masks_predicted
        return {
            **({} if predicted is None else {"val_masks": str(predicted)}),
            "pictures": digest_of_pictures(self.train),
            "val_pictures": None if self.val is None else digest_of_pictures(self.val),
        }


def load_data(
    files: DataFiles,
    codec: Codec,
    skeleton: Skeleton,
    fitting: Fitting,
    console: Console,
    *,
    masks: bool,
    reader: str,
    unlabelled: UnlabelledPersons | None = None,
    val_masks: bool | None = None,
    cache_images: bool = False,
) -> TrainingData:
    """Return the persons that the options name, and say how many there are and what was left out.

    Args:
        files: where they are.
        codec: what their heatmaps mean.
        skeleton: their keypoints.
        fitting: whether the training persons are augmented, as the reference does it, and by which seed.
        console: where to say it.
        masks: whether some network reads masks.
        reader: what does, for an error.
        unlabelled: whom teachers alone teach.
        val_masks: whether a network that is evaluated reads masks; as ``masks`` by default.
        cache_images: whether decoded pictures are kept in memory, in each worker.

    Raises:
        DataError: if a file cannot be used, or masks are read and nobody has one.
        ConfigurationError: if the persons that were cut out are not what the options name.
    """
    unlabelled = unlabelled or UnlabelledPersons()
    val_masks = masks if val_masks is None else val_masks
    train: PoseDataset
    if (cut := open_cut(files, codec, skeleton, fitting, unlabelled, masks=masks)) is not None:
        train = cut
        told = "packed" if files.packed is not None else "in shards"
        remedy = f"--predicted-masks to kdkit-pose {cut.command}"
        _show(train, f"training persons, {told} in '{cut.path}',", reader, remedy, console)
    else:
        train = CocoKeypoints(
            *(files.train_annotations, files.images),
            codec=codec,
            augment=Augment() if fitting.augment else None,
            skeleton=skeleton,
            masks=masks,
            seed=fitting.seed,
            unlabelled="keep" if unlabelled.any else "leave out",
            boxes=unlabelled.boxes,
            box_threshold=unlabelled.box_threshold,
            predicted_masks=files.predicted_masks if masks else None,
            cache_images=cache_images,
        )
        _show(train, "training persons", reader, "--predicted-masks", console)
    if files.val_annotations is None:
        return TrainingData(train, None)
    val = CocoKeypoints(
        *(files.val_annotations, files.val_images or files.images),
        codec=codec,
        skeleton=skeleton,
        masks=val_masks,
        predicted_masks=files.val_predicted_masks if val_masks else None,
        cache_images=cache_images,
    )
    _show(val, "validation persons", reader, "--val-predicted-masks", console)
    if missing := len(truth_of_present(val)[1]):
        told = f"{missing} of the validation {'is' if missing == 1 else 'are'} missing"
        console.print(f"warning: AP is of the other pictures: {told}")
    return TrainingData(train, val)


def _show(data: PoseDataset, what: str, reader: str, remedy: str, console: Console) -> None:
    console.print(describe_data(data, what), markup=False)
    require_masks(data, reader, remedy)
    if data.masks_predicted is not None:
        show_doubtful_masks(data.masks_predicted.source, console)


def describe_run(
    files: DataFiles,
    codec: Codec,
    fitting: Fitting,
    *,
    checkpoint: Path | None,
    pretrained: str | None,
    further: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what names a run beside its settings, as far as it is known without the data, wherever files lie.

    Args:
        files: the data's.
        codec: the finished student's.
        fitting: how it is trained.
        checkpoint: the weights it starts from.
        pretrained: those of its trunk.
        further: what a command adds.

    Raises:
        OSError: if a file of weights or the file of masks for the validation cannot be read.
    """
    return {
        "val_predicted_masks": content_of_file(files.val_predicted_masks) if files.val_predicted_masks else None,
        "codec": codec.to_metadata(),
        "augment": fitting.augment,
        "checkpoint": content_of_file(checkpoint) if checkpoint else None,
        "pretrained": content_of_weights(pretrained),
        **further,
    }


def places(
    files: DataFiles, *, checkpoint: Path | None, pretrained: str | None, boxes: Path | None = None
) -> dict[str, str]:
    """Return where a run's files lay when it began: notes, since a run goes on wherever they lie by then."""
    named = {
        "train_annotations": files.train_annotations,
        "images": files.images,
        "packed": files.packed,
        "shards": files.shards,
        "predicted_masks": files.predicted_masks,
        "val_annotations": files.val_annotations,
        "val_images": files.val_images,
        "val_predicted_masks": files.val_predicted_masks,
        "boxes": boxes,
        "checkpoint": checkpoint,
        "pretrained": pretrained,
    }
    return {name: str(path) for name, path in named.items() if path is not None}


def digest_of_pictures(data: PoseDataset, count: int = 8) -> str | None:
    """Return a SHA-256 of some of a folder's picture files, by which it is known again wherever it lies.

    Args:
        data: the persons; their fingerprint says all but what the pictures show.
        count: how many pictures are read, evenly spaced over their ids.

    Returns:
        None for persons whose pictures lie in no folder, those that were cut out, say.
    """
    if not isinstance(data, CocoKeypoints) or not isinstance(data.images, PictureFolder):
        return None
    ids = sorted(data.entries)
    digest = hashlib.sha256()
    for place in range(0, len(ids), -(-len(ids) // count)):
        digest.update(data.images.path(data.entries[ids[place]]).read_bytes())
    return digest.hexdigest()
