"""What cached targets depend on, as strings that can be compared."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import default_collate

import kdkit
from kdkit.batch import Batch, read_field
from kdkit.cache.header import FORMAT
from kdkit.errors import CacheError, ConfigurationError
from kdkit.naming import callable_name
from kdkit.teacher import Teacher
from kdkit.transforms import Identity, TargetTransform

Prepare = Callable[[dict[str, Tensor]], Batch]


def cache_fingerprint(
    teacher: Teacher,
    dataset: Any,
    *,
    transforms: Mapping[str, TargetTransform] | None = None,
    prepare: Prepare | None = None,
    fingerprint: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return what a teacher's targets for a data set depend on, to build a cache or to open the right one.

    ========== ==========================================================================================
    teacher    the weights of its members, and its makeup where it has several or is not one of them
    transforms what is applied to each output
    prepare    what is applied to batches, or ``none``
    mode       ``views``, a target for each; or ``canonical``, see :class:`kdkit.cache.CanonicalTeacher`
    inputs     names, types and shapes of the fields that it reads
    data       the data set's ``fingerprint()``, if it has one
    seed       the data set's attribute ``seed``, or ``none``
    versions   of the format, and of kdkit
    ========== ==========================================================================================

    Args:
        teacher: the teacher.
        dataset: gives a sample for (index, view); one is read.
        transforms: by output; what is not named is not transformed.
        prepare: applied to every batch before the teacher sees it, as a :class:`kdkit.Trainer` does.
        fingerprint: items to take instead of those that are found, or beside them.

    Raises:
        ConfigurationError: if teacher or data set have no fingerprint and none is given.
        BatchError: if the data set does not give a field that the teacher reads.
    """
    given = dict(fingerprint or {})
    if strange := [key for key, value in given.items() if not isinstance(value, str)]:
        raise ConfigurationError(f"a fingerprint's items are strings, {strange} are not")
    found = {
        "teacher": _teacher(teacher),
        "transforms": repr({name: one for name, one in sorted((transforms or {}).items()) if one != Identity()}),
        # Also where there is none: what is absent would not be compared.
        "prepare": "none" if prepare is None else callable_name(prepare),
        "mode": "views",
        "inputs": _inputs(teacher, dataset, prepare),
        "data": dataset.fingerprint() if hasattr(dataset, "fingerprint") else None,
        "seed": str(dataset.seed) if hasattr(dataset, "seed") else "none",
        "versions": f"format {FORMAT}, kdkit {kdkit.__version__}",
    }
    items = {**{key: value for key, value in found.items() if value is not None}, **given}
    for item in ("teacher", "data"):
        if item not in items:
            raise ConfigurationError(
                f"the {item} has no fingerprint that a cache could be told by: give one of your own, "
                f"fingerprint={{'{item}': 'a text that changes whenever it does'}}"
            )
    return items


def require_same(there: Mapping[str, str], now: Mapping[str, str], path: object) -> None:
    """Check that two sets of items are the same.

    Raises:
        CacheError: naming each item that differs, and both values of it.
    """
    differing = [key for key in sorted(there.keys() | now.keys()) if there.get(key) != now.get(key)]
    if differing:
        values = [f"{key}: there {_short(there.get(key))}, now {_short(now.get(key))}" for key in differing]
        raise CacheError(
            f"the cache '{path}' was made of something else, it differs in {', '.join(differing)} "
            f"({'; '.join(values)}): give what it was made of, or build another one in another folder"
        )


def read_sample(dataset: Any, index: int, view: int) -> dict[str, Tensor]:
    """Return a view of one sample of a data set as a batch.

    Raises:
        ConfigurationError: if the data set does not give samples by (index, view).
    """
    try:
        sample = dataset[(index, view)]
    except (TypeError, KeyError, IndexError) as error:
        raise ConfigurationError(
            f"the data set gives no sample for (index, view) = {index, view} ({type(error).__name__}: {error}): a "
            f"cache needs views that can be read by their number, see kdkit.sampling"
        ) from error
    batch: dict[str, Tensor] = default_collate([sample])
    return batch


def _teacher(teacher: Teacher) -> str | None:
    prints = [member.fingerprint() for member in teacher.members]
    if any(one is None for one in prints):
        return None
    if teacher.members == (teacher,):
        return prints[0]
    return f"{teacher!r} of {prints}"


def _inputs(teacher: Teacher, dataset: Any, prepare: Prepare | None) -> str:
    sample = read_sample(dataset, 0, 0)
    batch = sample if prepare is None else prepare(sample)
    values = {name: read_field(batch, name, f"teacher '{teacher.name}'") for name in teacher.reads}
    described = [
        f"{name} {str(value.dtype).removeprefix('torch.')} {list(value.shape[1:])}"
        for name, value in sorted(values.items())
    ]
    return ", ".join(described)


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    return repr(value) if len(value) <= 100 else repr(f"{value[:60]}...{value[-37:]}")
