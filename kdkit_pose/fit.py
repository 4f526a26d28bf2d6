"""Training a pose network on a pose data set: what the commands and the demonstration share."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from kdkit import (
    ConfigurationError,
    Constant,
    Cosine,
    Curriculum,
    Distiller,
    Performance,
    Schedule,
    Step,
    Trainer,
    TrainingResult,
)
from kdkit.streaming import StreamLoader
from kdkit.training.run_folder import RunFolder
from kdkit_pose import models, recipes
from kdkit_pose.cached_samples import cached_teachers, common_views, with_records
from kdkit_pose.codecs import Codec
from kdkit_pose.convention import require_convention
from kdkit_pose.data import PoseDataset
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.models import PoseNetwork
from kdkit_pose.pose_student import pose_student
from kdkit_pose.probability_losses import check_probability_losses
from kdkit_pose.skeleton import Skeleton
from kdkit_pose.training_batches import order_settings, training_batches

RateName = Literal["step", "cosine", "constant"]
Prepare = Callable[[dict[str, Tensor]], dict[str, Tensor]]


# On what is learned; a run may be gone on with under others.
_WITHOUT_EFFECT = ("workers", "checkpoint_steps", "keep", "tensorboard", "cpu", "progress", "spike")


@dataclass(frozen=True)
class FitSettings:
    """How to train, whatever is trained.

    Args:
        batch_size: samples an optimizer step.
        learning_rate: Adam's, at the start.
        schedule: of the learning rate over the run: ``step`` (times 0.1 after 170/210 and again after 200/210
            of it, the HRNet reference's), ``cosine`` (to 1 per cent) or ``constant``.
        warmup_steps: steps over which the rate rises, at the run's beginning.
        workers: processes that read samples; 0 reads in this one.
        precision: ``no``, ``bf16`` or ``fp16`` for the student; by default ``no``, and with ``performance="max"``
            bf16 where a CUDA device computes in it.
        performance: ``default``, ``max`` for all that makes a step faster, or the parts of it that are wanted, see
            :class:`kdkit.Performance`.
        ema: decay of a moving average of the student, or None.
        clip_norm: the gradient's largest norm, or None.
        seed: of initial weights, sample order and augmentation.
        evaluate_every: epochs between evaluations.
        export: whether the ``best`` or the ``last`` student is written.
        checkpoint_steps: optimizer steps between checkpoints inside an epoch; there is one at every epoch's end.
        keep: how many of the newest checkpoints stay, beside the best.
        tensorboard: also write the curves for TensorBoard, into the run's folder.
        cpu: stay on the CPU even where there is an accelerator.
        progress: show bars and lines.
        spike: tell of a loss that is more than so many times its running mean, see :class:`kdkit.Spike`.
    """

    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: RateName = "step"
    warmup_steps: int = 0
    workers: int = 0
    precision: Literal["no", "bf16", "fp16"] | None = None
    performance: Literal["default", "max"] | Performance = "default"
    ema: float | None = None
    clip_norm: float | None = None
    seed: int = 0
    evaluate_every: int = 10
    export: Literal["best", "last"] = "best"
    checkpoint_steps: int | None = None
    keep: int = 2
    tensorboard: bool = False
    cpu: bool = False
    progress: bool = True
    spike: float | None = None

    def rate(self) -> Schedule:
        """Return the learning rate over the run.

        Raises:
            ConfigurationError: if the schedule's name is unknown, or the rate is not above 0.
        """
        rate = self.learning_rate
        if not 0 < rate < math.inf:
            raise ConfigurationError(f"the learning rate is {rate}, it must be a number above 0")
        if self.schedule == "step":
            return Step(rate, {170 / 210: rate * 0.1, 200 / 210: rate * 0.01}, over="run")
        if self.schedule == "cosine":
            return Cosine(rate, rate * 0.01, over="run")
        if self.schedule == "constant":
            return Constant(rate)
        raise ConfigurationError(f"schedule '{self.schedule}' must be 'step', 'cosine' or 'constant'")

    def to_config(self) -> dict[str, Any]:
        """Return what names a run: all but what has no effect on what is learned."""
        config = {name: value for name, value in asdict(self).items() if name not in _WITHOUT_EFFECT}
        if self.performance == "default":  # as in the runs of before there was another
            config["precision"] = self.precision or "no"
            del config["performance"]
        return config


def check_run_folder(out: str | Path, settings: FitSettings, config: Mapping[str, Any]) -> None:
    """Check that a run can begin in a folder, or go on there, as far as it is known yet; nothing is changed.

    :func:`fit` checks the same, and the data and the network; this is for before they are made.

    Args:
        out: the run's folder.
        settings: how to train.
        config: what else names the run, or some of it.

    Raises:
        RunFolderError: if the folder holds another run, or cannot be written to.
    """
    RunFolder(out).check({"config": {**settings.to_config(), **config}}, partial=True)


def fit(
    network: PoseNetwork,
    curriculum: Curriculum,
    train: PoseDataset,
    out: str | Path,
    settings: FitSettings,
    *,
    evaluator: Evaluator | None = None,
    codec: Codec | None = None,
    config: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    before_training: Callable[[], object] | None = None,
) -> TrainingResult:
    """Take a network through a curriculum on a data set, or go on where the folder's run was left.

    Where a teacher is a :class:`kdkit.CachedTeacher`, also within another, the views of the persons repeat, as
    many as all caches have. Its records, and a :class:`kdkit.cache.CanonicalTeacher`'s, are read by the loader's
    workers if it is told a field for them (``records=``).

    Args:
        network: the student; one that reads ``mask`` too is trained with it. It may start from weights of another
            codec, and learns the data set's, which it then knows as its own.
        curriculum: the stages; a plain one has no teachers. A stage without a learning rate gets the settings'.
            Every stage has an objective for each of ``network.heatmap_outputs``, see
            :func:`kdkit_pose.pose_student`.
        train: the training persons, decoded, packed or streamed.
        out: the run's folder.
        settings: how to train.
        evaluator: gives the metrics, ``val/AP`` among them. Its ground truth and persons name the run too. The
            student is decoded as its file will say, whatever the evaluator's decoder.
        codec: how to decode the finished student, written into its file; by default the data set's codec, by
            ``centroid`` where :func:`kdkit_pose.recipes.decoder_for` finds discs. Only the decoder may be another.
        config: what else names the run, of plain JSON types; a run is only gone on with under the same.
        notes: what else is written down of it, such as where files lie; it is never compared.
        before_training: called when all is known to fit and nothing is written yet, unless the run is finished
            already: for what takes long, such as :func:`kdkit_pose.teacher_check.check_teachers`.

    Raises:
        ConfigurationError: if something does not fit together, such as a loss of probabilities and a network
            without a sigmoid, or a stage leaves out one of several heatmaps.
        BatchError: if student, teachers and data do not fit together.
        RunFolderError: if the folder holds another run, or cannot be written to.
    """
    codec, evaluator = decoding(curriculum, train, codec, evaluator)
    distiller, batches = prepared(network, curriculum, train, settings, evaluator=evaluator, codec=codec)
    # Before the trainer, which copies the network where it averages.
    with learning(network, codec, train.skeleton):
        arguments = trainer_arguments(
            network, train, out, settings, evaluator=evaluator, config=config, notes=notes
        )
        trainer = Trainer(distiller, batches, **arguments)
        trainer.check_folder()
        if before_training is not None and not trainer.folder.finished:
            before_training()
    # Dropout and the like draw from the global generator.
    torch.manual_seed(settings.seed)
    return trainer.fit()


def decoding(
    curriculum: Curriculum, train: PoseDataset, codec: Codec | None, evaluator: Evaluator | None
) -> tuple[Codec, Evaluator | None]:
    """Return the finished student's codec, and the evaluator that reads it so."""
    if codec is None:
        discs = recipes.decoder_for(curriculum) == "centroid"
        codec = replace(train.codec, decoder="centroid") if discs else train.codec
    # Any callable will do for the trainer.
    return codec, evaluator.decoded_by(codec.decoder) if isinstance(evaluator, Evaluator) else evaluator


def prepared(
    network: PoseNetwork,
    curriculum: Curriculum,
    train: PoseDataset,
    settings: FitSettings,
    *,
    evaluator: Evaluator | None,
    codec: Codec,
) -> tuple[Distiller, DataLoader[Any] | StreamLoader]:
    """Return the distiller and the loader of :func:`fit`, once all is known to fit together."""
    check_batch_size(settings, train)
    require_convention(evaluator, train.codec)
    if not codec.same_convention(train.codec):
        raise ConfigurationError(
            f"the student's file would say {codec!r}, but it learns {train.codec!r}: "
            f"{', '.join(codec.differences(train.codec))}; only the decoder may differ"
        )
    check_probability_losses(network, curriculum)
    distiller = Distiller(pose_student(network), _with_rate(curriculum, settings))
    # What does not fit is noticed before the folder is made.
    cached = cached_teachers(distiller.teachers)
    samples = with_records(train, cached)
    distiller.check(_first(samples, train.prepare))
    given: dict[str, Any] = {"seed": settings.seed, "workers": settings.workers, "views": common_views(cached)}
    return distiller, training_batches(train, samples, settings.batch_size, **given)


def trainer_arguments(
    network: PoseNetwork,
    train: PoseDataset,
    out: str | Path,
    settings: FitSettings,
    *,
    evaluator: Evaluator | None,
    config: Mapping[str, Any] | None,
    notes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the :class:`kdkit.Trainer`'s arguments of :func:`fit`, for a network that knows what it learns."""
    predicted = train.masks_predicted
    described = {
        **settings.to_config(),
        "model": models.describe(network),
        "data": train.fingerprint(),
        **order_settings(train, settings.batch_size),
        "predicted_masks": None if predicted is None else predicted.to_json(),
        **_held_out(evaluator),
        **(config or {}),
    }
    return {
        "optimizer": partial(torch.optim.Adam, lr=settings.learning_rate, fused=True),
        "out": out,
        "prepare": train.prepare,
        "evaluate": evaluator,
        "evaluate_every": settings.evaluate_every,
        "monitor": "val/AP" if evaluator is not None else None,
        "export": settings.export,
        "precision": settings.precision,
        "performance": settings.performance,
        "ema": settings.ema,
        "clip_norm": settings.clip_norm,
        "checkpoint_steps": settings.checkpoint_steps,
        "keep": settings.keep,
        "config": described,
        "notes": {**_left_out(train, evaluator), **(notes or {})},
        "metadata": {
            **models.describe(network),
            **network.usage,
            **({} if predicted is None else {"masks": str(predicted)}),
        },
        "trackers": ("tensorboard",) if settings.tensorboard else (),
        "cpu": settings.cpu,
        "progress": settings.progress,
        "spike": settings.spike,
    }


def _left_out(train: PoseDataset, evaluator: Evaluator | None) -> dict[str, Any]:
    """Return how many persons were left out, by reason."""
    val = evaluator.left_out if isinstance(evaluator, Evaluator) else {}
    return {"left_out": {"train": dict(train.skipped.left_out.counts), "val": val}}


def _first(samples: Any, prepare: Prepare | None) -> dict[str, Tensor]:
    """The first training person as a batch of one, as it is learned from."""
    batch: dict[str, Tensor] = default_collate([samples[0]])
    return batch if prepare is None else prepare(batch)


@contextmanager
def learning(network: PoseNetwork, codec: Codec, skeleton: Skeleton) -> Iterator[None]:
    """Let a network know what it learns from now on, unless what prepares the training fails."""
    before = network.codec, network.skeleton, network.keypoints
    network.codec, network.skeleton, network.keypoints = codec, skeleton, skeleton.keypoints
    try:
        yield
    except BaseException:
        network.codec, network.skeleton, network.keypoints = before
        raise


def _held_out(evaluator: Evaluator | None) -> dict[str, str]:
    """What a run's figures are of: one gone on with under others would choose its best epoch among both."""
    # Any callable will do for the trainer; one of another kind may not say.
    fingerprint = getattr(evaluator, "fingerprint", None)
    return {} if fingerprint is None else {"validation": fingerprint()}


def check_batch_size(settings: FitSettings, train: PoseDataset) -> None:
    """Require at least one whole batch.

    Raises:
        ConfigurationError: if there are fewer persons than a batch holds.
    """
    if settings.batch_size > len(train):
        raise ConfigurationError(
            f"the batch size is {settings.batch_size}, but there are only {len(train)} training persons: lower it"
        )


def _with_rate(curriculum: Curriculum, settings: FitSettings) -> Curriculum:
    """Return the curriculum with the settings' rate in stages that have none of their own, and their warm-up."""
    rate = settings.rate()
    first, *others = (
        stage if stage.learning_rate is not None else replace(stage, learning_rate=rate) for stage in curriculum
    )
    return Curriculum(replace(first, warmup_steps=settings.warmup_steps or first.warmup_steps), *others)
