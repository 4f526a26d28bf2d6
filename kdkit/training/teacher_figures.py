"""What was measured of a run's teachers before it began."""

from kdkit.distiller import Distiller
from kdkit.teacher import Teacher


def teacher_members(distiller: Distiller) -> list[Teacher]:
    """Return what the teachers are made of, each once."""
    return list(dict.fromkeys(member for teacher in distiller.teachers for member in teacher.members))


def teacher_figures(distiller: Distiller) -> dict[str, float]:
    """Return what was measured of the teachers, for the run's first line."""
    return {name: value for member in teacher_members(distiller) for name, value in member.figures.items()}


def measured_teachers(distiller: Distiller) -> list[str]:
    """Return a line of words a teacher that something was measured of."""
    return [str(member) for member in teacher_members(distiller) if member.figures]
