"""What a study is of, and what it was made with, in words."""

from collections.abc import Mapping
from typing import Any

from benchmarks.ablation.study_file import StudyFile

_LABELS = {
    "exact": "exact labels and masks",
    "coco": (
        "labels as COCO's are: joints jittered and left out, ragged masks; those to be judged on have exact ones"
    ),
}
_PACKAGES = ("python", "kdkit", "torch", "numpy")


def setting(study: StudyFile) -> str:
    """Return a study's people, networks and length."""
    config = study.config
    sentences = [_people(config["benchmark"]) if "benchmark" in config else _own_persons(study.networks)]
    student = config.get("student")
    sentences.append(f"The student is `{student}`{_teachers(config)}." if student else "")
    reference = next(iter(study.results.trials[study.results.baseline].values()), None)
    if reference is not None:
        batch = reference.samples // max(reference.steps, 1)
        epochs = f"{config['epochs']} epochs, " if "epochs" in config else ""
        sentences.append(
            f"{study.results.baseline} trains for {epochs}{reference.steps:,} steps of {batch} persons, and so "
            f"does every row but those that name another length."
        )
    seeds = ", ".join(map(str, study.content["seeds"]))
    sentences.append(f"Seeds: {seeds}.")
    return " ".join(filter(None, sentences))


def made_with(study: StudyFile) -> str:
    """Return machines, dates, commits and versions, a line for each that differs."""
    return "\n".join(f"- {made_words(made)}" for made in study.content["made"])


def _people(benchmark: Mapping[str, Any]) -> str:
    size = benchmark["size"]
    width, height = size["input_size"]
    labels = _LABELS.get(benchmark["labels"], benchmark["labels"])
    return (
        f"{size['train_pictures']:,} drawn pictures to train on and {size['val_pictures']:,} to be judged on, "
        f"half of them crowds; crops of {height}x{width}. Those to train on have {labels}."
    )


def _own_persons(networks: Mapping[str, Any] | None) -> str:
    if networks is None:
        return "Persons of a data set of its own."
    persons = networks["persons"]
    return (
        f"{persons['train']:,} real persons to train on and {persons['val']:,} to be judged on. Every network was "
        f"trained on drawn people before; then the teachers were on the real ones. All rows and seeds begin from "
        f"one student: seeds differ in the order of the samples and in their augmentation alone."
    )


def _teachers(config: Mapping[str, Any]) -> str:
    size = config.get("benchmark", {}).get("size", {})
    if "teacher" not in size:
        return ""
    return (
        f", the teachers are `{size['teacher']}`: the primary is trained for {size['primary_epochs']} epochs, "
        f"each other one goes on from its weights for {size['senior_epochs']}"
    )


def made_words(made: Mapping[str, Any]) -> str:
    """Return one machine, date and commit, and what was trained there."""
    count = sum(map(len, made["trials"].values()))
    machine = made.get("machine")
    where = f"on {machine['name']}" if machine else "on a machine that was not recorded"
    dates = [made["dates"][place] for place in (0, -1)] if made["dates"] else []
    when = {0: "", 1: f", {dates[0]}" if dates else ""}.get(len(set(dates)), f", {' to '.join(dates)}")
    commit = f"commit {made['commit']}" if made.get("commit") else "commit not recorded"
    versions = made.get("versions") or {}
    having = ", ".join(f"{name} {versions[name]}" for name in _PACKAGES if name in versions)
    trainings = f"{count} training{'s' if count != 1 else ''}"
    return f"{trainings} {where}{when}, {commit}{f', with {having}' if having else ''}."
