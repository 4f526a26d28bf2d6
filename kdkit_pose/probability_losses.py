"""Whether losses of probabilities meet heatmaps that are some."""

from functools import partial
from typing import Any

from kdkit import ConfigurationError, Curriculum, Distill, Identity, losses
from kdkit.objective import Loss
from kdkit.probabilities import loss_function
from kdkit_pose.models import PoseNetwork


def of_probabilities(loss: Loss) -> bool:
    """Whether a loss is a cross-entropy of values in [0, 1]."""
    plain: Any = loss.func if isinstance(loss, partial) else loss
    return plain in (losses.bce, losses.bce_with_logits)


def check_probability_losses(network: PoseNetwork, curriculum: Curriculum) -> None:
    """Require probabilities of student and teachers where heatmaps are learned by a loss of these.

    Of heatmaps outside [0, 1] ``bce`` learns nothing, and behind two sigmoids nothing comes near 0: either would
    only be noticed at the end. A teacher's heatmaps without a sigmoid are below 0 where there is nothing.

    Raises:
        ConfigurationError: naming the stage, the objective and what to do.
    """
    for stage in curriculum:
        for objective in stage.objectives:
            if objective.output in network.heatmap_outputs and not objective.is_off:
                where = f"stage '{stage.name}': '{objective.name}'"
                _check_student(network, loss_function(objective), where)
                if isinstance(objective, Distill) and of_probabilities(objective.loss):
                    _check_teacher(objective, where)


def _check_student(network: PoseNetwork, loss: Any, where: str) -> None:
    has_sigmoid = network.activation == "sigmoid"
    misfit: Any = losses.bce_with_logits if has_sigmoid else losses.bce
    taken, wanted = ("logits", "none") if has_sigmoid else ("probabilities", "sigmoid")
    if loss is misfit:
        other = "losses.bce" if has_sigmoid else "losses.mse"
        raise ConfigurationError(
            f"{where} learns by {misfit.__name__}, which takes {taken}, but the network has the activation "
            f"'{network.activation}': use models.create('{network.name}', activation='{wanted}'), or loss={other}"
        )


def _check_teacher(objective: Distill, where: str) -> None:
    modules = [getattr(member, "module", None) for member in objective.teacher.members]
    unbounded = any(isinstance(module, PoseNetwork) and module.activation == "none" for module in modules)
    if unbounded and isinstance(objective.transform, Identity):
        raise ConfigurationError(
            f"{where} learns probabilities, and the teacher's heatmaps are none, but below 0 where nothing is: "
            f"binarize them (--binarize both, or the recipe's argument), or let them go through Truncate(0.0)"
        )
