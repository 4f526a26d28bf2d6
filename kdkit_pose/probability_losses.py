"""Whether losses of probabilities meet heatmaps that are some."""

from typing import Any

from kdkit import ConfigurationError, Curriculum, Distill, Identity, TransformedTeacher, losses
from kdkit.objective import Loss
from kdkit.probabilities import plain_loss
from kdkit_pose.models import PoseNetwork


def of_probabilities(loss: Loss) -> bool:
    """Whether a loss is a cross-entropy of values in [0, 1]."""
    return plain_loss(loss) in (losses.bce, losses.bce_with_logits)


def check_probability_losses(network: PoseNetwork, curriculum: Curriculum) -> None:
    """Require probabilities of student and teachers where heatmaps are learned by a loss of these.

    Of heatmaps outside [0, 1] ``bce`` learns nothing, and behind two sigmoids nothing comes near 0: either would
    only be noticed at the end. A teacher's heatmaps without a sigmoid are below 0 where there is nothing. Teachers
    whose network is not at hand, as caches', are looked at in their stage's first step.

    Raises:
        ConfigurationError: naming the stage, the objective and what to do.
    """
    for stage in curriculum:
        for objective in stage.objectives:
            if objective.output in network.heatmap_outputs and not objective.is_off:
                where = f"stage '{stage.name}': '{objective.name}'"
                _check_student(network, plain_loss(objective.loss), where)
                if isinstance(objective, Distill) and of_probabilities(objective.loss):
                    _check_teacher(objective, where)


def _check_student(network: PoseNetwork, loss: Any, where: str) -> None:
    build = f"models.create('{network.name}', activation='sigmoid')"
    if loss is losses.bce and network.activation != "sigmoid":
        raise ConfigurationError(
            f"{where} learns by bce, which takes probabilities, but the network has the activation "
            f"'{network.activation}': use {build}, or loss=losses.mse"
        )
    if loss is losses.bce_with_logits:
        raise ConfigurationError(
            f"{where} learns by bce_with_logits, which takes logits, and whoever decodes the network's heatmaps "
            f"takes none: use {build} and loss=losses.bce"
        )


def _check_teacher(objective: Distill, where: str) -> None:
    teacher = objective.teacher
    if isinstance(teacher, TransformedTeacher) and objective.target in teacher.output_transforms:
        return  # whatever comes out of it is looked at in the stage's first step
    modules = [getattr(member, "module", None) for member in teacher.members]
    unbounded = any(isinstance(module, PoseNetwork) and module.activation == "none" for module in modules)
    if unbounded and isinstance(objective.transform, Identity):
        raise ConfigurationError(
            f"{where} learns probabilities, and the teacher's heatmaps are none, but below 0 where nothing is: "
            f"binarize them (--binarize both, or the recipe's argument), or wrap the teacher: "
            f"TransformedTeacher(teacher, outputs={{'{objective.target}': Truncate(0.0)}})"
        )
