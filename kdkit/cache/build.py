"""Building a cache: the teacher is run once for every view of every sample."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdkit.cache.canonical import is_canonical, require_canonical
from kdkit.cache.codec import RecordCodec
from kdkit.cache.fingerprint import Prepare, cache_fingerprint, require_same
from kdkit.cache.header import Header, StoredOutput, header_path, ids_path, read_header
from kdkit.cache.publish import claim, publish
from kdkit.cache.records import Counts, Integers
from kdkit.cache.shard_builder import Observe, Progress, ShardBuilder
from kdkit.cache.target_cache import read_ids
from kdkit.cache.target_source import TargetSource
from kdkit.errors import CacheError, ConfigurationError
from kdkit.teacher import Teacher
from kdkit.transforms import TargetTransform

_MOST_SHARDS = 128  # each is an open file in every process that reads
_LEAST_RECORDS = 1024  # of a shard


@dataclass(frozen=True)
class BuildReport:
    """What a call of :func:`build_cache` did.

    Attributes:
        path: the cache's folder.
        built: the records it made.
        found: the records of its part that were there, or that others made meanwhile.
        inexact: for each output, how many of the maps it made were not stored exactly, and how many it made.
    """

    path: Path
    built: int
    found: int
    inexact: Counts

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.built} records made, {self.found} there already"]
        lines += [f"{name}: maps not stored exactly: {a} of {b}" for name, (a, b) in self.inexact.items()]
        return "\n".join(lines)


def build_cache(
    path: str | Path,
    teacher: Teacher,
    dataset: Any,
    *,
    codecs: Mapping[str, RecordCodec],
    views: int,
    transforms: Mapping[str, TargetTransform] | None = None,
    prepare: Prepare | None = None,
    ids: Sequence[int] | None = None,
    fingerprint: Mapping[str, str] | None = None,
    part: tuple[int, int] = (0, 1),
    batch_size: int = 32,
    workers: int = 0,
    device: torch.device | str | None = None,
    shard_records: int | None = None,
    progress: Progress | None = None,
    observe: Observe | None = None,
    recorded: Mapping[str, str] | None = None,
) -> BuildReport:
    """Make a cache of a teacher's targets, or what is missing of it.

    A shard is whole or not there, so a build that was stopped in any way goes on where it was. Several processes
    may build one cache at once: each takes shards that nobody is at. An existing cache that was made of something
    else is refused, and left as it is.

    Args:
        path: the cache's folder.
        teacher: the teacher; any, also an ensemble.
        dataset: gives the sample of (index, view), always the same for the same pair, with the fields that the
            teacher reads, ``id`` and ``view``.
        codecs: how each output is stored; what is not named is not stored.
        views: how many views of each sample, from 0 on.
        transforms: what is applied to an output before it is stored, by output.
        prepare: applied to every batch before the teacher sees it, as a :class:`kdkit.Trainer` does.
        ids: the samples' ids by index; by default ``dataset.annotation_ids``.
        fingerprint: items to take instead of those :func:`kdkit.cache.cache_fingerprint` finds, or beside them;
            :data:`kdkit.cache.CANONICAL` makes a canonical cache.
        part: (i, n) makes every n-th shard from the i-th on alone, for n processes or machines.
        batch_size: samples the teacher sees at once.
        workers: processes that read samples.
        device: where the teacher runs; by default it stays where it is.
        shard_records: records of a shard; by default at least 1,024, and as many as make 128 shards.
        progress: called with the records done and all records of the part, after every batch.
        observe: called with the targets of each batch that is made, by output, transformed, on their device.
        recorded: what else the cache's header is to say, such as where the teacher is from; nothing is compared
            with it.

    Raises:
        CacheError: if the folder holds another cache or other files, a target is not finite, or it cannot be
            written.
        ConfigurationError: if data set, teacher, codecs and transforms do not fit together, or the data set gives
            something else when it is read again.
    """
    _check_numbers(part, views=views, batch_size=batch_size, shard_records=shard_records)
    _check_outputs(teacher, codecs, transforms or {})
    folder, order = Path(path), _ids(dataset, ids)
    place = None if device is None else torch.device(device)
    source = TargetSource(teacher, dataset, tuple(codecs), transforms or {}, prepare, place)
    records, targets = len(order) * views, source.first()
    header = Header(
        outputs={name: StoredOutput(tuple(targets[name].shape[1:]), codec) for name, codec in codecs.items()},
        samples=len(order),
        ids_checksum=zlib.crc32(np.sort(order).tobytes()),
        views=views,
        shard_records=shard_records or max(_LEAST_RECORDS, -(-records // _MOST_SHARDS)),
        fingerprint=cache_fingerprint(
            teacher, dataset, transforms=transforms, prepare=prepare, fingerprint=fingerprint
        ),
        convention=dict(teacher.convention),
        recorded={"torch": torch.__version__, **teacher.usage, **(recorded or {})},
    )
    if is_canonical(header):
        require_canonical(header)
        source.require_same_views()
    header = _open_folder(folder, header, np.sort(order))
    builder = ShardBuilder(
        *(folder, header, source, order),
        batch_size=batch_size,
        workers=workers,
        progress=progress,
        observe=observe,
    )
    shards = range(part[0], header.shards, part[1])
    builder.run(shards)
    of_part = sum(len(header.records_of(shard)) for shard in shards)
    return BuildReport(folder, builder.built, of_part - builder.built, builder.inexact)


def _check_numbers(part: tuple[int, int], **counts: int | None) -> None:
    first, parts = part
    if not 0 <= first < parts:
        raise ConfigurationError(f"part={part} must be (i, n) with 0 <= i < n")
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ConfigurationError(f"{name}={value}: it must be 1 or more")


def _ids(dataset: Any, ids: Sequence[int] | None) -> Integers:
    """The ids by index."""
    given = getattr(dataset, "annotation_ids", None) if ids is None else ids
    if given is None:
        raise ConfigurationError("the data set has no annotation_ids: give ids=, the samples' ids by index")
    order = np.array(given, dtype=np.int64)
    if order.ndim != 1 or len(order) != len(dataset) or not len(order) or len(np.unique(order)) < len(order):
        raise ConfigurationError(
            f"ids must be the {len(dataset)} samples' ids by index, all different, found {len(order)} of which "
            f"{len(np.unique(order))} differ"
        )
    return order


def _check_outputs(
    teacher: Teacher, codecs: Mapping[str, RecordCodec], transforms: Mapping[str, TargetTransform]
) -> None:
    if not isinstance(teacher, Teacher):
        raise ConfigurationError(
            f"build_cache: {type(teacher).__name__} is not a Teacher; wrap a network as "
            f"ModuleTeacher(name, network, inputs=..., outputs=...)"
        )
    if not codecs or any(name not in teacher.outputs for name in codecs):
        raise ConfigurationError(
            f"teacher '{teacher.name}' gives {list(teacher.outputs)}, codecs are for {list(codecs)}: name one or "
            f"more of what it gives"
        )
    if strange := [name for name in transforms if name not in codecs]:
        raise ConfigurationError(f"transforms are for {strange}, of which no codec is named: {list(codecs)}")
    for name, codec in codecs.items():
        if not isinstance(codec, RecordCodec):
            raise ConfigurationError(f"the codec of '{name}' is {codec!r}, not one of kdkit.cache")


def _open_folder(folder: Path, header: Header, ids: Integers) -> Header:
    """The header of the cache in the folder, made if there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(f"the cache's folder '{folder}' cannot be made: {error}; give another one") from error
    with claim(header_path(folder), wait=True):
        if header_path(folder).exists():
            found = read_header(folder)
            require_same(found.items(), header.items(), folder)
            read_ids(folder, found)
            return found
        _require_unused(folder, header)
        publish(ids_path(folder), lambda file: np.save(file, ids, allow_pickle=False))
        publish(header_path(folder), lambda file: file.write(header.to_json().encode()))
    return header


def _require_unused(folder: Path, header: Header) -> None:
    """Check that a folder holds nothing but what a build that was killed at its beginning leaves."""
    lock = f".{header_path(folder).stem}.lock"
    left = tuple(f".{path.name}." for path in (ids_path(folder), header_path(folder)))
    for path in sorted(folder.iterdir()):
        if path.name == ids_path(folder).name:
            read_ids(folder, header)
        elif path.name.startswith(left):
            path.unlink()
        elif path.name != lock:
            raise CacheError(f"the folder '{folder}' holds '{path.name}' and no cache: give an empty one")
