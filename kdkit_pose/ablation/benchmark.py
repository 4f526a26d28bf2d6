"""The fixed synthetic benchmark: drawn people and crowds, teachers by a fixed recipe, students to compare."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from kdkit import ConfigurationError, Performance, RunFolderError
from kdkit.claims import claim
from kdkit.training.run_folder import RunFolder
from kdkit_pose import models, recipes
from kdkit_pose.ablation.benchmark_size import SMALL, BenchmarkSize
from kdkit_pose.ablation.drawn_people import DrawnPeople, Labels, Split, benchmark_people
from kdkit_pose.ablation.shared_targets import SharedTargets
from kdkit_pose.ablation.split_evaluator import SplitEvaluator
from kdkit_pose.ablation.study import PoseStudy
from kdkit_pose.ablation.teacher_recipe import TEACHERS, TeacherRecipe
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data import Augment, CocoKeypoints, PoseDataset, loader
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher

_MOST_IN_MEMORY = 4_000  # pictures
_LAYOUT = Performance(channels_last=True)

AUGMENT = Augment(half_body_probability=0.0, scale_factor=0.2, rotation_factor=20.0)
"""What training persons vary by: less than the reference's, since these trainings are short."""


class SyntheticBenchmark:
    """Fixed people, teachers trained on them, and the study of students.

    Everything is made where it is first needed and found again later; what was stopped goes on.

    Args:
        out: the folder of people, teachers and studies.
        size: :data:`FULL`, :data:`SMALL`, or one's own.
        labels: whether training annotations are ``exact``, or as ``coco``'s are: see :class:`Annotator`. Teachers
            learn from the same.
        workers: processes that draw pictures and read samples.
        cpu: stay on the CPU even where there is an accelerator.
        say: called with a line on what is done.
    """

    def __init__(
        self,
        out: str | Path,
        size: BenchmarkSize = SMALL,
        labels: Labels = "exact",
        *,
        workers: int = 0,
        cpu: bool = False,
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.out, self.size, self.labels = Path(out), size, labels
        self._workers, self._cpu, self._say = workers, cpu, say
        self._people = DrawnPeople(self.out / "people", size, workers, say)
        self.codec: Codec = DARK(input_size=size.input_size, sigma=size.sigma)

    def study(self, roles: tuple[str, ...], student: str | None = None) -> PoseStudy:
        """Return the study of students, with the teachers of some roles.

        Args:
            roles: of the teachers that are needed; see :data:`kdkit_pose.ablation.ROWS`.
            student: another network than the size's.
        """
        size = self.size
        teachers = {role: MaskAwareTeacher(role, network) for role, network in self.teachers(roles).items()}
        settings = FitSettings(
            batch_size=size.batch_size,
            learning_rate=size.rate,
            schedule="cosine",
            precision=size.precision,
            performance=_LAYOUT,
            workers=self._workers,
            evaluate_every=max(size.epochs // size.evaluations, 1),
            cpu=self._cpu,
        )
        return PoseStudy(
            student=student or size.student,
            train=self.train,
            evaluator=self.evaluator(),
            teachers=teachers,
            epochs=size.epochs,
            settings=settings,
            describe={"benchmark": self.describe()},
            targets=SharedTargets(self.out / f"targets-{self.labels}", workers=self._workers, device=self._device),
            share=size.share_targets,
            teacher_metrics={role: self.teacher_metrics(role) for role in roles},
        )

    @property
    def _device(self) -> str:
        return "cuda" if torch.cuda.is_available() and not self._cpu else "cpu"

    def describe(self) -> dict[str, Any]:
        """Return what the benchmark is, in plain JSON types."""
        description: dict[str, Any] = json.loads(
            json.dumps({"size": asdict(self.size), "labels": self.labels, "augment": repr(AUGMENT)})
        )
        return description

    def _describe_teachers(self) -> dict[str, Any]:
        """What teachers depend on: with other students or lengths of theirs they are the same."""
        description = self.describe()
        of_teachers = (
            "input_size",
            "sigma",
            "teacher",
            "batch_size",
            "primary_epochs",
            "senior_epochs",
            "teacher_rate",
            "precision",
        )
        return {**description, "size": {name: description["size"][name] for name in of_teachers}}

    def train(self, seed: int) -> PoseDataset:
        """Return the training persons, augmented by a seed."""
        return self._persons("train", self.labels, augment=AUGMENT, seed=seed)

    def validation(self) -> CocoKeypoints:
        """Return the validation persons: those of the pictures of people first, then those of crowds."""
        return self._persons("val")

    def evaluator(self) -> SplitEvaluator:
        """Return what judges networks: on all validation pictures, and the AP of people and of crowds alone."""
        data = self.validation()
        separate = len(benchmark_people(self.size, "val")["people"])
        splits = {
            "people": [picture for picture in data.image_ids if picture <= separate],
            "crowds": [picture for picture in data.image_ids if picture > separate],
        }
        return SplitEvaluator(loader(data, 64), data.coco_dict(), self.codec, splits=splits)

    def teachers(self, roles: Sequence[str]) -> dict[str, models.PoseNetwork]:
        """Return several roles' trained networks; processes that want the same at once train them side by side.

        Raises:
            ConfigurationError: if there is no such role.
        """
        first = dict.fromkeys(_recipe(role).begins_from or role for role in roles)
        networks = self._side_by_side(list(first))  # the others begin from them
        networks |= self._side_by_side([role for role in roles if role not in first])
        return {role: networks[role] for role in roles}

    def _side_by_side(self, roles: Sequence[str]) -> dict[str, models.PoseNetwork]:
        self._teachers.mkdir(parents=True, exist_ok=True)
        networks: dict[str, models.PoseNetwork] = {}
        for role in roles:
            with claim(self._teachers / role, wait=False) as mine:
                if mine:
                    networks[role] = self._train_teacher(role, self._teachers / role)
        return {role: networks[role] if role in networks else self.teacher(role) for role in roles}

    def teacher(self, role: str) -> models.PoseNetwork:
        """Return a role's trained network.

        The primary begins from random weights; each other one from those, and learns as long as the others do.

        Raises:
            ConfigurationError: if there is no such role.
        """
        folder = self._teachers / role
        self._teachers.mkdir(parents=True, exist_ok=True)
        # Of several processes one trains it, and the others wait.
        with claim(folder, wait=True):
            return self._train_teacher(role, folder)

    def teacher_metrics(self, role: str) -> dict[str, float]:
        """Return what the last evaluation of a role's trained network gave.

        Raises:
            RunFolderError: if there is no such network yet.
        """
        folder = RunFolder(self._teachers / role)
        lines = folder.read_metrics() if folder.metrics.exists() else []
        found = [line for line in lines if "val/AP" in line]
        if not found:
            raise RunFolderError(f"'{folder.path}' holds no trained teacher yet: make it with teacher({role!r})")
        return {name: value for name, value in found[-1].items() if name.startswith("val/") and value is not None}

    @property
    def _teachers(self) -> Path:
        return self.out / f"teachers-{self.labels}"

    def _train_teacher(self, role: str, folder: Path) -> models.PoseNetwork:
        size, recipe = self.size, _recipe(role)
        torch.manual_seed(0)
        network = models.create(size.teacher, mask_fusion=recipe.mask_fusion, activation=recipe.activation)
        epochs = size.primary_epochs
        if recipe.begins_from is not None:
            before = self._teachers / recipe.begins_from / "student.safetensors"
            if not before.exists():  # it is written when it is finished
                self.teacher(recipe.begins_from)
            models.load_checkpoint(network, before)
            epochs = size.senior_epochs
        settings = FitSettings(
            batch_size=size.batch_size,
            learning_rate=size.teacher_rate,
            schedule="cosine",
            precision=size.precision,
            performance=_LAYOUT,
            workers=self._workers,
            evaluate_every=epochs,
            export="last",
            cpu=self._cpu,
        )
        curriculum = recipes.supervised(until=epochs, learning_rate=settings.rate(), **recipe.supervision)
        self._say(f"teacher {role}: {network.name}, {epochs} epochs")
        result = fit(
            *(network, curriculum, self.train(0), folder, settings),
            evaluator=self.evaluator().decoded_by(recipe.decoder),
            codec=replace(self.codec, decoder=recipe.decoder),
            config={"role": role, "benchmark": self._describe_teachers()},
        )
        shown = ("val/AP", "val/AP_people", "val/AP_crowds")
        told = ", ".join(f"{name} {result.metrics[name]:.3f}" for name in shown if name in result.metrics)
        self._say(f"teacher {role}: {told}")
        models.load_checkpoint(network, result.student)
        return network.to(memory_format=torch.channels_last)

    def _persons(self, split: Split, labels: Labels = "exact", **options: Any) -> CocoKeypoints:
        path = self._people.annotations(split, labels)
        # Decoding takes longer than all else that is done to a small person; a large set does not fit in memory.
        small = self.size.train_pictures <= _MOST_IN_MEMORY
        return CocoKeypoints(path, self._people.images, codec=self.codec, cache_images=small, **options)


def _recipe(role: str) -> TeacherRecipe:
    if role not in TEACHERS:
        raise ConfigurationError(f"there is no teacher '{role}', only {', '.join(TEACHERS)}")
    return TEACHERS[role]
