"""Curricula ready made: ODKD, what it is compared with, and plain training.

Every recipe lasts the same 210 epochs by default, so that results compare at equal length. All use FPD's
objective, ``(1 - alpha) * loss(student, truth) + alpha * loss(student, teacher)``, weighted by visibility. All but
:func:`fpd` learn binarized heatmaps by binary cross-entropy unless told otherwise, which takes a student of
probabilities: ``models.create(name, activation="sigmoid")``. See :func:`odkd` for why.

>>> from kdkit_pose import MaskAwareTeacher, models, recipes
>>> primary = MaskAwareTeacher("primary", models.create("hrnet_w8_small"))
>>> senior = MaskAwareTeacher("senior", models.create("hrnet_w8_small", mask_fusion="concat"))
>>> [stage.name for stage in recipes.odkd(primary, senior)]
['primary', 'senior']
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
from kdkit.region import Region
from kdkit.transforms import Chain, Identity
from kdkit_pose.codecs import Decoder
from kdkit_pose.probability_losses import of_probabilities

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
    primary_binarized: Binarized | None = None,
    senior_binarized: Binarized | None = None,
    loss: Loss = losses.bce,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
    teacher_region: Region | None = "visible",
) -> Curriculum:
    """Return Orderly Dual-Teacher Knowledge Distillation: the primary teacher's stage, then the senior's.

    What the paper leaves open is an argument here, with our default. ``docs/performance/ablation.md`` has a row
    for most other choices (``odkd_...``, ``binary_...``), on drawn people.

    Args:
        primary: the weaker teacher, which teaches keypoints.
        senior: the stronger teacher, which also sees the person's mask.
        primary_until: the first stage's epochs, or the condition that ends it. Half of all; a quarter and three
            quarters were not told from that (rows ``odkd_early`` and ``odkd_late``).
        senior_until: the second stage's.
        alpha: the teacher's share of the loss, in [0, 1]; the ground truth has the rest. FPD's 0.5; 0.8 was not
            told from it (row ``odkd_alpha_0.8``).
        threshold: of :class:`Binarize`. Not published; 0.5 keeps a disc of 2.35 cells at sigma 2. Discs of 0.3
            to 0.7 still say where the keypoint is, 0.5 at every input size (``benchmarks/oracle_ap.py``). By
            cross-entropy students learned less from 0.3 and 0.1, and 0.7 was not told from 0.5 (beside
            ``plain_binary_bce`` the rows ``plain_binary_bce_0.3`` and so on). By squared error 0.7 was worse, and
            0.3, marked better than nothing binarized, was not told from 0.5 (``odkd_both_0.3``).
        primary_binarized: which targets are binarized in the first stage; by default what the loss needs. Under
            binary cross-entropy both: students learned more from discs, with teachers (row ``binary_bce`` beside
            ``odkd_bce``) and without (``plain_binary_bce`` beside ``plain_bce``). Under another loss none.
        senior_binarized: which targets are binarized in the second stage; by default both, so that they agree.
            That is the paper's. ``"truth"`` leaves a teacher of probabilities as it is, which was not told from it
            (``binary_bce_alike_soft``). Under mean squared error it does not help on drawn people: there the row
            ``odkd``, which binarizes ``"none"``, was better than ``odkd_both`` in every study, and once by more
            than the seeds' chance; nor does it where both stages are binarized (``binary_mse``).
        loss: of student and target. The default, :func:`kdkit.losses.bce` on binarized targets, was worth more
            than any teacher on drawn people: ``plain_binary_bce``, which has none, is ahead of ``plain`` in a
            short training and in one four times as long, where ``plain`` has flattened out. ODKD is ahead of that
            again where its teachers learned by this loss themselves (beside ``plain_binary_bce``
            ``binary_bce_alike`` and ``binary_bce_alike_soft``, in both trainings); teachers that
            learned by squared error, as all published ones, added nothing to it (``binary_bce``). One strong
            teacher alone did as well in the short one (``blind_only_bce_alike_soft``). The loss takes a
            student that ends with a sigmoid, and targets in [0, 1]: heatmaps of a teacher of squared error that
            are not binarized go through :class:`kdkit.Truncate`. FPD's loss is :func:`kdkit.losses.mse`, by which
            published figures were made.
        learning_rate: of both stages, by default the optimizer's; a schedule may span the run. The whole course of
            it in each stage, after a warm-up, was not told from one over the run (row ``odkd_restart``).
        outputs: the student's heatmaps; each learns the same with full weight. Of a network with several, as a
            stacked hourglass, they are ``network.heatmap_outputs``, and :func:`kdkit_pose.pose_student` gives
            them.
        teacher_region: where teachers are learned from. By default at labelled keypoints, as the ground truth
            is; ``None``, everywhere, was not told from it (row ``odkd_everywhere``), and is for data that keeps
            unlabelled persons: nothing of these is ``visible``, so by default they would teach nothing.

    Raises:
        ConfigurationError: if a value is out of its range, or no output or one twice is named.

    Source: arXiv 2104.10414, abstract; the objective is FPD's (arXiv 1811.05419, equation 3).
    """
    terms = _Terms(alpha, loss, threshold, learning_rate, outputs, teacher_region)
    first = _stage("primary", [primary], primary_until, terms.binarized(primary_binarized, "none"), terms)
    second = _stage("senior", [senior], senior_until, terms.binarized(senior_binarized, "both"), terms)
    return Curriculum(first, second)


def reversed_order(
    primary: Teacher,
    senior: Teacher,
    *,
    primary_until: int | Condition = 105,
    senior_until: int | Condition = 105,
    alpha: float = 0.5,
    threshold: float = 0.5,
    primary_binarized: Binarized | None = None,
    senior_binarized: Binarized | None = None,
    loss: Loss = losses.bce,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
    teacher_region: Region | None = "visible",
) -> Curriculum:
    """Return ODKD with the senior teacher first; see :func:`odkd`.

    Under another loss than binary cross-entropy the second stage is again the binarized one.
    """
    terms = _Terms(alpha, loss, threshold, learning_rate, outputs, teacher_region)
    first = _stage("senior", [senior], senior_until, terms.binarized(senior_binarized, "none"), terms)
    second = _stage("primary", [primary], primary_until, terms.binarized(primary_binarized, "both"), terms)
    return Curriculum(first, second)


def joint(
    primary: Teacher,
    senior: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    threshold: float = 0.5,
    binarized: Binarized | None = None,
    loss: Loss = losses.bce,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
    teacher_region: Region | None = "visible",
) -> Curriculum:
    """Return both teachers at the same time, each with half of ``alpha``: what an order is compared with."""
    terms = _Terms(alpha, loss, threshold, learning_rate, outputs, teacher_region)
    return Curriculum(_stage("joint", [primary, senior], until, terms.binarized(binarized, "none"), terms))


def primary_only(
    primary: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    threshold: float = 0.5,
    binarized: Binarized | None = None,
    loss: Loss = losses.bce,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
    teacher_region: Region | None = "visible",
) -> Curriculum:
    """Return ODKD's first stage for the whole length."""
    terms = _Terms(alpha, loss, threshold, learning_rate, outputs, teacher_region)
    return Curriculum(_stage("primary", [primary], until, terms.binarized(binarized, "none"), terms))


def senior_only(
    senior: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    threshold: float = 0.5,
    binarized: Binarized | None = None,
    loss: Loss = losses.bce,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
    teacher_region: Region | None = "visible",
) -> Curriculum:
    """Return ODKD's second stage for the whole length."""
    terms = _Terms(alpha, loss, threshold, learning_rate, outputs, teacher_region)
    return Curriculum(_stage("senior", [senior], until, terms.binarized(binarized, "both"), terms))


def fpd(
    teacher: Teacher,
    *,
    until: int | Condition = 210,
    alpha: float = 0.5,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
    teacher_region: Region | None = "visible",
) -> Curriculum:
    """Return Fast Pose Distillation: one teacher, mean squared error, nothing binarized.

    Source: Zhang, Zhu and Ye (arXiv 1811.05419), equation 3.
    """
    terms = _Terms(alpha, losses.mse, 0.5, learning_rate, outputs, teacher_region)
    return Curriculum(_stage("fpd", [teacher], until, "none", terms))


def supervised(
    *,
    until: int | Condition = 210,
    binarized: bool | None = None,
    threshold: float = 0.5,
    loss: Loss = losses.bce,
    learning_rate: float | Schedule | None = None,
    outputs: Sequence[str] = ("heatmap",),
) -> Curriculum:
    """Return plain training on the ground truth, without a teacher; see :func:`odkd`.

    The ground truth is binarized by default where the loss is of probabilities.
    """
    terms = _Terms(0.0, loss, threshold, learning_rate, outputs)
    if binarized is None:
        binarized = of_probabilities(loss)
    truth: Binarized = "truth" if binarized else "none"
    return Curriculum(_stage("supervised", [], until, truth, terms))


def decoder_for(curriculum: Curriculum) -> Decoder:
    """Return how to decode the student that a curriculum ends with.

    A student of binarized targets, or of teachers that learned such, as their codecs say, has discs for peaks,
    whose highest cell says little: it is decoded by the ``centroid`` of the peak's region, as
    :func:`kdkit_pose.codecs.peak_centroids` does it, which was chosen on such students' maps
    (``benchmarks/decoder_study.py``). Any other is decoded at its ``peak``, as published figures are, though the
    centroid finds little trained students of drawn people a few thousandths of AP better, these too
    (``docs/performance/ablation.md``, the tables of decoders).
    """
    final = list(curriculum)[-1]
    members = [member for teacher in final.teachers for member in teacher.members]
    discs = any(member.usage.get("codec_decoder") == "centroid" for member in members)
    return "centroid" if discs or any(binarizes(one.transform) for one in final.objectives) else "peak"


def binarizes(transform: TargetTransform) -> bool:
    """Whether a transform, or a step of it, is :class:`Binarize`."""
    steps = transform.steps if isinstance(transform, Chain) else (transform,)
    return any(isinstance(step, Binarize) for step in steps)


@dataclass(frozen=True)
class _Terms:
    """What all stages of a recipe have in common."""

    alpha: float
    loss: Loss
    threshold: float
    learning_rate: float | Schedule | None
    outputs: Sequence[str]
    teacher_region: Region | None = "visible"

    def binarized(self, asked: Binarized | None, otherwise: Binarized) -> Binarized:
        """What is asked for; by default both under a loss of probabilities, and another choice under others."""
        if asked is not None:
            return asked
        return "both" if of_probabilities(self.loss) else otherwise


def _stage(
    name: str,
    teachers: Sequence[Teacher],
    until: int | Condition,
    binarized: Binarized,
    terms: _Terms,
) -> Stage:
    alpha, loss, outputs = terms.alpha, terms.loss, terms.outputs
    if not 0 <= alpha <= 1:
        raise ConfigurationError(f"alpha is {alpha}, the teacher's share of the loss: it must be in [0, 1]")
    if binarized not in ("none", "truth", "teacher", "both"):
        raise ConfigurationError(f"binarized is '{binarized}', it must be 'none', 'truth', 'teacher' or 'both'")
    flat, plain = Binarize(terms.threshold), Identity()
    truth = flat if binarized in ("truth", "both") else plain
    taught = flat if binarized in ("teacher", "both") else plain
    if isinstance(outputs, str) or not outputs or len(set(outputs)) < len(outputs):
        raise ConfigurationError(
            f"outputs is {outputs!r}, it must be names of the student's heatmaps, each once, as ('heatmap',)"
        )
    objectives: list[Objective] = []
    for output in outputs:
        # alpha 1 leaves the ground truth out, alpha 0 the teachers.
        if alpha < 1:
            objectives.append(
                Supervise(output, loss, weight=1 - alpha, region="visible", transform=truth, target="heatmap")
            )
        if alpha > 0:
            share = alpha / len(teachers)
            objectives += [
                Distill(
                    teacher,
                    output,
                    loss,
                    weight=share,
                    region=terms.teacher_region,
                    transform=taught,
                    target="heatmap",
                )
                for teacher in teachers
            ]
    condition = Epochs(until) if isinstance(until, int) else until
    return Stage(name, objectives, condition, learning_rate=terms.learning_rate)
