"""``--dry-run`` of the commands that train."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from kdkit import Curriculum
from kdkit_pose.cli.teachers import Teachers
from kdkit_pose.cli.training_data import TrainingData
from kdkit_pose.codecs import Decoder
from kdkit_pose.data import PoseDataset
from kdkit_pose.dry_run import dry_run
from kdkit_pose.fit import FitSettings
from kdkit_pose.models import PoseNetwork

_SAMPLES_ON_CPU = 8
"""Of a batch, so that steps of large teachers take seconds there; memory is what an accelerator lacks."""


def rehearse(
    network: PoseNetwork,
    curriculum: Curriculum,
    train: PoseDataset,
    out: Path,
    settings: FitSettings,
    console: Console,
    *,
    data: TrainingData,
    teachers: Teachers | None = None,
    problems: Sequence[str] = (),
    **arguments: Any,
) -> None:
    """Do all that a run does, once, and print what was seen; ``out`` stays as it is.

    Args:
        network, curriculum, train, out, settings: as for :func:`kdkit_pose.fit.fit`.
        console: where to print.
        data: training and validation persons.
        teachers: those whose files are given are evaluated on a few persons.
        problems: what is known to be wrong already.
        **arguments: further ones of ``fit``.

    Raises:
        KdkitError: what the run would raise, and a ConfigurationError that names what else is wrong.
    """
    # Not the student's decoder for a teacher whose file names none: the run takes the peak, too.
    decoders: dict[str, Decoder] = {}
    if teachers is not None:
        decoders = {role: teachers.decoders.get(role, "peak") for role in teachers.networks}
    on_cpu = settings.cpu or not torch.cuda.is_available()
    report = dry_run(
        *(network, curriculum, train, out, settings),
        val=data.val,
        teachers=None if teachers is None else teachers.networks,
        decoders=decoders,
        samples=_SAMPLES_ON_CPU if on_cpu else None,
        **arguments,
    )
    report = replace(report, problems=(*problems, *report.problems))
    for line in str(report).splitlines():
        console.print(line, markup=False)
    report.require_sound()
    console.print(f"dry run: all is well; nothing was written to '{out}'", markup=False)
