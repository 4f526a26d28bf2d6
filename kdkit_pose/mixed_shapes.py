"""Whether a curriculum has a student match discs and Gaussians at once."""

from collections.abc import Collection

from kdkit import Curriculum, Distill, Supervise
from kdkit_pose.recipes import binarizes


def torn_between_discs(curriculum: Curriculum, discs: Collection[str]) -> tuple[str, ...]:
    """Return the teachers of discs that a stage learns from beside the ground truth's Gaussians.

    Args:
        curriculum: the stages.
        discs: the names of the teachers that learned binarized heatmaps, and show such.
    """
    torn: dict[str, None] = {}
    for stage in curriculum:
        objectives = [one for one in stage.objectives if not one.is_off and not binarizes(one.transform)]
        if any(isinstance(one, Supervise) for one in objectives):
            taught = (one.teacher.name for one in objectives if isinstance(one, Distill))
            torn.update(dict.fromkeys(name for name in taught if name in discs))
    return tuple(torn)
