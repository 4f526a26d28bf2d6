"""Curricula ready made: ODKD, what it is compared with, and plain training.

Every recipe lasts the same 210 epochs by default, so that results compare at equal length. All use FPD's
objective, ``(1 - alpha) * loss(student, truth) + alpha * loss(student, teacher)``, weighted by visibility.

>>> from kdkit_pose import MaskAwareTeacher, models, recipes
>>> primary = MaskAwareTeacher("primary", models.create("hrnet_w8_small"))
>>> senior = MaskAwareTeacher("senior", models.create("hrnet_w8_small", mask_fusion="concat"))
>>> [stage.name for stage in recipes.odkd(primary, senior)]
['primary', 'senior']
"""

from collections.abc import Sequence
from typing import Literal

from kdkit import (
    Binarize,
    Condition,
    ConfigurationError,
    Curriculum,
    Distill,
    Epochs,
    Objective,
    Schedule,
    Stage,
    Supervise,
    TargetTransform,
    Teacher,
    losses,
)
from kdkit.objective import Loss
from kdkit.transforms import Chain, Identity
from kdkit_pose.codecs import Decoder

Binarized = Literal["none", "truth", "teacher", "both"]

NAMES = ("odkd", "fpd", "supervised", "primary_only", "senior_only", "joint", "reversed_order")
"""The recipes' names."""


def odkd(
    primary: Teacher,
    senior: Teacher,
    *,
    primary_until: int | Condition = 105,
    senior_until: int | Condition = 105,
    alpha: float = 0.5,
    threshold: float = 0.5,
    primary_binarized: Binarized = "none",
    senior_binarized: Binarized = "both",
    loss: Loss = losses.mse,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return Orderly Dual-Teacher Knowledge Distillation: the primary teacher's stage, then the senior's.

    What the paper leaves open is an argument here, with our default.

    Args:
        primary: the weaker teacher, which teaches keypoints.
        senior: the stronger teacher, which also sees the person's mask.
        primary_until: the first stage's epochs, or the condition that ends it.
        senior_until: the second stage's.
        alpha: the teacher's share of the loss, in [0, 1]; the ground truth has the rest.
        threshold: of :class:`Binarize`. Not published; 0.5 keeps a disc of 2.35 cells at sigma 2.
        primary_binarized: which targets are binarized in the first stage. None, since an under-trained
            student learns less from discs.
        senior_binarized: which targets are binarized in the second stage. Both, so that they agree.
        loss: of student and target.
        learning_rate: of both stages, by default the optimizer's; a schedule may span the run.

    Raises:
        ConfigurationError: if a value is out of its range.

    Source: arXiv 2104.10414, abstract; the objective is FPD's (arXiv 1811.05419, equation 3).
    """
    first = _stage("primary", [primary], primary_until, alpha, loss, primary_binarized, threshold, learning_rate)
    second = _stage("senior", [senior], senior_until, alpha, loss, senior_binarized, threshold, learning_rate)
    return Curriculum(first, second)


def reversed_order(
    primary: Teacher,
    senior: Teacher,
    *,
    primary_until: int | Condition = 105,
    senior_until: int | Condition = 105,
    alpha: float = 0.5,
    threshold: float = 0.5,
    primary_binarized: Binarized = "both",
    senior_binarized: Binarized = "none",
    loss: Loss = losses.mse,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return ODKD with the senior teacher first; the second stage is again the binarized one. See :func:`odkd`."""
    first = _stage("senior", [senior], senior_until, alpha, loss, senior_binarized, threshold, learning_rate)
    second = _stage("primary", [primary], primary_until, alpha, loss, primary_binarized, threshold, learning_rate)
    return Curriculum(first, second)


def joint(
    primary: Teacher,
    senior: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    threshold: float = 0.5,
    binarized: Binarized = "none",
    loss: Loss = losses.mse,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return both teachers at the same time, each with half of ``alpha``: what an order is compared with."""
    return Curriculum(_stage("joint", [primary, senior], until, alpha, loss, binarized, threshold, learning_rate))


def primary_only(
    primary: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    threshold: float = 0.5,
    binarized: Binarized = "none",
    loss: Loss = losses.mse,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return ODKD's first stage for the whole length."""
    return Curriculum(_stage("primary", [primary], until, alpha, loss, binarized, threshold, learning_rate))


def senior_only(
    senior: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    threshold: float = 0.5,
    binarized: Binarized = "both",
    loss: Loss = losses.mse,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return ODKD's second stage for the whole length."""
    return Curriculum(_stage("senior", [senior], until, alpha, loss, binarized, threshold, learning_rate))


def fpd(
    teacher: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return Fast Pose Distillation: one teacher, mean squared error, nothing binarized.

    Source: Zhang, Zhu and Ye (arXiv 1811.05419), equation 3.
    """
    return Curriculum(_stage("fpd", [teacher], until, alpha, losses.mse, "none", 0.5, learning_rate))


def supervised(
    *,
    until: int | Condition = 210,
    binarized: bool = False,
    threshold: float = 0.5,
    loss: Loss = losses.mse,
    learning_rate: float | Schedule | None = None,
) -> Curriculum:
    """Return plain training on the ground truth, without a teacher."""
    truth: Binarized = "truth" if binarized else "none"
    return Curriculum(_stage("supervised", [], until, 0.0, loss, truth, threshold, learning_rate))


def decoder_for(curriculum: Curriculum) -> Decoder:
    """Return how to decode the student that a curriculum ends with.

    A student of binarized targets has discs for peaks, whose highest cell says little: it is decoded by the
    ``centroid`` of the peak's region. Any other is decoded at its ``peak``.
    """
    final = list(curriculum)[-1]
    return "centroid" if any(_binarizes(objective.transform) for objective in final.objectives) else "peak"


def _binarizes(transform: TargetTransform) -> bool:
    steps = transform.steps if isinstance(transform, Chain) else (transform,)
    return any(isinstance(step, Binarize) for step in steps)


def _stage(
    name: str,
    teachers: Sequence[Teacher],
    until: int | Condition,
    alpha: float,
    loss: Loss,
    binarized: Binarized,
    threshold: float,
    learning_rate: float | Schedule | None,
) -> Stage:
    if not 0 <= alpha <= 1:
        raise ConfigurationError(f"alpha is {alpha}, the teacher's share of the loss: it must be in [0, 1]")
    if binarized not in ("none", "truth", "teacher", "both"):
        raise ConfigurationError(f"binarized is '{binarized}', it must be 'none', 'truth', 'teacher' or 'both'")
    flat, plain = Binarize(threshold), Identity()
    truth = flat if binarized in ("truth", "both") else plain
    taught = flat if binarized in ("teacher", "both") else plain
    # alpha 1 leaves the ground truth out, alpha 0 the teachers.
    objectives: list[Objective] = []
    if alpha < 1:
        objectives.append(Supervise("heatmap", loss, weight=1 - alpha, region="visible", transform=truth))
    if alpha > 0:
        share = alpha / len(teachers)
        objectives += [
            Distill(teacher, "heatmap", loss, weight=share, region="visible", transform=taught)
            for teacher in teachers
        ]
    condition = Epochs(until) if isinstance(until, int) else until
    return Stage(name, objectives, condition, learning_rate=learning_rate)
