"""A pose network as a student."""

from kdkit import Student
from kdkit_pose.models import PoseNetwork


def pose_student(network: PoseNetwork) -> Student:
    """Return a network as a student whose outputs are all of its heatmaps.

    A stacked hourglass makes heatmaps in every stack. They are named as in ``network.heatmap_outputs``, which a
    recipe takes as its ``outputs``:

    >>> from kdkit import Distiller
    >>> from kdkit_pose import models, pose_student, recipes
    >>> network = models.create("hourglass4_128", activation="sigmoid")
    >>> student = pose_student(network)
    >>> student.outputs
    ('heatmap', 'heatmap_1', 'heatmap_2', 'heatmap_3')
    >>> distiller = Distiller(student, recipes.supervised(outputs=network.heatmap_outputs))

    A curriculum that leaves one of them out is refused: alone, the last one learns much worse, and nothing in the
    results would tell. What shall not be supervised is named with weight 0.

    The network itself is as it was: run alone, it returns the last stack's heatmaps only.

    Args:
        network: from :func:`kdkit_pose.models.create`; one with a mask fusion reads the batch's ``mask`` too.
            Features it was created with are outputs as well.
    """
    outputs = ("heatmap", *network.features)
    return Student(
        network,
        network.inputs,
        outputs,
        features=network.intermediate_heatmaps,
        required=network.heatmap_outputs,
    )
