"""Teachers are evaluated before a student learns from them."""

from collections.abc import Callable, Mapping

import torch

from kdkit import ConfigurationError, ModuleTeacher
from kdkit_pose.codecs import Decoder
from kdkit_pose.evaluation import Evaluator

DOUBTFUL_AP = 0.05
"""Below this a teacher has hardly learned anything, or was loaded wrongly."""


_CLEARLY = 0.2
"""An AP that is so much lower is no matter of which few persons were seen."""


def doubtful_order(found: Mapping[str, float]) -> list[str]:
    """Return a line for each teacher that is clearly worse than one before it: were they exchanged?

    Args:
        found: AP by the teacher's name, in the order in which they teach.
    """
    names = list(found)
    return [
        f"teacher '{later}' has AP {found[later]:.3f} and '{earlier}' before it {found[earlier]:.3f}: are their "
        f"files exchanged?"
        for place, later in enumerate(names)
        for earlier in names[:place]
        if found[later] < found[earlier] - _CLEARLY
    ]


def check_teachers(
    teachers: Mapping[str, ModuleTeacher],
    evaluator: Evaluator,
    *,
    decoders: Mapping[str, Decoder] | None = None,
    floor: float | None = None,
    allow_weak: bool = False,
    device: torch.device | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Evaluate every teacher and stop where one is worse than the floor.

    A weak teacher is more often one that was loaded wrongly, or is decoded with another codec than it was
    trained with, than one that learned little.

    Args:
        teachers: networks as teachers, by name.
        evaluator: on the data that the student will be evaluated on.
        decoders: how each teacher's heatmaps are decoded, by its name; the evaluator's own way where it is not
            said. A teacher of discs has a lower AP by ``peak`` than is its own.
        floor: the least AP in [0, 1] that a teacher must have; None sets none.
        allow_weak: go on all the same.
        device: where to run them, by default an accelerator if there is one; they go back to where they were.
        say: called with a line a teacher.

    Returns:
        AP by the teacher's name.

    Raises:
        ConfigurationError: if a teacher's AP is below the floor and ``allow_weak`` is not set.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for name, teacher in teachers.items():
        fitting = evaluator.decoded_by(decoders[name]) if decoders and name in decoders else evaluator
        before = next(iter(teacher.parameters())).device
        metrics = fitting.metrics(teacher.to(device).module)
        teacher.to(before)
        ap = metrics["AP"] or 0.0
        found[name] = ap
        doubt = "  (hardly anything: is it the right file, with the right codec?)" if ap < DOUBTFUL_AP else ""
        say(f"teacher {name}: AP {ap:.3f} with {metrics['boxes']} boxes{doubt}")
        if floor is not None and ap < floor and not allow_weak:
            raise ConfigurationError(
                f"teacher '{name}' has AP {ap:.3f} with {metrics['boxes']} boxes, below the floor of {floor:g}: "
                f"check its file, its model and its codec, or go on with --allow-weak-teachers"
            )
    return found
