"""The fixed synthetic benchmark: drawn people and crowds, teachers by a fixed recipe, students to compare."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from kdkit import DataError, Performance, RunFolderError
from kdkit.claims import claim
from kdkit.files import write_atomically
from kdkit.json_files import read_json
from kdkit.training.run_folder import RunFolder
from kdkit_pose import models, recipes
from kdkit_pose.ablation.shared_targets import SharedTargets
from kdkit_pose.ablation.split_evaluator import SplitEvaluator
from kdkit_pose.ablation.study import PoseStudy
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data import Augment, CocoKeypoints, PoseDataset, loader
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.synthetic import Annotator, SyntheticPeople, write_coco
from kdkit_pose.synthetic.coco_format import drawn_description

Labels = Literal["exact", "coco"]
Precision = Literal["no", "bf16"]
Split = Literal["train", "val"]

_MOST_IN_MEMORY = 4_000  # pictures
_LAYOUT = Performance(channels_last=True)

# Unlike any seed that somebody draws other people by.
_SEEDS = {"train_people": 610_001, "train_crowds": 610_002, "val_people": 610_003, "val_crowds": 610_004}
_FUSIONS = {"senior": "concat", "senior_multiply": "multiply", "senior_add": "add", "blind": "none"}


@dataclass(frozen=True)
class BenchmarkSize:
    """How large the benchmark is.

    Args:
        train_pictures: to train on; half of them are crowds.
        val_pictures: to evaluate on; half of them are crowds.
        input_size: width and height of the networks' input, in pixels.
        sigma: of the heatmaps' Gaussian, in cells.
        teacher: the network of all teachers.
        student: the network of the students.
        batch_size: persons an optimizer step.
        primary_epochs: of the primary teacher.
        senior_epochs: of each other teacher, which starts from the primary's weights.
        epochs: of a student.
        teacher_rate: Adam's learning rate for teachers; it falls as a cosine.
        rate: Adam's learning rate for students; likewise.
        precision: ``no`` or ``bf16``, in which students and teachers compute while they are trained.
        evaluations: of a student, evenly over its epochs.
        share_targets: whether teachers look at each view of a seed once, see :class:`PoseStudy`.
    """

    train_pictures: int = 20_000
    val_pictures: int = 2_000
    input_size: tuple[int, int] = (192, 256)
    sigma: float = 2.0
    teacher: str = "hrnet_w32"
    student: str = "hrnet_w16"
    batch_size: int = 128
    primary_epochs: int = 20
    senior_epochs: int = 10
    epochs: int = 30
    teacher_rate: float = 1e-3
    rate: float = 1e-3
    precision: Precision = "bf16"
    evaluations: int = 10
    share_targets: bool = False


FULL = BenchmarkSize()
"""For a GPU."""

SMALL = BenchmarkSize(
    train_pictures=1_000,
    val_pictures=300,
    input_size=(96, 128),
    sigma=1.5,
    teacher="hrnet_w16_small",
    student="hrnet_w12_small",
    batch_size=16,
    primary_epochs=12,
    senior_epochs=6,
    epochs=12,
    teacher_rate=2e-3,
    rate=2e-3,
    evaluations=6,
    share_targets=True,
)
"""For two CPU cores."""

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
        annotator = Annotator() if self.labels == "coco" else None
        return self._persons("train", annotator, augment=AUGMENT, seed=seed)

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
        """Return several roles' trained networks; processes that want the same at once train them side by side."""
        networks: dict[str, models.PoseNetwork] = {}
        if roles:  # the others start from it
            networks["primary"] = self.teacher("primary")
        for role in sorted({*roles} - {"primary"}):
            with claim(self._teachers / role, wait=False) as mine:
                if mine:
                    networks[role] = self._train_teacher(role, self._teachers / role)
        return {role: networks[role] if role in networks else self.teacher(role) for role in roles}

    def teacher(self, role: str) -> models.PoseNetwork:
        """Return a role's trained network.

        The primary learns from nothing; each other one goes on from its weights for as long as the others do.
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
        size = self.size
        torch.manual_seed(0)
        network = models.create(size.teacher, mask_fusion=_FUSIONS.get(role, "none"))
        epochs = size.primary_epochs
        if role != "primary":
            primary = self._teachers / "primary" / "student.safetensors"
            if not primary.exists():  # it is written when it is finished
                self.teacher("primary")
            models.load_checkpoint(network, primary)
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
        curriculum = recipes.supervised(until=epochs, learning_rate=settings.rate())
        self._say(f"teacher {role}: {network.name}, {epochs} epochs")
        result = fit(
            *(network, curriculum, self.train(0), folder, settings),
            evaluator=self.evaluator(),
            config={"role": role, "benchmark": self._describe_teachers()},
        )
        shown = ("val/AP", "val/AP_people", "val/AP_crowds")
        told = ", ".join(f"{name} {result.metrics[name]:.3f}" for name in shown if name in result.metrics)
        self._say(f"teacher {role}: {told}")
        models.load_checkpoint(network, result.student)
        return network.to(memory_format=torch.channels_last)

    def _persons(self, split: Split, annotator: Annotator | None = None, **options: Any) -> CocoKeypoints:
        """A split's persons: separate people first, then crowds."""
        path = self._drawn(split)
        if annotator is not None:
            exact, path = read_json(path), path.with_stem(f"{path.stem}_{self.labels}")
            if not path.exists():
                _write_json(path, annotator.annotate(exact))
        # Decoding takes longer than all else that is done to a small person; a large set does not fit in memory.
        small = self.size.train_pictures <= _MOST_IN_MEMORY
        return CocoKeypoints(path, self._people / "images", codec=self.codec, cache_images=small, **options)

    @property
    def _people(self) -> Path:
        return self.out / "people"

    def _drawn(self, split: Split) -> Path:
        """The exact annotations of a split, drawn where they are not there yet."""
        sets = benchmark_people(self.size, split)
        path = self._people / "annotations" / f"person_keypoints_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with claim(path, wait=True):
            if path.exists():
                _require_same(path, sets)
            else:
                self._draw(split, path, sets)
        return path

    def _draw(self, split: Split, path: Path, sets: dict[str, SyntheticPeople]) -> None:
        parts, first = [], 1
        for kind, people in sets.items():
            part = path.with_stem(f"{path.stem}_{kind}")
            if not part.exists():
                self._say(f"drawing {len(people)} pictures of {kind} ({split})")
                write_coco(
                    *(people, self._people, f"{split}_{kind}"),
                    workers=self._workers,
                    first_image_id=first,
                )
            parts.append(read_json(part))
            _require_description(part, parts[-1], drawn_description(people))
            first += len(people)
        joined = {name: [one for part in parts for one in part[name]] for name in ("images", "annotations")}
        _write_json(path, {**parts[0], **joined, "info": {"description": repr(sets), "version": "1"}})


def benchmark_people(size: BenchmarkSize, split: Split) -> dict[str, SyntheticPeople]:
    """Return the people and the crowds of a split; no picture of one split is in the other."""
    pictures = size.train_pictures if split == "train" else size.val_pictures
    crowds = pictures // 2
    return {
        "people": SyntheticPeople(pictures - crowds, seed=_SEEDS[f"{split}_people"], crowded=0.0),
        "crowds": SyntheticPeople(crowds, seed=_SEEDS[f"{split}_crowds"], crowded=1.0),
    }


def _require_same(path: Path, sets: dict[str, SyntheticPeople]) -> None:
    try:
        content = read_json(path)
    except ValueError as error:
        raise _not_whole(path, error) from error
    _require_description(path, content, repr(sets))


def _require_description(path: Path, content: Any, expected: str) -> None:
    try:
        description = content["info"]["description"]
    except (KeyError, TypeError) as error:
        raise _not_whole(path, error) from error
    if description != expected:
        raise RunFolderError(f"'{path}' holds other people ({description}) than {expected}: give another folder")


def _not_whole(path: Path, error: Exception) -> DataError:
    return DataError(f"'{path}' is not a whole COCO file ({error}): remove it, or give another folder")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, lambda file: file.write(json.dumps(content, separators=(",", ":")).encode()))
