"""A run of a pose network once and on the side, before it is begun."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kdkit
from kdkit import Curriculum, DryRun, ModuleTeacher
from kdkit_pose.codecs import Codec, Decoder
from kdkit_pose.data import PoseDataset
from kdkit_pose.data.picture_check import check_pictures
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.fit import FitSettings, decoding, learning, prepared, trainer_arguments
from kdkit_pose.models import PoseNetwork
from kdkit_pose.teacher_check import check_teachers, doubtful_order


def dry_run(
    network: PoseNetwork,
    curriculum: Curriculum,
    train: PoseDataset,
    out: str | Path,
    settings: FitSettings,
    *,
    evaluator: Evaluator | None = None,
    codec: Codec | None = None,
    config: Mapping[str, Any] | None = None,
    val: PoseDataset | None = None,
    teachers: Mapping[str, ModuleTeacher] | None = None,
    decoders: Mapping[str, Decoder] | None = None,
    samples: int | None = None,
    persons: int = 8,
) -> DryRun:
    """Do all that :func:`kdkit_pose.fit.fit` does, once, with the same arguments, and look at data and teachers.

    See :func:`kdkit.dry_run` for what it does; beside that the pictures of all persons must be there, and some are
    decoded, see :func:`kdkit_pose.data.check_pictures`, and the teachers are evaluated on a few persons. Nothing
    is written to ``out``, and the network stays as it is.

    Args:
        network: the student; a copy of it takes the steps.
        curriculum: the stages.
        train: the training persons.
        out: the run's folder.
        settings: how to train.
        evaluator: gives the metrics, here of a few persons.
        codec: how to decode the finished student; by default as its curriculum's targets are.
        config: what else names the run.
        val: the persons that are evaluated on, to look at their pictures.
        teachers: those to evaluate, by name, in the order in which they teach.
        decoders: how each one's heatmaps are decoded; the evaluator's own way where it is not said.
        samples: how many persons of each batch to learn from; all of them by default.
        persons: how many to evaluate on.

    Returns:
        What was checked, with figures, problems and warnings; problems are not raised.

    Raises:
        KdkitError: what ``fit`` would raise.
    """
    own, asked = copy.deepcopy(network), evaluator
    codec, evaluator = decoding(curriculum, train, codec, evaluator)
    distiller, batches = prepared(own, curriculum, train, settings, evaluator=evaluator, codec=codec)
    few = evaluator.few(persons) if isinstance(evaluator, Evaluator) else evaluator
    with learning(own, codec, train.skeleton):
        arguments = trainer_arguments(own, train, out, settings, evaluator=evaluator, config=config)
        report = kdkit.dry_run(distiller, batches, **{**arguments, "evaluate": few}, samples=samples)
    further, problems, warnings = list(report.further), list(report.problems), list(report.warnings)
    for what, data in (("training", train), ("validation", val)):
        if data is not None:
            pictures = check_pictures(data, what)
            further.append((f"{what} pictures", str(pictures)))
            problems += pictures.problems
    if teachers and isinstance(asked, Evaluator):
        said: list[str] = []
        # Not by the student's decoder, which its curriculum says.
        found = check_teachers(teachers, asked.few(persons), decoders=decoders, say=said.append)
        for line in said:
            name, _, text = line.partition(": ")
            further.append((name, f"{text}, of the first {persons} persons"))
        warnings += doubtful_order(found)
    return replace(report, further=tuple(further), problems=tuple(problems), warnings=tuple(warnings))
