"""Does a second run of a study's trainings give the same figures?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.ablation.setting import made_words
from benchmarks.ablation.study_file import StudyFile
from kdkit.ablation import Results, Trial


def repeated(study: StudyFile) -> str:
    """Return a line of what a second run of some of a study's trainings gave; empty where there is none.

    Raises:
        ValueError: the second run is of other settings, or of none of the study's trainings.
    """
    if (again := study.repeated) is None:
        return ""
    path = f"benchmarks/results/ablation/repeated/{study.name}.json"
    if again["config"] != study.config:
        raise ValueError(f"{path} is of other settings than {study.path}: repeat that study, or remove it")
    second = Results.from_json(again).trials
    pairs = [
        (study.results.trials[row][seed], trial)
        for row, by_seed in second.items()
        for seed, trial in by_seed.items()
        if seed in study.results.trials.get(row, {})
    ]
    if not pairs:
        raise ValueError(f"{path} has none of the trainings of {study.path}: remove it")
    same = sum(_figures(one) == _figures(other) for one, other in pairs)
    metric = study.results.metric
    largest = max(abs(one.metrics[metric] - other.metrics[metric]) for one, other in pairs)
    apart = "" if same == len(pairs) else f"; the largest difference of AP at the end is {largest:.4f}"
    where = "; ".join(made_words(made) for made in again["made"])
    return (
        f"**Repeated**, from nothing in another folder: {_teachers(study.content, again)}{same} of "
        f"{len(pairs)} trainings gave the same figures at every evaluation, to the last digit{apart}. The second "
        f"run: {where} From `{path}`.\n"
    )


def _figures(trial: Trial) -> tuple[Any, ...]:
    """All but the time it took."""
    return trial.metrics, trial.steps, trial.samples, trial.teacher_passes, trial.curve


def _teachers(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Whether teachers that were trained anew have the same weights."""
    weights = [
        {role: weight for variant in one["variants"].values() for role, weight in _weights(variant).items()}
        for one in (first, second)
    ]
    shared = sorted(weights[0].keys() & weights[1].keys())
    same = sum(weights[0][role] == weights[1][role] for role in shared)
    return f"{same} of {len(shared)} teachers have the same weights, bit by bit, and " if shared else ""


def _weights(variant: Mapping[str, Any]) -> Mapping[str, str]:
    teachers: Mapping[str, str] = variant["config"].get("teachers") or {}
    return teachers
