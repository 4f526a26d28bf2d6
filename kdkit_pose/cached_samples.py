"""What a run needs of cached teachers: their records with the samples, and no view that they lack."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from kdkit import CachedTeacher, Teacher
from kdkit.cache import CachedDataset, CanonicalTeacher

FromCache: TypeAlias = CachedTeacher | CanonicalTeacher


def cached_teachers(teachers: Iterable[Teacher]) -> tuple[FromCache, ...]:
    """Return those that read their targets from a cache, also within others, each once."""
    members = dict.fromkeys(member for teacher in teachers for member in teacher.members)
    return tuple(member for member in members if isinstance(member, CachedTeacher | CanonicalTeacher))


def with_records(dataset: Any, teachers: Sequence[FromCache]) -> Any:
    """Return a data set's samples with the records that the teachers want to find there.

    Args:
        dataset: gives samples with ``id`` and ``view``.
        teachers: each that reads its records from a field gets them there; others look up theirs.
    """
    for teacher in teachers:
        if teacher.records is not None:
            dataset = CachedDataset(dataset, teacher.cache, teacher.records)
    return dataset


def common_views(teachers: Sequence[FromCache]) -> int | None:
    """Return how many views of a sample all of the teachers' caches have; None where each has any.

    A canonical cache's one map serves every view.
    """
    return min((teacher.cache.views for teacher in teachers if not teacher.cache.canonical), default=None)
