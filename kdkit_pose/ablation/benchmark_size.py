"""How large the synthetic benchmark is: small or long, for two CPU cores, and at full size, for a GPU."""

from dataclasses import dataclass, replace
from typing import Literal

Precision = Literal["no", "bf16"]


@dataclass(frozen=True)
class BenchmarkSize:
    """How large the benchmark is.

    Args:
        train_pictures: to train on; half of them are crowds.
        val_pictures: to evaluate on; half of them are crowds.
        input_size: width and height of the networks' input, in pixels.
        sigma: of the heatmaps' Gaussian, in cells.
        teacher: the network of all teachers.
        student: the network of the students.
        batch_size: persons an optimizer step.
        primary_epochs: of the primary teacher.
        senior_epochs: of each other teacher, which starts from the primary's weights.
        epochs: of a student.
        teacher_rate: Adam's learning rate for teachers; it falls as a cosine.
        rate: Adam's learning rate for students; likewise.
        precision: ``no`` or ``bf16``, in which students and teachers compute while they are trained.
        evaluations: of a student, evenly over its epochs.
        share_targets: whether teachers look at each view of a seed once, see :class:`PoseStudy`.
    """

    train_pictures: int = 20_000
    val_pictures: int = 2_000
    input_size: tuple[int, int] = (192, 256)
    sigma: float = 2.0
    teacher: str = "hrnet_w32"
    student: str = "hrnet_w16"
    batch_size: int = 128
    primary_epochs: int = 20
    senior_epochs: int = 10
    epochs: int = 30
    teacher_rate: float = 1e-3
    rate: float = 1e-3
    precision: Precision = "bf16"
    evaluations: int = 10
    share_targets: bool = False


FULL = BenchmarkSize()
"""For a GPU."""

SMALL = BenchmarkSize(
    train_pictures=1_000,
    val_pictures=300,
    input_size=(96, 128),
    sigma=1.5,
    teacher="hrnet_w16_small",
    student="hrnet_w12_small",
    batch_size=16,
    primary_epochs=12,
    senior_epochs=6,
    epochs=12,
    teacher_rate=2e-3,
    rate=2e-3,
    evaluations=6,
    share_targets=True,
)
"""For two CPU cores: trainings so short that they leave a student with much to learn."""

LONG = replace(
    SMALL,
    primary_epochs=48,
    senior_epochs=24,
    epochs=48,
    evaluations=8,
)
"""The people and networks of :data:`SMALL`, and four times the training."""
