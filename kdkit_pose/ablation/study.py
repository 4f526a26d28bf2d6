"""Rows by seeds on a data set of persons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kdkit import ConfigurationError, Teacher
from kdkit.ablation import Ablation, Trial, Variant, trial_of
from kdkit_pose import models, recipes
from kdkit_pose.ablation.pairs import pairs_of
from kdkit_pose.ablation.row import Plan, PoseRow
from kdkit_pose.ablation.rows import rows_named
from kdkit_pose.ablation.shared_targets import SharedTargets
from kdkit_pose.convention import check_keypoints
from kdkit_pose.data import PoseDataset
from kdkit_pose.data.maskless import without_masks
from kdkit_pose.data.predicted_masks import content_digest
from kdkit_pose.evaluation import Evaluator
from kdkit_pose.fit import FitSettings, fit


@dataclass(frozen=True)
class PoseStudy:
    """What all rows have in common: data, teachers, student and budget.

    Every row begins, with one seed, from the same weights (but for the last bias, behind which a row may have a
    sigmoid), sees the same samples in the same order, and is judged at its end. With ``initial``, all seeds begin
    from the same weights too: a seed then is another order of the samples and another augmentation, and no other
    beginning.

    Args:
        student: the student's network.
        train: gives the training persons of a seed, on which their augmentation depends.
        evaluator: judges students, each by the decoder of its row's targets.
        teachers: by role, as :data:`kdkit_pose.ablation.ROWS` name them.
        epochs: the length of a row of budget 1.
        settings: how to train; its seed and its ``export`` do not count.
        describe: what else all have in common, of plain JSON types, such as what the teachers are.
        targets: where teachers' heatmaps are kept; needed by rows that learn from canonical ones, and to share.
        share: whether a teacher looks at each view of a seed once, and all rows read its heatmaps, rounded to half
            precision. What rows cost is counted as if each had run its own. Takes as much room as the heatmaps
            of a run, for each seed and teacher.
        teacher_metrics: the teachers' own metrics, by role, for the report.
        initial: a file of the student's weights that every row begins from; by default they follow from the seed.

    Raises:
        ConfigurationError: if heatmaps are to be shared and there is no place for them.
    """

    student: str
    train: Callable[[int], PoseDataset]
    evaluator: Evaluator
    teachers: Mapping[str, Teacher]
    epochs: int
    settings: FitSettings
    describe: Mapping[str, Any]
    targets: SharedTargets | None = None
    share: bool = False
    teacher_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    initial: str | Path | None = None

    def __post_init__(self) -> None:
        if self.share and self.targets is None:
            raise ConfigurationError("heatmaps that are shared need a place: give targets=SharedTargets(folder)")

    def ablation(self, names: Sequence[str], seeds: Sequence[int], out: str | Path) -> Ablation:
        """Return the study of some rows, the first of which is the baseline.

        Raises:
            ConfigurationError: if a row is unknown, lacks its teachers or a place for its heatmaps, the student
                cannot be built for one, or the initial weights are of other keypoints or do not suit a row.
            CheckpointError: if the initial weights cannot be used, or are another network's.
        """
        rows = rows_named(names)
        self._require_students(rows)
        plan = self._plan(self.teachers)
        for name, row in rows.items():
            try:
                row.curriculum(plan)
            except ConfigurationError as error:
                raise ConfigurationError(f"row '{name}': {error}") from error
            if row.targets == "canonical" and self.targets is None:
                raise ConfigurationError(
                    f"row '{name}' learns from canonical heatmaps, which need a place: give "
                    f"targets=SharedTargets(folder)"
                )
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
            "targets": "shared, in half precision" if self.share else "live",
            **self._beginning(),
            **self.describe,
        }
        about = {"teachers": {role: dict(metrics) for role, metrics in self.teacher_metrics.items()}}
        return Ablation(
            *(variants, seeds, out), metric="val/AP", config=config, pairs=pairs_of(names), about=about
        )

    def _require_students(self, rows: Mapping[str, PoseRow]) -> None:
        """Require that every row's student can be built and begin from what is given: before hours of training."""
        for activation in dict.fromkeys(row.activation for row in rows.values()):
            models.create(self.student, self.evaluator.skeleton.num_keypoints, activation=activation)
        if self.initial is None:
            return
        begins = models.recognise(self.initial).activation
        others = [name for name, row in rows.items() if row.activation != begins]
        if others:
            kinds = {"none": "heatmaps without a sigmoid", "sigmoid": "probabilities behind a sigmoid"}
            raise ConfigurationError(
                f"{', '.join(others)} learn {kinds[rows[others[0]].activation]}, and the last layer of "
                f"'{self.initial}' is made for {kinds[begins]}: leave these rows out, or the initial weights"
            )

    def _beginning(self) -> dict[str, str]:
        """What names the study, of the weights that are given."""
        if self.initial is None:
            return {}
        skeleton = self.evaluator.skeleton
        activation = models.recognise(self.initial).activation
        network = models.create(self.student, skeleton.num_keypoints, activation=activation)
        models.load_checkpoint(network, self.initial)
        check_keypoints(self.initial, network.skeleton, network.keypoints, skeleton, "the validation data")
        return {"initial": content_digest(self.initial)}

    def _plan(self, teachers: Mapping[str, Teacher], outputs: Sequence[str] = ("heatmap",)) -> Plan:
        return Plan(teachers, self.epochs, self.settings.rate(), outputs)

    def _train(self, seed: int, folder: Path, *, name: str, row: PoseRow) -> Trial:
        data = self.train(seed)
        torch.manual_seed(seed)
        network = models.create(self.student, data.skeleton.num_keypoints, activation=row.activation)
        if self.initial is not None:
            models.load_checkpoint(network, self.initial)
        teachers, samples = self._learned_from(row, data)
        outputs = network.heatmap_outputs
        curriculum = row.curriculum(self._plan(teachers, outputs))
        # Cached teachers cost nothing here; what counts is what the recipe costs alone.
        live = row.curriculum(self._plan(self.teachers, outputs))
        codec = replace(data.codec, decoder=recipes.decoder_for(live))
        settings = replace(self.settings, seed=seed, export="last")
        result = fit(
            *(network, curriculum, samples, folder, settings),
            evaluator=self.evaluator.decoded_by(codec.decoder),
            codec=codec,
            config={"row": name},
        )
        notes = {"decoder": codec.decoder, "targets": row.targets}
        trial = trial_of(result, folder, live, settings.batch_size, notes)
        if row.targets == "canonical":
            trial = replace(trial, teacher_passes=dict.fromkeys(trial.teacher_passes, len(data)))
        return trial

    def _learned_from(self, row: PoseRow, data: PoseDataset) -> tuple[Mapping[str, Teacher], PoseDataset]:
        """A row's teachers as they are learned from, and the samples that they and the student need."""
        mine = {role: self.teachers[role] for role in row.teachers}
        if self.targets is not None and row.targets == "canonical":
            return self.targets.canonical(mine, data), without_masks(data).placed()
        if self.targets is not None and self.share:
            return self.targets.of_views(mine, data, round(self.epochs * row.budget)), without_masks(data)
        reads_masks = any("mask" in teacher.reads for teacher in mine.values())
        return mine, data if reads_masks else without_masks(data)
