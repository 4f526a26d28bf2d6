"""What the experiment is for: both students' figures, and how far their difference may be chance."""

import json
from pathlib import Path
from typing import Any

from kdkit import ConfigurationError
from kdkit.processes import Processes
from kdkit.training.run_folder import RunFolder
from kdkit_pose.evaluation import Metrics, compare

from .judging import Judge

STUDENTS = ("distill", "plain")


def compare_students(judge: Judge) -> None:
    """Print COCO's ten figures of both students for each source of boxes, and their difference; keep them too.

    Raises:
        ConfigurationError: if the students did not learn under the same conditions.
    """
    options = judge.options
    found, common = {}, _common(options.out)
    for boxes in judge.sources:
        figures: dict[str, Any] = {}
        files = []
        for name in STUDENTS:
            network = judge.persons.load(options.out / name / "student.safetensors")
            figures[name], file = judge.results(name, network, boxes)
            files.append(file)
            print(f"{name}, {boxes} boxes, flip test: {_line(figures[name])}", flush=True)
        if not Processes.current().is_main:
            continue
        difference = compare(options.val_annotations, *files)
        print(f"distill - plain, {boxes} boxes: {difference}", flush=True)
        figures["distill - plain"] = {"AP": difference.difference, "low": difference.low, "high": difference.high}
        found[boxes] = figures
    if not Processes.current().is_main:
        return
    path = options.out / "evaluation.json"
    path.write_text(json.dumps({"both": common, **found}, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


def _common(out: Path) -> dict[str, Any]:
    """What both students have in common, which must be all but teachers and the data's masks."""
    plain, distilled = (_conditions(RunFolder(out / name)) for name in reversed(STUDENTS))
    if differing := sorted(key for key in plain.keys() | distilled.keys() if plain.get(key) != distilled.get(key)):
        told = "; ".join(f"{key}: plain {plain.get(key)!r}, distill {distilled.get(key)!r}" for key in differing)
        raise ConfigurationError(
            f"the students in '{out}' cannot be compared ({told}): take one of the two steps again with the "
            f"other's options, in a folder without its run"
        )
    return plain


def _conditions(run: RunFolder) -> dict[str, Any]:
    named = json.loads(run.config.read_text(encoding="utf-8"))["config"]
    conditions = {name: value for name, value in named.items() if name not in ("data", "predicted_masks")}
    return {**conditions, "steps": run.read_metrics()[-1]["step"]}


def _line(metrics: Metrics) -> str:
    """The ten figures in per cent."""
    numbers = {name: value for name, value in metrics.items() if name != "boxes"}
    return ", ".join(f"{name} {'-' if value is None else f'{100 * value:.1f}'}" for name, value in numbers.items())
