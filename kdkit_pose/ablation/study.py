"""Rows by seeds on a data set of persons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kdkit import ConfigurationError, Teacher
from kdkit.ablation import Ablation, Trial, Variant, trial_of
from kdkit_pose import models, recipes
from kdkit_pose.ablation.rows import Plan, PoseRow, rows_named
from kdkit_pose.data import PoseDataset
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.fit import FitSettings, fit


@dataclass(frozen=True)
class PoseStudy:
    """What all rows have in common: data, teachers, student and budget.

    Every row begins, with one seed, from the same weights (but for the last bias, behind which a row may have a
    sigmoid), sees the same samples in the same order, and is judged
    at its end.

    Args:
        student: the student's network.
        train: gives the training persons of a seed, on which their augmentation depends.
        evaluator: judges students, each by the decoder of its row's targets.
        teachers: by role, as :data:`kdkit_pose.ablation.ROWS` name them.
        epochs: the length of a row of budget 1.
        settings: how to train; its seed and its ``export`` do not count.
        describe: what else all have in common, of plain JSON types, such as what the teachers are.
    """

    student: str
    train: Callable[[int], PoseDataset]
    evaluator: Evaluator
    teachers: Mapping[str, Teacher]
    epochs: int
    settings: FitSettings
    describe: Mapping[str, Any]

    def ablation(self, names: Sequence[str], seeds: Sequence[int], out: str | Path) -> Ablation:
        """Return the study of some rows, the first of which is the baseline.

        Raises:
            ConfigurationError: if a row is unknown, or lacks its teachers.
        """
        rows = rows_named(names)
        plan = self._plan(("heatmap",))
        for name, row in rows.items():
            try:
                row.curriculum(plan)
            except ConfigurationError as error:
                raise ConfigurationError(f"row '{name}': {error}") from error
        variants = [
            Variant(
                *(name, partial(self._train, name=name, row=row), row.budget, row.summary),
                # Of this row alone: a study may be given a row with another teacher.
                {"teachers": {role: self.teachers[role].fingerprint() for role in row.teachers}},
            )
            for name, row in rows.items()
        ]
        config = {
            "student": self.student,
            "epochs": self.epochs,
            "settings": {**self.settings.to_config(), "seed": None, "export": "last"},
            "validation": self.evaluator.fingerprint(),
            **self.describe,
        }
        return Ablation(variants, seeds, out, metric="val/AP", config=config)

    def _plan(self, outputs: Sequence[str]) -> Plan:
        return Plan(self.teachers, self.epochs, self.settings.rate(), outputs)

    def _train(self, seed: int, folder: Path, *, name: str, row: PoseRow) -> Trial:
        data = self.train(seed)
        torch.manual_seed(seed)
        joints = data.skeleton.num_keypoints
        network = models.create(self.student, joints, activation=row.activation)
        curriculum = row.curriculum(self._plan(network.heatmap_outputs))
        codec = replace(data.codec, decoder=recipes.decoder_for(curriculum))
        settings = replace(self.settings, seed=seed, export="last")
        result = fit(
            *(network, curriculum, data, folder, settings),
            evaluator=self.evaluator.decoded_by(codec.decoder),
            codec=codec,
            config={"row": name},
        )
        return trial_of(result, folder, curriculum, settings.batch_size, {"decoder": codec.decoder})
