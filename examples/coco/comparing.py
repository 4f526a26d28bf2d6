"""What the experiment is for: both students' figures, and how far their difference may be chance."""

import json
from typing import Any

from kdkit.processes import Processes
from kdkit_pose.evaluation import Metrics, compare

from .judging import Judge

STUDENTS = ("distill", "plain")


def compare_students(judge: Judge) -> None:
    """Print COCO's ten figures of both students for each source of boxes, and their difference; keep them too."""
    options, found = judge.options, {}
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
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


def _line(metrics: Metrics) -> str:
    """The ten figures in per cent."""
    numbers = {name: value for name, value in metrics.items() if name != "boxes"}
    return ", ".join(f"{name} {'-' if value is None else f'{100 * value:.1f}'}" for name, value in numbers.items())
