"""The curricula of rows: by squared error and with nothing binarized, unless it is said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kdkit import (
    ConfigurationError,
    Constant,
    Cosine,
    Curriculum,
    Distill,
    Epochs,
    Linear,
    Plateau,
    Ramp,
    RunEpochs,
    Schedule,
    Stage,
    Step,
    TargetTransform,
    losses,
)
from kdkit_pose import recipes
from kdkit_pose.ablation.row import Plan

BOTH = ("primary", "senior")
# What rows learn by whose name does not say it.
SQUARES: Mapping[str, Any] = {"loss": losses.mse}


def odkd(
    senior: str = "senior", *, primary: str = "primary", share: float = 0.5, **options: Any
) -> Callable[[Plan], Curriculum]:
    """ODKD with teachers of one's choice; nothing is binarized unless it is said."""

    def build(plan: Plan) -> Curriculum:
        arguments = {
            **SQUARES,
            "primary_binarized": "none",
            "senior_binarized": "none",
            **plan.shared,
            **plan.halves("primary", "senior", share),
            **options,
        }
        return recipes.odkd(plan.teachers[primary], plan.teachers[senior], **arguments)

    return build


def reversed_odkd(roles: Sequence[str] = BOTH, **options: Any) -> Callable[[Plan], Curriculum]:
    """The senior first; the roles are the primary's and the senior's."""

    def build(plan: Plan) -> Curriculum:
        primary, senior = (plan.teachers[role] for role in roles)
        arguments = {
            **SQUARES,
            "primary_binarized": "none",
            "senior_binarized": "none",
            **plan.shared,
            **plan.halves("senior", "primary"),
            **options,
        }
        return recipes.reversed_order(primary, senior, **arguments)

    return build


def alone(recipe: Callable[..., Curriculum], role: str, **options: Any) -> Callable[[Plan], Curriculum]:
    """One teacher for the whole length, by a recipe and its options."""
    return lambda plan: recipe(plan.teachers[role], until=plan.epochs, **plan.shared, **options)


def joint(roles: Sequence[str] = BOTH, **options: Any) -> Callable[[Plan], Curriculum]:
    """Two teachers at once; the roles are the primary's and the senior's."""

    def build(plan: Plan) -> Curriculum:
        primary, senior = (plan.teachers[role] for role in roles)
        return recipes.joint(primary, senior, until=plan.epochs, **{**SQUARES, **plan.shared, **options})

    return build


def plain(**options: Any) -> Callable[[Plan], Curriculum]:
    """The ground truth alone."""
    return lambda plan: recipes.supervised(until=plan.epochs, **{**SQUARES, **plan.shared, **options})


def taught_through(
    transform: TargetTransform, teachers: Sequence[str] = ("senior",), **options: Any
) -> Callable[[Plan], Curriculum]:
    """ODKD in which the heatmaps of some stages' teachers go through a transform."""

    def through(stage: Stage) -> Stage:
        objectives = [
            replace(one, transform=transform) if isinstance(one, Distill) else one for one in stage.objectives
        ]
        return replace(stage, objectives=objectives)

    return lambda plan: Curriculum(
        *(through(stage) if stage.name in teachers else stage for stage in odkd(**options)(plan))
    )


def plateau(plan: Plan) -> Curriculum:
    """ODKD whose first stage ends at a plateau, at three quarters at the latest; the run is as long as any."""
    latest = plan.halves("primary", "senior", 0.75)["primary_until"]
    until = Epochs(latest) | Plateau("val/AP", patience=2)
    return odkd(primary_until=until, senior_until=RunEpochs(plan.epochs))(plan)


_WARMUP = Ramp(0.1, 1.0, until=0.05)


def restart(second: float) -> Callable[[Plan], Curriculum]:
    """ODKD in which each stage runs through the whole course of the rate, after a warm-up.

    Args:
        second: the second stage's rate, as a share of the first's.
    """

    def build(plan: Plan) -> Curriculum:
        primary, senior = odkd()(plan)
        rate = _WARMUP * _over_stage(plan.rate)
        return Curriculum(replace(primary, learning_rate=rate), replace(senior, learning_rate=second * rate))

    return build


def _over_stage(rate: Schedule) -> Schedule:
    if not isinstance(rate, Cosine | Step | Linear | Constant):
        raise ConfigurationError(
            f"the rate {rate!r} cannot begin anew in each stage: use a Cosine, Step or Linear"
        )
    return replace(rate, over="stage")


def crossfade(plan: Plan) -> Curriculum:
    """The primary, then both for a fifth of the epochs, in which its weight passes to the senior, then that."""
    if plan.epochs < 3:
        raise ConfigurationError(f"three stages need three epochs at least, there are {plan.epochs}")
    fade = max(round(plan.epochs / 5), 1)
    before = (plan.epochs - fade) // 2
    primary, senior = plan.teachers["primary"], plan.teachers["senior"]
    (both,) = recipes.joint(primary, senior, until=fade, **SQUARES, **plan.shared)
    # Of both together each has half of the teachers' share.
    courses = {primary: 2 * Ramp(1.0, 0.0), senior: 2 * Ramp(0.0, 1.0)}
    objectives = [
        replace(one, weight=one.schedule.values()[0] * courses[one.teacher]) if isinstance(one, Distill) else one
        for one in both.objectives
    ]
    after = plan.epochs - fade - before
    return Curriculum(
        *recipes.primary_only(primary, until=before, **SQUARES, **plan.shared),
        replace(both, name="crossfade", objectives=objectives),
        *recipes.senior_only(senior, until=after, binarized="none", **SQUARES, **plan.shared),
    )
