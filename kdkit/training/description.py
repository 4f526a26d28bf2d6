"""What a run is, in plain JSON types: enough to repeat it, and to notice that another one is meant."""

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from kdkit.distiller import Distiller


def describe_run(
    distiller: Distiller, optimizer: Optimizer, options: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a description that is the same in every process that starts the same run.

    Args:
        distiller: student and curriculum.
        optimizer: its class and its groups' settings are named.
        options: the trainer's settings that change results.
        config: the user's own settings.
    """
    network = distiller.student.module
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    return {
        "curriculum": [
            {
                "stage": stage.name,
                "until": repr(stage.until),
                "objectives": [repr(objective) for objective in stage.objectives],
                "learning_rate": repr(stage.learning_rate),
                "warmup_steps": stage.warmup_steps,
                "optimizer": stage.optimizer,
                "freeze": list(stage.freeze),
            }
            for stage in distiller.curriculum
        ],
        "teachers": {teacher.name: repr(teacher) for teacher in distiller.teachers},
        "teacher_weights": {
            teacher.name: [member.fingerprint() for member in teacher.members] for teacher in distiller.teachers
        },
        "student": {
            "network": type(network).__name__,
            "parameters": sum(value.numel() for value in network.parameters()),
            "features": dict(distiller.student.features.places),
            "adaptors": dict(distiller.student.adaptor_sources),
        },
        "optimizer": {"class": type(optimizer).__name__, "groups": repr(groups)},
        "trainer": dict(options),
        "config": dict(config),
    }
