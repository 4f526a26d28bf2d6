"""What is compared: recipes by name, each of the same number of epochs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

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
    Teacher,
    Truncate,
    losses,
)
from kdkit_pose import recipes
from kdkit_pose.models import Activation


@dataclass(frozen=True)
class Plan:
    """What every row is built from.

    Args:
        teachers: by role, those that are there.
        epochs: the length of a row.
        rate: the learning rate over the run.
        outputs: the student's heatmaps.
    """

    teachers: Mapping[str, Teacher]
    epochs: int
    rate: Schedule
    outputs: Sequence[str] = ("heatmap",)

    @property
    def shared(self) -> dict[str, Any]:
        """The arguments that every recipe takes."""
        return {"learning_rate": self.rate, "outputs": self.outputs}

    def halves(self, first: str, second: str, share: float = 0.5) -> dict[str, int]:
        """The arguments that part the epochs between two stages; each has one at least.

        Raises:
            ConfigurationError: if there are fewer than two epochs.
        """
        if self.epochs < 2:
            raise ConfigurationError(f"two stages need two epochs at least, there is {self.epochs}")
        earlier = min(max(round(self.epochs * share), 1), self.epochs - 1)
        return {f"{first}_until": earlier, f"{second}_until": self.epochs - earlier}


@dataclass(frozen=True)
class PoseRow:
    """A recipe with its settings.

    Args:
        summary: what it is, in a line.
        teachers: the roles of those it learns from.
        build: makes its curriculum.
        budget: how many times the epochs of the others it takes.
        targets: what it learns from: the teachers' heatmaps of every view, as ``live`` teachers give them, or
            ``canonical``, one heatmap of each person, warped to its views.
        activation: what its student's heatmaps go through.
    """

    summary: str
    teachers: tuple[str, ...]
    build: Callable[[Plan], Curriculum]
    budget: float = 1.0
    targets: Literal["live", "canonical"] = "live"
    activation: Activation = "none"

    def curriculum(self, plan: Plan) -> Curriculum:
        """Return its curriculum.

        Raises:
            ConfigurationError: if a teacher is missing.
        """
        if missing := [role for role in self.teachers if role not in plan.teachers]:
            raise ConfigurationError(f"there is no teacher for {missing}, only for {sorted(plan.teachers)}")
        return self.build(replace(plan, epochs=round(plan.epochs * self.budget)))


_BOTH = ("primary", "senior")
# What rows learn by whose name does not say it.
_SQUARES: Mapping[str, Any] = {"loss": losses.mse}


def _odkd(
    senior: str = "senior", *, primary: str = "primary", share: float = 0.5, **options: Any
) -> Callable[[Plan], Curriculum]:
    """ODKD with teachers of one's choice; nothing is binarized unless it is said."""

    def build(plan: Plan) -> Curriculum:
        arguments = {
            **_SQUARES,
            "primary_binarized": "none",
            "senior_binarized": "none",
            **plan.shared,
            **plan.halves("primary", "senior", share),
            **options,
        }
        return recipes.odkd(plan.teachers[primary], plan.teachers[senior], **arguments)

    return build


def _reversed(roles: Sequence[str] = _BOTH, **options: Any) -> Callable[[Plan], Curriculum]:
    def build(plan: Plan) -> Curriculum:
        primary, senior = (plan.teachers[role] for role in roles)
        arguments = {
            **_SQUARES,
            "primary_binarized": "none",
            "senior_binarized": "none",
            **plan.shared,
            **plan.halves("senior", "primary"),
            **options,
        }
        return recipes.reversed_order(primary, senior, **arguments)

    return build


def _alone(recipe: Callable[..., Curriculum], role: str, **options: Any) -> Callable[[Plan], Curriculum]:
    return lambda plan: recipe(plan.teachers[role], until=plan.epochs, **plan.shared, **options)


def _joint(roles: Sequence[str] = _BOTH, **options: Any) -> Callable[[Plan], Curriculum]:
    def build(plan: Plan) -> Curriculum:
        primary, senior = (plan.teachers[role] for role in roles)
        return recipes.joint(primary, senior, until=plan.epochs, **{**_SQUARES, **plan.shared, **options})

    return build


def _plain(**options: Any) -> Callable[[Plan], Curriculum]:
    return lambda plan: recipes.supervised(until=plan.epochs, **{**_SQUARES, **plan.shared, **options})


def _taught_through(
    transform: TargetTransform, teachers: Sequence[str] = ("senior",), **options: Any
) -> Callable[[Plan], Curriculum]:
    """ODKD in which the heatmaps of some stages' teachers go through a transform."""

    def through(stage: Stage) -> Stage:
        objectives = [
            replace(one, transform=transform) if isinstance(one, Distill) else one for one in stage.objectives
        ]
        return replace(stage, objectives=objectives)

    return lambda plan: Curriculum(
        *(through(stage) if stage.name in teachers else stage for stage in _odkd(**options)(plan))
    )


def _plateau(plan: Plan) -> Curriculum:
    """ODKD whose first stage ends at a plateau, at three quarters at the latest; the run is as long as any."""
    latest = plan.halves("primary", "senior", 0.75)["primary_until"]
    until = Epochs(latest) | Plateau("val/AP", patience=2)
    return _odkd(primary_until=until, senior_until=RunEpochs(plan.epochs))(plan)


_WARMUP = Ramp(0.1, 1.0, until=0.05)


def _restart(second: float) -> Callable[[Plan], Curriculum]:
    """ODKD in which each stage runs through the whole course of the rate, after a warm-up.

    Args:
        second: the second stage's rate, as a share of the first's.
    """

    def build(plan: Plan) -> Curriculum:
        primary, senior = _odkd()(plan)
        rate = _WARMUP * _over_stage(plan.rate)
        return Curriculum(replace(primary, learning_rate=rate), replace(senior, learning_rate=second * rate))

    return build


def _over_stage(rate: Schedule) -> Schedule:
    if not isinstance(rate, Cosine | Step | Linear | Constant):
        raise ConfigurationError(
            f"the rate {rate!r} cannot begin anew in each stage: use a Cosine, Step or Linear"
        )
    return replace(rate, over="stage")


def _crossfade(plan: Plan) -> Curriculum:
    """The primary, then both for a fifth of the epochs, in which its weight passes to the senior, then that."""
    if plan.epochs < 3:
        raise ConfigurationError(f"three stages need three epochs at least, there are {plan.epochs}")
    fade = max(round(plan.epochs / 5), 1)
    before = (plan.epochs - fade) // 2
    primary, senior = plan.teachers["primary"], plan.teachers["senior"]
    (both,) = recipes.joint(primary, senior, until=fade, **_SQUARES, **plan.shared)
    # Of both together each has half of the teachers' share.
    courses = {primary: 2 * Ramp(1.0, 0.0), senior: 2 * Ramp(0.0, 1.0)}
    objectives = [
        replace(one, weight=one.schedule.values()[0] * courses[one.teacher]) if isinstance(one, Distill) else one
        for one in both.objectives
    ]
    after = plan.epochs - fade - before
    return Curriculum(
        *recipes.primary_only(primary, until=before, **_SQUARES, **plan.shared),
        replace(both, name="crossfade", objectives=objectives),
        *recipes.senior_only(senior, until=after, binarized="none", **_SQUARES, **plan.shared),
    )


_BINARY: Mapping[str, Any] = {"primary_binarized": "both", "senior_binarized": "both"}
# Teachers that learned by cross-entropy themselves.
_ALIKE = ("primary_bce", "senior_bce")
_SOFT: Mapping[str, Any] = {"binarized": "truth", "loss": losses.bce}
_OF_ALIKE: Mapping[str, Any] = {"senior": "senior_bce", "primary": "primary_bce", "loss": losses.bce}

ROWS: Mapping[str, PoseRow] = MappingProxyType(
    {
        "plain": PoseRow("ground truth alone", (), _plain()),
        "plain_twice": PoseRow("ground truth alone, for twice as long", (), _plain(), budget=2.0),
        "fpd": PoseRow("one teacher like the senior, without the mask", ("blind",), _alone(recipes.fpd, "blind")),
        "primary_only": PoseRow(
            "the primary teacher", ("primary",), _alone(recipes.primary_only, "primary", **_SQUARES)
        ),
        "senior_only": PoseRow(
            "the senior teacher", ("senior",), _alone(recipes.senior_only, "senior", binarized="none", **_SQUARES)
        ),
        "joint": PoseRow("both teachers at once", _BOTH, _joint()),
        "odkd": PoseRow("the primary, then the senior; nothing binarized", _BOTH, _odkd()),
        "reversed": PoseRow("the senior, then the primary", _BOTH, _reversed()),
        "odkd_blind": PoseRow("odkd, its senior without the mask", ("primary", "blind"), _odkd("blind")),
        "odkd_truth": PoseRow("odkd, then the truth binarized", _BOTH, _odkd(senior_binarized="truth")),
        "odkd_teacher": PoseRow("odkd, then the senior binarized", _BOTH, _odkd(senior_binarized="teacher")),
        "odkd_both": PoseRow("odkd, then both binarized at 0.5", _BOTH, _odkd(senior_binarized="both")),
        **{
            f"odkd_both_{threshold}": PoseRow(
                f"odkd, then both binarized at {threshold}",
                _BOTH,
                _odkd(senior_binarized="both", threshold=threshold),
            )
            for threshold in (0.1, 0.3, 0.7)
        },
        "odkd_truncate": PoseRow(
            "odkd, the senior's values below 0.1 left out", _BOTH, _taught_through(Truncate(0.1))
        ),
        "odkd_everywhere": PoseRow(
            "odkd, its teachers learned from also at keypoints that are not labelled",
            *(_BOTH, _odkd(teacher_region=None)),
        ),
        "odkd_alpha_0.8": PoseRow("odkd, the teacher having 0.8 of the loss, not 0.5", _BOTH, _odkd(alpha=0.8)),
        "odkd_everywhere_alpha_0.8": PoseRow(
            "odkd_everywhere and odkd_alpha_0.8 in one", _BOTH, _odkd(teacher_region=None, alpha=0.8)
        ),
        "senior_only_everywhere": PoseRow(
            "senior_only, learned from also at keypoints that are not labelled",
            ("senior",),
            _alone(recipes.senior_only, "senior", binarized="none", teacher_region=None, **_SQUARES),
        ),
        "odkd_early": PoseRow("odkd, a quarter with the primary", _BOTH, _odkd(share=0.25)),
        "odkd_late": PoseRow("odkd, three quarters with the primary", _BOTH, _odkd(share=0.75)),
        "odkd_multiply": PoseRow(
            "odkd, the image multiplied by the mask", ("primary", "senior_multiply"), _odkd("senior_multiply")
        ),
        "odkd_add": PoseRow("odkd, the mask by a stem of its own", ("primary", "senior_add"), _odkd("senior_add")),
        "odkd_canonical": PoseRow(
            "odkd, of one heatmap a person, warped to its views", _BOTH, _odkd(), targets="canonical"
        ),
        "binary_mse": PoseRow("odkd, truth and teacher binarized in both stages, by MSE", _BOTH, _odkd(**_BINARY)),
        "binary_mse_sigmoid": PoseRow(
            "binary_mse, its student's heatmaps behind a sigmoid", _BOTH, _odkd(**_BINARY), activation="sigmoid"
        ),
        "binary_bce": PoseRow(
            "binary_mse_sigmoid, by binary cross-entropy",
            *(_BOTH, _odkd(**_BINARY, loss=losses.bce)),
            activation="sigmoid",
        ),
        "binary_bce_alike": PoseRow(
            "binary_bce, of teachers that learned as plain_binary_bce does",
            *(_ALIKE, _odkd(**_BINARY, **_OF_ALIKE)),
            activation="sigmoid",
        ),
        "binary_bce_alike_soft": PoseRow(
            "binary_bce_alike, the truth alone binarized: teachers give their probabilities",
            *(_ALIKE, _odkd(primary_binarized="truth", senior_binarized="truth", **_OF_ALIKE)),
            activation="sigmoid",
        ),
        "reversed_bce_alike_soft": PoseRow(
            "binary_bce_alike_soft, the senior first",
            *(_ALIKE, _reversed(_ALIKE, primary_binarized="truth", senior_binarized="truth", loss=losses.bce)),
            activation="sigmoid",
        ),
        "joint_bce_alike_soft": PoseRow(
            "the teachers of binary_bce_alike_soft at once", _ALIKE, _joint(_ALIKE, **_SOFT), activation="sigmoid"
        ),
        **{
            f"{role}_only_bce_alike_soft": PoseRow(
                f"the {role} of binary_bce_alike_soft for the whole length",
                *((teacher,), _alone(recipe, teacher, **_SOFT)),
                activation="sigmoid",
            )
            for role, teacher, recipe in zip(
                *(_BOTH, _ALIKE, (recipes.primary_only, recipes.senior_only)), strict=True
            )
        },
        "plain_bce": PoseRow(
            "plain, its heatmaps behind a sigmoid, by binary cross-entropy",
            *((), _plain(loss=losses.bce, binarized=False)),
            activation="sigmoid",
        ),
        "plain_binary_bce": PoseRow(
            "plain_bce, the truth binarized", (), _plain(loss=losses.bce, binarized=True), activation="sigmoid"
        ),
        "odkd_bce": PoseRow(
            "odkd, its student's heatmaps behind a sigmoid, by binary cross-entropy; the teachers' values below 0 "
            "count as 0",
            *(_BOTH, _taught_through(Truncate(0.0), ("primary", "senior"), loss=losses.bce)),
            activation="sigmoid",
        ),
        "odkd_plateau": PoseRow(
            "odkd, switched when val/AP, on the very persons that rows are judged on, has not risen for 2 "
            "evaluations, or after three quarters",
            *(_BOTH, _plateau),
        ),
        "odkd_restart": PoseRow(
            "odkd, each stage with the whole course of the learning rate, the first 5 % of it a warm-up",
            *(_BOTH, _restart(1.0)),
        ),
        "odkd_low": PoseRow("odkd_restart, the second stage at 0.3 of the rate", _BOTH, _restart(0.3)),
        "odkd_crossfade": PoseRow(
            "odkd, the teachers' weight passing from the primary to the senior in the middle fifth",
            *(_BOTH, _crossfade),
        ),
    }
)
"""Every row by its name. The teacher ``blind`` is the senior's network, trained alike, without the mask.

``odkd_plateau`` chooses by held-out data when to switch, and is judged on the same: its AP is a little flattered.
``binary_mse`` has the network of the other rows, ``binary_mse_sigmoid`` that of ``binary_bce``, which therefore
differ in the loss alone. ``plain_binary_bce``, ``odkd_bce`` and ``plain_bce`` are ``binary_bce`` without its
teachers, without its binarization, and without both. The teachers ``primary_bce`` and ``senior_bce`` are networks
like the others, trained as long, that learned the binarized truth by binary cross-entropy behind a sigmoid.
"""

CORE = ("plain", "fpd", "primary_only", "senior_only", "joint", "odkd", "reversed", "odkd_both")
"""The rows that say whether ODKD helps, and whether its order and its binarization do."""


def rows_named(names: Sequence[str]) -> dict[str, PoseRow]:
    """Return rows by name, in the order given.

    Raises:
        ConfigurationError: if there is no such row.
    """
    if unknown := [name for name in names if name not in ROWS]:
        raise ConfigurationError(f"there are no rows {unknown}, only {', '.join(ROWS)}")
    return {name: ROWS[name] for name in names}


def roles_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the roles of the teachers that rows need, each once.

    Raises:
        ConfigurationError: if there is no such row.
    """
    return tuple(dict.fromkeys(role for row in rows_named(names).values() for role in row.teachers))
