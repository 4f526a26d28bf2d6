"""How large the demonstration is."""

from dataclasses import dataclass

from kdkit import ConfigurationError


@dataclass(frozen=True)
class DemoSettings:
    """The demonstration's data, networks and lengths; the defaults take about six minutes on two cores.

    Args:
        train_pictures: synthetic pictures to train on.
        val_pictures: other synthetic pictures, to evaluate on.
        crowded: the share of pictures in which people stand close together.
        input_size: width and height of the networks' input, in pixels.
        sigma: of the heatmaps' Gaussian, in cells; with maps this small a narrow one learns faster.
        teacher: the network of both teachers.
        student: the network of both students.
        batch_size: persons an optimizer step.
        teacher_rate: Adam's learning rate for the teachers.
        student_rate: Adam's learning rate for the students.
        primary_epochs: of the primary teacher.
        senior_epochs: of the senior teacher, which starts from the primary's weights.
        student_epochs: of either student; ODKD's stages have half of them each.
        evaluate_every: epochs between evaluations.
        people_shown: held-out people in the report's picture.

    Raises:
        ConfigurationError: if the students have fewer than two epochs, one for each of ODKD's stages.
    """

    train_pictures: int = 1150
    val_pictures: int = 110
    crowded: float = 0.12
    input_size: tuple[int, int] = (96, 128)
    sigma: float = 1.5
    teacher: str = "hrnet_w16_small"
    student: str = "hrnet_w12_small"
    batch_size: int = 16
    teacher_rate: float = 2e-3
    student_rate: float = 3e-3
    primary_epochs: int = 6
    senior_epochs: int = 2
    student_epochs: int = 6
    evaluate_every: int = 1
    people_shown: int = 5

    def __post_init__(self) -> None:
        if self.student_epochs < 2:
            raise ConfigurationError(
                f"the students train {self.student_epochs} epochs: ODKD's two stages need at least two"
            )
