"""One batch through every stage, before hours are spent."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kdkit.batch import Batch, to_device
from kdkit.curriculum import Curriculum
from kdkit.distill import Distill
from kdkit.stage import Stage
from kdkit.step_context import StepContext
from kdkit.student import Student


@dataclass(frozen=True)
class ObjectiveCheck:
    """What one objective did with the batch.

    Attributes:
        stage: the stage's name.
        objective: the objective's name.
        prediction: the shape of the student's output.
        target: the shape of the transformed target.
        loss: the unweighted loss.
        weight: the weight's lowest and highest value in the stage.
    """

    stage: str
    objective: str
    prediction: tuple[int, ...]
    target: tuple[int, ...]
    loss: float
    weight: tuple[float, float]


@dataclass(frozen=True)
class CheckReport:
    """What :meth:`Distiller.check` found; printed, it is a table.

    Attributes:
        fields: the batch's fields and their shapes.
        privileged: the fields that only teachers read.
        unused: the fields that nothing reads.
        objectives: a line an objective.
    """

    fields: dict[str, tuple[int, ...]]
    privileged: tuple[str, ...]
    unused: tuple[str, ...]
    objectives: tuple[ObjectiveCheck, ...]

    def __str__(self) -> str:
        lines = ["batch"]
        for name, shape in self.fields.items():
            mark = " (privileged)" if name in self.privileged else " (unused)" if name in self.unused else ""
            lines.append(f"  {name} {list(shape)}{mark}")
        stage = ""
        for row in self.objectives:
            if row.stage != stage:
                stage = row.stage
                lines.append(f"stage {stage}")
            start, end = row.weight
            weight = f"{start:g}" if start == end else f"{start:g} .. {end:g}"
            lines.append(
                f"  {row.objective}: prediction {list(row.prediction)}, target {list(row.target)}, "
                f"loss {row.loss:.4g} x weight {weight}"
            )
        return "\n".join(lines)


def check_batch(student: Student, curriculum: Curriculum, batch: Batch, device: torch.device) -> CheckReport:
    """Run a batch through every objective of every stage without learning; see :meth:`Distiller.check`."""
    moved = to_device(batch, device)
    # In eval mode BatchNorm's running statistics stay as they are.
    modes = [(module, module.training) for module in student.modules()]
    student.eval()
    try:
        with torch.no_grad():
            predictions = student(moved)
            rows = [
                row for stage in curriculum for row in _check_stage(stage, predictions, moved, curriculum, device)
            ]
    finally:
        for module, mode in modes:
            module.training = mode
    by_teachers = {name for stage in curriculum for teacher in stage.teachers for name in teacher.reads}
    by_others = {*student.reads, *(n for s in curriculum for o in s.objectives for n in o.reads)}
    tensors = {name: tuple(value.shape) for name, value in moved.items() if isinstance(value, Tensor)}
    return CheckReport(
        fields=tensors,
        privileged=tuple(name for name in tensors if name in by_teachers - set(student.reads)),
        unused=tuple(name for name in tensors if name not in by_teachers | by_others),
        objectives=tuple(rows),
    )


def _check_stage(
    stage: Stage,
    predictions: dict[str, Tensor],
    batch: Batch,
    curriculum: Curriculum,
    device: torch.device,
) -> list[ObjectiveCheck]:
    targets = {}
    for teacher in stage.teachers:
        targets[teacher.name] = teacher.to(device).targets(batch)
        if stage is not curriculum.stage:
            teacher.to(torch.device("cpu"))
    # A schedule counts as at its first value: the stage's start.
    unseen = frozenset(one.name for one in stage.objectives if not one.is_off)
    context = StepContext(batch, targets, predictions, lambda schedule: schedule.values()[0], unseen=unseen)
    rows = []
    for objective in stage.objectives:
        if isinstance(objective, Distill) and objective.is_off:
            continue
        prediction = predictions[objective.output]
        target = objective.transform(objective.find_target(context))
        losses = objective.sample_losses(context)
        weights = objective.schedule.values()
        rows.append(
            ObjectiveCheck(
                stage.name,
                objective.name,
                tuple(prediction.shape),
                tuple(target.shape),
                float(losses.mean()),
                (min(weights), max(weights)),
            )
        )
    return rows
