"""A committed file of one study, as ``kdkit-pose ablate --json`` writes it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.ablation.comparison import Comparison, comparisons
from kdkit.ablation import Interval, Results, mean_interval


@dataclass(frozen=True)
class StudyFile:
    """A study.

    Args:
        name: the file's stem.
        content: the report.
        notes: ``title`` and ``reading``, what is said of it by hand, and ``added``, the seeds of some rows that
            were trained after the others had been looked at.
        persons: where plain and distilled students differ most, as ``ablation_pictures.py`` writes it.
        repeated: the report of a second run of some of its trainings.
        networks: what the networks that the rows began with are worth, as ``real_ablation.py`` writes it.
        decoders: what its students are worth by each decoder, as ``ablation_decoders.py`` writes it.
    """

    name: str
    content: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    persons: Mapping[str, Any] | None = None
    repeated: Mapping[str, Any] | None = None
    networks: Mapping[str, Any] | None = None
    decoders: Mapping[str, Any] | None = None

    @cached_property
    def results(self) -> Results:
        """The results in it, by the metric that decides."""
        return Results.from_json(self.content)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Its differences."""
        return comparisons(self.results)

    def comparison(self, variant: str, other: str) -> Comparison | None:
        """Return the difference of one row minus another; None where it is none of the study's."""
        turns = (turn for one in self.comparisons for turn in (one, one.turned))
        return next((one for one in turns if (one.variant, one.other) == (variant, other)), None)

    def before_more_seeds(self, one: Comparison) -> Interval | None:
        """Return a difference over the seeds that were there before others were added, having been looked at.

        None where none was added to it.
        """
        by_seed = self.results.paired(one.variant, one.other)
        first = [value for seed, value in by_seed.items() if seed not in self.notes.get("added", ())]
        return None if len(first) == len(by_seed) else mean_interval(first)

    @property
    def path(self) -> str:
        """Where the file is, from the project's root."""
        return f"benchmarks/results/ablation/{self.name}.json"

    @property
    def networks_path(self) -> str:
        """Where the file of its networks is, from the project's root."""
        return f"benchmarks/results/ablation/networks/{self.name}.json"

    @property
    def decoders_path(self) -> str:
        """Where the file of its students by each decoder is, from the project's root."""
        return f"benchmarks/results/ablation/decoders/{self.name}.json"

    @property
    def config(self) -> Mapping[str, Any]:
        """What all rows have in common."""
        config: Mapping[str, Any] = self.content["config"]
        return config

    @property
    def teachers(self) -> Mapping[str, Mapping[str, float]]:
        """The teachers' own metrics by role; empty where they are not known."""
        teachers: Mapping[str, Mapping[str, float]] = self.content["about"].get("teachers", {})
        return {role: metrics for role, metrics in teachers.items() if metrics}

    def by(self, metric: str) -> Results | None:
        """Return the results by another metric; None where a trial does not have it."""
        trials = [trial for by_seed in self.results.trials.values() for trial in by_seed.values()]
        if not trials or any(metric not in trial.metrics for trial in trials):
            return None
        return Results(self.results.trials, metric, self.results.baseline, self.results.mode)

    def picture_is_drawn(self, kind: str) -> bool:
        """Return whether there is something to draw: ``differences`` or ``curves``."""
        if kind == "differences":
            return any(one.other == self.results.baseline for one in self.comparisons)
        trials = [trial for by_seed in self.results.trials.values() for trial in by_seed.values()]
        return any(len(trial.curve) > 1 for trial in trials)

    def picture(self, kind: str) -> str:
        """Return the name of one of its pictures."""
        return f"ablation-{self.name}-{kind}"


def read_studies(
    folder: Path, notes: Mapping[str, Mapping[str, str]], images: Path | None = None
) -> list[StudyFile]:
    """Return the studies in a folder that have a finished trial: in the order of the notes, then by name.

    Args:
        folder: of the files; in its folders ``repeated`` are second runs, in ``networks`` what rows began with,
            in ``decoders`` what students are worth by each decoder, under the same names.
        notes: what is said by hand, by the files' stems.
        images: the folder of the pictures of persons.

    Raises:
        ValueError: a file is of something else.
    """
    found = {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}
    ordered = [*(name for name in notes if name in found), *(name for name in found if name not in notes)]
    again = {path.stem: _read(path) for path in sorted((folder / "repeated").glob("*.json"))}
    studies = [
        StudyFile(
            *(name, found[name], notes.get(name, {})),
            persons=None if images is None else _read_if_there(images / f"ablation-{name}-persons.json"),
            repeated=again.get(name),
            networks=_read_if_there(folder / "networks" / f"{name}.json"),
            decoders=_read_if_there(folder / "decoders" / f"{name}.json"),
        )
        for name in ordered
    ]
    return [study for study in studies if study.results.rows]


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not str(content.get("format", "")).startswith("kdkit.ablation "):
        raise ValueError(f"{path} is no study's report: write one with kdkit-pose ablate --json")
    return content


def _read_if_there(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def seeds_missing(study: StudyFile) -> dict[str, list[int]]:
    """Return the seeds that rows do not have yet, by row."""
    wanted: Iterable[int] = study.content["seeds"]
    missing = {
        name: [seed for seed in wanted if seed not in trials] for name, trials in study.results.trials.items()
    }
    return {name: seeds for name, seeds in missing.items() if seeds}
