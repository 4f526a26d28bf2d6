"""Training a mask predictor on the masks that a data set has."""

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate

from kdkit import ConfigurationError, Curriculum, Distiller, Epochs, Stage, Student, Supervise, Trainer
from kdkit_pose.data import CocoKeypoints, loader
from kdkit_pose.fit import FitSettings
from kdkit_pose.masks.losses import bce, dice
from kdkit_pose.masks.persons import masked_persons
from kdkit_pose.masks.predictor import MaskPredictor
from kdkit_pose.masks.saving import describe, save
from kdkit_pose.masks.scores import MaskEvaluator, MaskScores
from kdkit_pose.models.checkpoint_files import open_checkpoint


def fit_masks(
    predictor: MaskPredictor,
    train: CocoKeypoints,
    val: CocoKeypoints,
    out: str | Path,
    settings: FitSettings,
    *,
    epochs: int,
    config: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> MaskScores:
    """Train a mask predictor, or go on where the folder's run was left, and measure it.

    It learns by binary cross-entropy and Dice, in equal parts. ``student.safetensors`` in the folder is the
    predictor, with its scores in the header.

    Args:
        predictor: Holds the last epoch's weights afterwards, or the best's, as the settings' ``export`` says.
        train: The training persons; only those with a mask count. Made with the predictor's codec.
        val: Held-out persons, likewise.
        out: The run's folder.
        settings: How to train.
        epochs: How long.
        config: What else names the run, of plain JSON types; a run is only gone on with under the same.
        notes: What is written to ``config.json`` beside it, and may differ when the run is gone on with.

    Returns:
        The scores of the predictor in the file.

    Raises:
        ConfigurationError: Data of another input size, held-out data that varies its crops, fewer training
            persons than a batch, or batches of one person, from which this architecture cannot learn.
        DataError: No person has a mask.
        RunFolderError: The folder holds another run.
    """
    for data in (train, val):
        if data.codec.input_size != predictor.input_size:
            raise ConfigurationError(
                f"the mask predictor reads crops of {predictor.input_size} (width, height), the data's are of "
                f"{data.codec.input_size}: make the data with the predictor's codec"
            )
    if val.augment is not None:
        raise ConfigurationError("masks are measured on crops as they are: leave augment out of held-out data")
    learners, held_out = masked_persons(train), masked_persons(val)
    if settings.batch_size > len(learners):
        raise ConfigurationError(
            f"the batch size is {settings.batch_size}, but only {len(learners)} training persons have a mask: "
            "lower it"
        )
    _require_batch(predictor, settings.batch_size)
    stage = Stage(
        "masks",
        [Supervise("mask", bce, name="bce"), Supervise("mask", dice, name="dice")],
        until=Epochs(epochs),
        learning_rate=settings.rate(),
        warmup_steps=settings.warmup_steps,
    )
    distiller = Distiller(Student(predictor, predictor.inputs, "mask"), Curriculum(stage))
    # What does not fit is noticed before the folder is made.
    distiller.check(default_collate([learners[0]]))
    batches = loader(
        learners, settings.batch_size, seed=settings.seed, shuffle=True, workers=settings.workers, drop_last=True
    )
    evaluator = MaskEvaluator(loader(held_out, 64))
    # Dropout draws from the global generator.
    torch.manual_seed(settings.seed)
    described = {
        **settings.to_config(),
        "model": describe(predictor),
        "data": train.fingerprint(),
        "val_data": val.fingerprint(),
        **(config or {}),
    }
    result = Trainer(
        distiller,
        batches,
        optimizer=partial(torch.optim.Adam, lr=settings.learning_rate, fused=True),
        out=out,
        evaluate=evaluator,
        evaluate_every=settings.evaluate_every,
        monitor="val/IoU",
        export=settings.export,
        precision=settings.precision,
        performance=settings.performance,
        ema=settings.ema,
        clip_norm=settings.clip_norm,
        checkpoint_steps=settings.checkpoint_steps,
        keep=settings.keep,
        config=described,
        notes=notes,
        metadata=describe(predictor),
        trackers=("tensorboard",) if settings.tensorboard else (),
        cpu=settings.cpu,
        progress=settings.progress,
        spike=settings.spike,
    ).fit()
    predictor.load_state_dict(open_checkpoint(result.student).content)
    scores = evaluator.scores(predictor)
    save(predictor, result.student, scores)
    return scores


def _require_batch(predictor: MaskPredictor, size: int) -> None:
    """Require a batch that the predictor can be trained on: what it pools to one cell needs two persons."""
    if size > 1:
        return
    width, height = predictor.input_size
    probe = copy.deepcopy(predictor).train()  # a forward pass in training changes BatchNorm's means
    try:
        with torch.no_grad():
            probe(torch.zeros(size, 3, height, width), torch.ones(size, 1, height, width))
    except ValueError as error:
        raise ConfigurationError(
            f"{predictor.architecture!r} cannot be trained on one person at a time ({error}): use batches of two"
            " or more"
        ) from error
