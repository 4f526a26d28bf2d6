"""A study's tables in Markdown."""

import math
from collections.abc import Sequence

from benchmarks.ablation.study_file import StudyFile
from kdkit.ablation import Results, mean_interval
from kdkit.ablation.table import interval_words

_PARTS = ("val/AP_people", "val/AP_crowds")


def rows_table(study: StudyFile) -> str:
    """Return a line a row: how good it is, and how much better than the baseline."""
    by_pair = {(one.variant, one.other): one for one in study.comparisons}
    results = study.results
    lines = []
    for row in results.rows:
        against = by_pair.get((row.name, results.baseline))
        cells = (row.name, str(row.metric.count), interval_words(row.metric))
        lines.append((*cells, *(("", "") if against is None else (against.value, _code(against.mark)))))
    head = ["row", "seeds", "AP (95% interval)", f"minus {results.baseline} (95% interval)", "mark"]
    return table(head, lines, words=1)


def cost_table(study: StudyFile) -> str:
    """Return a line a row: what it is, its mean AP of people and of crowds, and what a training of it cost."""
    parts = [found for metric in _PARTS if (found := study.by(metric)) is not None]
    means = [{row.name: row.metric.mean for row in found.rows} for found in parts]
    variants = study.content["variants"]
    lines = [
        (
            row.name,
            variants.get(row.name, {}).get("summary", ""),
            *(f"{found[row.name]:.4f}" for found in means),
            *(f"{count:,}" for count in (row.steps, row.samples, row.teacher_passes)),
        )
        for row in study.results.rows
    ]
    shown = [found.metric.removeprefix("val/").replace("_", " ") for found in parts]
    head = ["row", "what it learns from", *shown, "steps", "student passes", "teacher passes"]
    return table(head, lines, words=2)


def course_table(study: StudyFile) -> str:
    """Return a line a row as long as the baseline: how much better it is at each evaluation; empty without any on
    the way.

    Evaluations count that all seeds of both rows have.
    """
    results = study.results
    rows = {row.name: row.steps for row in results.rows}
    curves = {name: _curves(results, name) for name, steps in rows.items() if steps == rows.get(results.baseline)}
    baseline = curves.pop(results.baseline, {})
    columns = sorted(set.intersection(*map(set, baseline.values()))) if baseline else []
    if len(columns) < 2 or not curves:
        return ""
    lines = [
        (
            name,
            *(
                _ahead([(mine[seed], baseline[seed]) for seed in mine if seed in baseline], step)
                for step in columns
            ),
        )
        for name, mine in curves.items()
    ]
    return table(["row", *(f"{step:,}" for step in columns)], lines, words=1)


def pairs_table(study: StudyFile) -> str:
    """Return a line a difference between two rows of which none is the baseline; empty without one."""
    lines = [
        (one.name, one.value, str(one.difference.count), _code(one.mark))
        for one in study.comparisons
        if one.other != study.results.baseline
    ]
    return table(["difference", "AP (95% interval)", "seeds", "mark"], lines, words=1) if lines else ""


def teachers_table(study: StudyFile) -> str:
    """Return a line a teacher: its own figures; empty where they are not known."""
    if not study.teachers:
        return ""
    metrics = [name for name in ("val/AP", *_PARTS) if any(name in one for one in study.teachers.values())]
    lines = [
        (role, *(f"{found[name]:.4f}" if name in found else "" for name in metrics))
        for role, found in study.teachers.items()
    ]
    return table(["teacher", *(name.removeprefix("val/").replace("_", " ") for name in metrics)], lines, words=1)


def networks_table(study: StudyFile) -> str:
    """Return a line a network that rows began with: its AP on real persons, by what it had learned from."""
    if study.networks is None:
        return ""
    found = study.networks["networks"]
    learned = sorted({name for metrics in found.values() for name in metrics})  # drawn people, then real persons
    lines = [
        (network, *(f"{metrics[name]['AP']:.4f}" if name in metrics else "" for name in learned))
        for network, metrics in found.items()
    ]
    return table(["network", *(f"AP after {name}" for name in learned)], lines, words=1)


def decoders_table(study: StudyFile) -> str:
    """Return a line a row whose students were judged by each decoder: how much more the second finds."""
    if study.decoders is None:
        return ""
    lines = []
    for row, by_seed in study.decoders["AP"].items():
        peak, centroid = ([found[name] for found in by_seed.values()] for name in ("peak", "centroid"))
        found = mean_interval([one - other for one, other in zip(centroid, peak, strict=True)])
        means = (f"{mean_interval(values).mean:.4f}" for values in (peak, centroid))
        cells = (row, study.decoders["own"][row], str(len(by_seed)), *means)
        lines.append((*cells, interval_words(found, sign=True), _code("*" if found.leaves_out_zero else "")))
    head = [
        "row",
        "its own",
        "seeds",
        "AP by peak",
        "AP by centroid",
        "centroid minus peak (95% interval)",
        "mark",
    ]
    return table(head, lines, words=2)


def persons_table(study: StudyFile) -> str:
    """Return a line a person of those that are drawn."""
    persons = study.persons
    if persons is None:
        return ""
    plain, distilled = persons["plain"], persons["distilled"]
    lines = [
        (
            kind,
            str(one["id"]),
            str(one["labelled"]),
            *(f"{one['oks'][name]:.3f}" for name in (plain, distilled)),
            f"{one['difference']:+.3f}",
            str(one["seed"]),
        )
        for kind in ("gained", "lost")
        for one in persons[kind]
    ]
    head = ["", "annotation", "keypoints", f"OKS of {plain}", f"OKS of {distilled}", "difference", "seed drawn"]
    return table(head, lines, words=1)


def table(head: Sequence[str], lines: Sequence[Sequence[str]], *, words: int) -> str:
    """Return a Markdown table whose first columns are words and whose others are numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines)) + "\n"


def _curves(results: Results, row: str) -> dict[int, dict[int, float]]:
    """The metric by seed and steps, where it is a number."""
    return {
        seed: {
            steps: value
            for steps, metrics in trial.curve
            if (value := metrics.get(results.metric)) is not None and math.isfinite(value)
        }
        for seed, trial in results.trials[row].items()
    }


def _ahead(pairs: Sequence[tuple[dict[int, float], dict[int, float]]], step: int) -> str:
    """The mean of what curves have more than others at a step, starred where the interval leaves out 0."""
    if not pairs or any(step not in curve for pair in pairs for curve in pair):
        return ""
    found = mean_interval([mine[step] - other[step] for mine, other in pairs])
    return f"{found.mean:+.4f} {_code('*')}" if found.leaves_out_zero else f"{found.mean:+.4f}"


def _code(mark: str) -> str:
    return f"`{mark}`" if mark else ""
