"""Four trainings on synthetic people: two teachers, a plain student, and the same student by ODKD."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import Progress

from kdkit import Binarize, Cosine, Curriculum, Schedule
from kdkit.training.run_folder import RunFolder
from kdkit_pose import models, recipes
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data import CocoKeypoints, loader
from kdkit_pose.demo.data import draw_people, open_people
from kdkit_pose.demo.settings import DemoSettings
from kdkit_pose.evaluation import Evaluator, Metrics
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.models import PoseNetwork
from kdkit_pose.report import (
    Figure,
    ReportedRun,
    draw_binarization,
    draw_learning_curve,
    draw_loss_curves,
    write_report,
)
from kdkit_pose.report import (
    draw_people as draw_predictions,
)


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration gave.

    Attributes:
        runs: the four trainings in order: primary teacher, senior teacher, plain student, ODKD student.
        report: the page.
    """

    runs: tuple[ReportedRun, ...]
    report: Path


class Demonstration:
    """Runs one network after the other in a folder, and goes on where an earlier call was stopped.

    Args:
        out: the folder.
        settings: data, networks and lengths.
        seed: of pictures, weights and sample order.
        console: where progress is shown.
    """

    def __init__(self, out: Path, settings: DemoSettings, seed: int, console: Console) -> None:
        self._out, self._settings, self._seed, self._console = out, settings, seed, console
        self._codec = DARK(input_size=settings.input_size, sigma=settings.sigma)
        self._runs: list[ReportedRun] = []
        self._poses: dict[str, dict[int, npt.NDArray[np.float64]]] = {}

    def run(self) -> DemoResult:
        """Draw the people, train and evaluate the four networks, write the report."""
        settings = self._settings
        self._draw()
        self._train_data = open_people(self._out / "data", "train", self._codec, self._seed)
        self._val_data = open_people(self._out / "data", "val", self._codec, self._seed)
        self._say(f"{len(self._train_data)} people to train on, {len(self._val_data)} to evaluate on")

        rate = settings.teacher_rate
        primary = self._new(settings.teacher)
        self._fit("primary teacher", primary, _plain(settings.primary_epochs, rate), rate)
        senior = self._new(settings.teacher, mask_fusion="concat")
        # With a new input channel of zeros the senior begins as good as the primary.
        models.load_checkpoint(senior, self._out / "primary-teacher" / "student.safetensors")
        self._fit("senior teacher", senior, _plain(settings.senior_epochs, rate), rate)

        rate = settings.student_rate
        student = self._new(settings.student)
        self._fit("plain student", student, _plain(settings.student_epochs, rate), rate)
        curriculum = recipes.odkd(
            MaskAwareTeacher("primary", primary),
            teacher := MaskAwareTeacher("senior", senior),
            primary_until=settings.student_epochs // 2,
            senior_until=settings.student_epochs - settings.student_epochs // 2,
            learning_rate=_falling(rate),
        )
        self._fit("ODKD student", self._new(settings.student), curriculum, rate)
        return DemoResult(tuple(self._runs), self._report(teacher))

    def _draw(self) -> None:
        with Progress(console=self._console, transient=True, disable=not self._console.is_terminal) as progress:
            task = progress.add_task("drawing people")
            draw_people(
                self._out / "data",
                self._settings,
                self._seed,
                lambda split, total, done: progress.update(
                    task, description=f"drawing people ({split})", completed=done, total=total
                ),
            )

    def _new(self, name: str, mask_fusion: str = "none") -> PoseNetwork:
        # The same seed for both students: they begin with the same weights.
        torch.manual_seed(self._seed)
        network = models.create(name, mask_fusion=mask_fusion, activation="sigmoid")
        network.to(memory_format=torch.channels_last)
        return network

    def _fit(self, name: str, network: PoseNetwork, curriculum: Curriculum, rate: float) -> None:
        settings = self._settings
        out = self._out / name.replace(" ", "-").lower()
        codec = replace(self._codec, decoder=recipes.decoder_for(curriculum))
        evaluator = self._evaluator(codec)
        self._say(f"\n{name}: {network.name}, stages {', '.join(stage.name for stage in curriculum)}")
        fit(
            network,
            curriculum,
            self._train_data,
            out,
            FitSettings(
                batch_size=settings.batch_size,
                learning_rate=rate,
                seed=self._seed,
                evaluate_every=settings.evaluate_every,
                # Every network is judged at its end: to choose its best epoch would favour long trainings.
                export="last",
                cpu=True,
            ),
            evaluator=evaluator,
            codec=codec,
        )
        models.load_checkpoint(network, out / "student.safetensors")
        results = evaluator.results(network)
        metrics = evaluator.score(results)
        self._poses[name] = {
            result["id"]: np.asarray(result["keypoints"], np.float64).reshape(-1, 3) for result in results
        }
        self._runs.append(_reported(name, network, metrics, RunFolder(out).read_metrics()))

    def _evaluator(self, codec: Codec) -> Evaluator:
        return Evaluator(loader(self._val_data, 64), self._val_data.coco_dict(), codec)

    def _report(self, senior: MaskAwareTeacher) -> Path:
        shown = _spread(self._val_data, self._poses, self._settings.people_shown)
        figures = [
            draw_loss_curves(self._runs),
            draw_learning_curve(self._runs),
            draw_predictions(self._val_data, self._poses, shown),
            self._binarization(shown[0], senior),
        ]
        return write_report(
            self._out, title="ODKD on synthetic people", runs=self._runs, figures=figures, notes=self._notes()
        )

    def _binarization(self, annotation_id: int, senior: MaskAwareTeacher) -> Figure:
        index = self._val_data.annotation_ids.index(annotation_id)
        sample = self._val_data[index]
        heatmap = senior.targets({name: sample[name][None] for name in senior.reads})["heatmap"][0]
        return draw_binarization(self._val_data, index, Binarize(0.5), heatmap.numpy())

    def _notes(self) -> Sequence[str]:
        settings = self._settings
        width, height = settings.input_size
        return (
            f"Synthetic people: {settings.train_pictures} training and {settings.val_pictures} validation "
            f"pictures, {settings.crowded:.0%} of them crowded, seed {self._seed}. Input {height}x{width} pixels.",
            f"The primary teacher trains {settings.primary_epochs} epochs. The senior teacher starts from its "
            f"weights, sees the person's mask too (concatenated), and trains {settings.senior_epochs} more.",
            f"Both students start from the same weights, train {settings.student_epochs} epochs on the same "
            f"samples in the same order, and are judged at their last epoch.",
            "ODKD: half of the epochs with the primary teacher, half with the senior teacher.",
            "All four networks learn binarized targets (threshold 0.5) by binary cross-entropy, and are decoded "
            "by the centroid of each peak.",
            "Minutes of training and one seed: a demonstration that everything works, not a measurement of ODKD.",
        )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)


def run_demo(
    out: str | Path, settings: DemoSettings | None = None, *, seed: int = 0, console: Console | None = None
) -> DemoResult:
    """Run the demonstration; see :class:`Demonstration`.

    Raises:
        RunFolderError: if the folder holds something else.
    """
    return Demonstration(Path(out), settings or DemoSettings(), seed, console or Console(stderr=True)).run()


def _falling(rate: float) -> Schedule:
    return Cosine(rate, rate * 0.01, over="run")


def _plain(epochs: int, rate: float) -> Curriculum:
    return recipes.supervised(until=epochs, learning_rate=_falling(rate))


def _reported(
    name: str, network: PoseNetwork, metrics: Metrics, lines: Sequence[Mapping[str, Any]]
) -> ReportedRun:
    return ReportedRun(
        name=name,
        network=str(network.name),
        parameters=sum(value.numel() for value in network.parameters()),
        metrics=metrics,
        lines=lines,
        seconds=float(lines[-1]["seconds"]),
    )


def _spread(
    data: CocoKeypoints, poses: Mapping[str, Mapping[int, npt.NDArray[np.float64]]], count: int
) -> list[int]:
    """Return people spread evenly over the held-out ones that every network gave a pose: not hand-picked."""
    candidates = [
        annotation for annotation in data.annotation_ids if all(annotation in found for found in poses.values())
    ]
    step = max(len(candidates) // max(count, 1), 1)
    return candidates[::step][:count]
