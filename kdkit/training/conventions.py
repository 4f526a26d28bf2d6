"""Data, network, teachers and the student's file must mean the same by a target."""

from collections.abc import Iterator, Mapping
from typing import Any

from kdkit.distiller import Distiller
from kdkit.ensemble_teacher import EnsembleTeacher
from kdkit.errors import ConfigurationError
from kdkit.teacher import Teacher

Convention = Mapping[str, str]


def check_conventions(loader: Any, distiller: Distiller, metadata: Mapping[str, str]) -> None:
    """Check that nothing contradicts what the training data say of their targets.

    A data set that has an attribute ``convention``, strings by name, says so how its targets are made. A network
    may have one too, and then says how it was trained. What one of them does not say is not compared.

    Args:
        loader: the training data's; its data set is looked for behind ``dataset``, as often as there is one.
        distiller: the student, whose network must be told what it is to learn, and the teachers.
        metadata: of the student's file.

    Raises:
        ConfigurationError: naming who says something else, and what.
    """
    while (inner := getattr(loader, "dataset", None)) is not None:
        loader = inner
    data: Convention = getattr(loader, "convention", {})
    for owner, said, remedy in _sayings(distiller, metadata):
        told = [f"{key}: {said[key]} and {data[key]}" for key in data if said.get(key, data[key]) != data[key]]
        if told:
            raise ConfigurationError(
                f"{owner} and the training data's targets are not of one convention: {', '.join(told)}; {remedy}"
            )


def _sayings(distiller: Distiller, metadata: Mapping[str, str]) -> Iterator[tuple[str, Convention, str]]:
    """Whoever may say something, what it says, and what to do where that is wrong."""
    yield "the metadata for the student's file", metadata, "describe the data's there"
    relearn = "if it is to learn the data's, tell it so first (of a pose network: network.codec = data.codec)"
    yield "the student's network", getattr(distiller.student.module, "convention", {}), relearn
    for teacher in distiller.teachers:
        for one in _each(teacher):
            yield f"teacher '{one.name}'", one.convention, "give data of the teacher's, or another teacher"


def _each(teacher: Teacher) -> Iterator[Teacher]:
    """The teachers of an ensemble, of ensembles in it too."""
    if isinstance(teacher, EnsembleTeacher):
        for one in teacher.teachers:
            yield from _each(one)
    else:
        yield teacher
