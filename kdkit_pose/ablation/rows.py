"""What is compared: recipes by name, each of the same number of epochs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kdkit import ConfigurationError, Truncate, losses
from kdkit_pose import recipes
from kdkit_pose.ablation.row import PoseRow
from kdkit_pose.ablation.row_curricula import (
    BOTH,
    SQUARES,
    alone,
    crossfade,
    joint,
    odkd,
    plain,
    plateau,
    restart,
    reversed_odkd,
    taught_through,
)

_BINARY: Mapping[str, Any] = {"primary_binarized": "both", "senior_binarized": "both"}
# Teachers that learned by cross-entropy themselves.
_ALIKE = ("primary_bce", "senior_bce")
_TRUTH: Mapping[str, Any] = {"primary_binarized": "truth", "senior_binarized": "truth"}
_SOFT: Mapping[str, Any] = {"binarized": "truth", "loss": losses.bce}
_OF_ALIKE: Mapping[str, Any] = {"senior": "senior_bce", "primary": "primary_bce", "loss": losses.bce}

ROWS: Mapping[str, PoseRow] = MappingProxyType(
    {
        "plain": PoseRow("ground truth alone", (), plain()),
        "plain_twice": PoseRow("ground truth alone, for twice as long", (), plain(), budget=2.0),
        "fpd": PoseRow("one teacher like the senior, without the mask", ("blind",), alone(recipes.fpd, "blind")),
        "primary_only": PoseRow(
            "the primary teacher", ("primary",), alone(recipes.primary_only, "primary", **SQUARES)
        ),
        "senior_only": PoseRow(
            "the senior teacher", ("senior",), alone(recipes.senior_only, "senior", binarized="none", **SQUARES)
        ),
        "joint": PoseRow("both teachers at once", BOTH, joint()),
        "odkd": PoseRow("the primary, then the senior; nothing binarized", BOTH, odkd()),
        "reversed": PoseRow("the senior, then the primary", BOTH, reversed_odkd()),
        "odkd_blind": PoseRow("odkd, its senior without the mask", ("primary", "blind"), odkd("blind")),
        "odkd_truth": PoseRow("odkd, then the truth binarized", BOTH, odkd(senior_binarized="truth")),
        "odkd_teacher": PoseRow("odkd, then the senior binarized", BOTH, odkd(senior_binarized="teacher")),
        "odkd_both": PoseRow("odkd, then both binarized at 0.5", BOTH, odkd(senior_binarized="both")),
        **{
            f"odkd_both_{threshold}": PoseRow(
                f"odkd, then both binarized at {threshold}",
                BOTH,
                odkd(senior_binarized="both", threshold=threshold),
            )
            for threshold in (0.1, 0.3, 0.7)
        },
        "odkd_truncate": PoseRow(
            "odkd, the senior's values below 0.1 left out", BOTH, taught_through(Truncate(0.1))
        ),
        "odkd_everywhere": PoseRow(
            "odkd, its teachers learned from also at keypoints that are not labelled",
            *(BOTH, odkd(teacher_region=None)),
        ),
        "odkd_alpha_0.8": PoseRow("odkd, the teacher having 0.8 of the loss, not 0.5", BOTH, odkd(alpha=0.8)),
        "odkd_everywhere_alpha_0.8": PoseRow(
            "odkd_everywhere and odkd_alpha_0.8 in one", BOTH, odkd(teacher_region=None, alpha=0.8)
        ),
        "senior_only_everywhere": PoseRow(
            "senior_only, learned from also at keypoints that are not labelled",
            ("senior",),
            alone(recipes.senior_only, "senior", binarized="none", teacher_region=None, **SQUARES),
        ),
        "odkd_early": PoseRow("odkd, a quarter with the primary", BOTH, odkd(share=0.25)),
        "odkd_late": PoseRow("odkd, three quarters with the primary", BOTH, odkd(share=0.75)),
        "odkd_multiply": PoseRow(
            "odkd, the image multiplied by the mask", ("primary", "senior_multiply"), odkd("senior_multiply")
        ),
        "odkd_add": PoseRow("odkd, the mask by a stem of its own", ("primary", "senior_add"), odkd("senior_add")),
        "odkd_canonical": PoseRow(
            "odkd, of one heatmap a person, warped to its views", BOTH, odkd(), targets="canonical"
        ),
        "binary_mse": PoseRow("odkd, truth and teacher binarized in both stages, by MSE", BOTH, odkd(**_BINARY)),
        "binary_mse_sigmoid": PoseRow(
            "binary_mse, its student's heatmaps behind a sigmoid", BOTH, odkd(**_BINARY), activation="sigmoid"
        ),
        "binary_bce": PoseRow(
            "binary_mse_sigmoid, by binary cross-entropy",
            *(BOTH, odkd(**_BINARY, loss=losses.bce)),
            activation="sigmoid",
        ),
        "binary_bce_alike": PoseRow(
            "binary_bce, of teachers that learned as plain_binary_bce does",
            *(_ALIKE, odkd(**_BINARY, **_OF_ALIKE)),
            activation="sigmoid",
        ),
        "binary_bce_alike_soft": PoseRow(
            "binary_bce_alike, the truth alone binarized: teachers give their probabilities",
            *(_ALIKE, odkd(**_TRUTH, **_OF_ALIKE)),
            activation="sigmoid",
        ),
        "reversed_bce_alike_soft": PoseRow(
            "binary_bce_alike_soft, the senior first",
            *(_ALIKE, reversed_odkd(_ALIKE, **_TRUTH, loss=losses.bce)),
            activation="sigmoid",
        ),
        "joint_bce_alike_soft": PoseRow(
            "the teachers of binary_bce_alike_soft at once", _ALIKE, joint(_ALIKE, **_SOFT), activation="sigmoid"
        ),
        **{
            f"{role}_only_bce_alike_soft": PoseRow(
                f"{said} for the whole length",
                *((f"{role}_bce",), alone(recipe, f"{role}_bce", **_SOFT)),
                activation="sigmoid",
            )
            for role, said, recipe in (
                ("primary", "the primary of binary_bce_alike_soft", recipes.primary_only),
                ("senior", "the senior of binary_bce_alike_soft", recipes.senior_only),
                ("blind", "one teacher like that senior, without the mask,", recipes.senior_only),
            )
        },
        "binary_bce_alike_soft_blind": PoseRow(
            "binary_bce_alike_soft, its senior without the mask",
            *(("primary_bce", "blind_bce"), odkd(**{**_OF_ALIKE, "senior": "blind_bce"}, **_TRUTH)),
            activation="sigmoid",
        ),
        "plain_bce": PoseRow(
            "plain, its heatmaps behind a sigmoid, by binary cross-entropy",
            *((), plain(loss=losses.bce, binarized=False)),
            activation="sigmoid",
        ),
        "plain_binary_bce": PoseRow(
            "plain_bce, the truth binarized", (), plain(loss=losses.bce, binarized=True), activation="sigmoid"
        ),
        **{
            f"plain_binary_bce_{threshold}": PoseRow(
                f"plain_binary_bce, binarized at {threshold}",
                *((), plain(loss=losses.bce, binarized=True, threshold=threshold)),
                activation="sigmoid",
            )
            for threshold in (0.1, 0.3, 0.7)
        },
        "odkd_bce": PoseRow(
            "odkd, its student's heatmaps behind a sigmoid, by binary cross-entropy; the teachers' values below 0 "
            "count as 0",
            *(BOTH, taught_through(Truncate(0.0), ("primary", "senior"), loss=losses.bce)),
            activation="sigmoid",
        ),
        "odkd_plateau": PoseRow(
            "odkd, switched when val/AP, on the very persons that rows are judged on, has not risen for 2 "
            "evaluations, or after three quarters",
            *(BOTH, plateau),
        ),
        "odkd_restart": PoseRow(
            "odkd, each stage with the whole course of the learning rate, the first 5 % of it a warm-up",
            *(BOTH, restart(1.0)),
        ),
        "odkd_low": PoseRow("odkd_restart, the second stage at 0.3 of the rate", BOTH, restart(0.3)),
        "odkd_crossfade": PoseRow(
            "odkd, the teachers' weight passing from the primary to the senior in the middle fifth",
            *(BOTH, crossfade),
        ),
    }
)
"""Every row by its name. The teacher ``blind`` is the senior's network, trained alike, without the mask.

``odkd_plateau`` chooses by held-out data when to switch, and is judged on the same: its AP is a little flattered.
``binary_mse`` has the network of the other rows, ``binary_mse_sigmoid`` that of ``binary_bce``, which therefore
differ in the loss alone. ``plain_binary_bce``, ``odkd_bce`` and ``plain_bce`` are ``binary_bce`` without its
teachers, without its binarization, and without both. The teachers ``primary_bce``, ``senior_bce`` and
``blind_bce`` are networks like the others, trained as long, that learned the binarized truth by binary
cross-entropy behind a sigmoid.
"""

CORE = ("plain", "fpd", "primary_only", "senior_only", "joint", "odkd", "reversed", "odkd_both")
"""The rows that say whether ODKD helps, and whether its order and its binarization do, by squared error."""

CORE_BCE = (
    "plain_binary_bce",
    "blind_only_bce_alike_soft",
    "primary_only_bce_alike_soft",
    "senior_only_bce_alike_soft",
    "joint_bce_alike_soft",
    "binary_bce_alike_soft",
    "reversed_bce_alike_soft",
    "binary_bce_alike",
)
"""The same by binary cross-entropy, as recipes and teachers learn by default; the last is the recipe ``odkd``."""


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
