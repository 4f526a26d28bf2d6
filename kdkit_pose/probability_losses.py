"""Whether losses of probabilities meet heatmaps that are some."""

from functools import partial
from typing import Any

from kdkit import ConfigurationError, Curriculum, losses
from kdkit_pose.models import PoseNetwork


def check_probability_losses(network: PoseNetwork, curriculum: Curriculum) -> None:
    """Require a sigmoid where heatmaps are learned by ``bce``, and none where by ``bce_with_logits``.

    Of heatmaps outside [0, 1] ``bce`` learns nothing, and behind two sigmoids nothing comes near 0: either would
    only be noticed at the end.

    Raises:
        ConfigurationError: naming the stage, the objective and the network to create.
    """
    has_sigmoid = network.activation == "sigmoid"
    misfit: Any = losses.bce_with_logits if has_sigmoid else losses.bce
    taken, wanted = ("logits", "none") if has_sigmoid else ("probabilities", "sigmoid")
    for stage in curriculum:
        for objective in stage.objectives:
            loss = objective.loss.func if isinstance(objective.loss, partial) else objective.loss
            if loss is misfit and objective.output in network.heatmap_outputs and not objective.is_off:
                raise ConfigurationError(
                    f"stage '{stage.name}': '{objective.name}' learns by {misfit.__name__}, which takes {taken},"
                    f" but the network has the activation '{network.activation}': use"
                    f" models.create('{network.name}', activation='{wanted}')"
                )
