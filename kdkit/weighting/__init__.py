"""Weightings: how much each sample, keypoint or place of a target counts, found anew in every step.

A weighting is given as an objective's ``region``. A *score* is one in [0, 1] that needs only target and batch,
so that an :class:`kdkit.EnsembleTeacher` can also compare its teachers by it.

>>> import torch
>>> from kdkit import losses
>>> from kdkit.schedule import Linear
>>> from kdkit.step_context import StepContext
>>> from kdkit.weighting import Agreement, Confidence, EasyFirst

Two heatmaps of a teacher, one high and one low, where the truth is the high one:

>>> target = torch.tensor([[[0.0, 1.0]], [[0.25, 0.0]]])
>>> batch = {"heatmap": torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]])}
>>> context = StepContext(batch, targets={}, predictions={}, value=lambda schedule: schedule(0.0))
>>> Confidence("peak", per="channel").weigh(target, context)
tensor([[1.0000],
        [0.2500]])
>>> agreement = Agreement("heatmap", losses.l1)
>>> agreement.weigh(target, context)
tensor([1.0000, 0.5353])

The easier half of each batch, and in the end all of it:

>>> EasyFirst(agreement, Linear(0.5, 1.0)).weigh(target, context)
tensor([1., 0.])
"""

from kdkit.weighting.agreement import Agreement
from kdkit.weighting.confidence import Confidence
from kdkit.weighting.easy_first import EasyFirst
from kdkit.weighting.granularity import Granularity
from kdkit.weighting.score import Score
from kdkit.weighting.shares import Choice
from kdkit.weighting.teacher_region import TeacherRegion
from kdkit.weighting.weighting import Weighting

__all__ = [
    "Agreement",
    "Choice",
    "Confidence",
    "EasyFirst",
    "Granularity",
    "Score",
    "TeacherRegion",
    "Weighting",
]
