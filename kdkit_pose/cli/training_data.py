"""The persons to train and to evaluate on, and a run's description, from options."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from kdkit_pose.cli.cut_persons import open_cut
from kdkit_pose.cli.loading import content_of_file
from kdkit_pose.cli.masks_needed import require_masks
from kdkit_pose.cli.option_groups import DataFiles, Fitting, UnlabelledPersons
from kdkit_pose.cli.present import truth_of_present
from kdkit_pose.cli.show import describe_data, show_doubtful_masks
from kdkit_pose.codecs import Codec
from kdkit_pose.data import Augment, CocoKeypoints, PoseDataset, loader
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
        return {} if predicted is None else {"val_masks": str(predicted)}


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
    """Return what names a run beside its settings, as far as it is known without the data.

    Args:
        files: the data's.
        codec: the finished student's.
        fitting: how it is trained.
        checkpoint: the weights it starts from.
        pretrained: those of its trunk.
        further: what a command adds.

    Raises:
        OSError: if the file of masks for the validation cannot be read.
    """
    return {
        "train_annotations": str(files.train_annotations),
        "images": str(files.images),
        "val_annotations": _text(files.val_annotations),
        "val_predicted_masks": content_of_file(files.val_predicted_masks) if files.val_predicted_masks else None,
        "codec": codec.to_metadata(),
        "augment": fitting.augment,
        "checkpoint": _text(checkpoint),
        "pretrained": pretrained,
        **further,
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
