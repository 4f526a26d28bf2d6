"""Streamed persons as training samples."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdkit.errors import DataError
from kdkit.sample_batch import SampleBatch
from kdkit.streaming import Shards, ShardSample
from kdkit.streaming.shards import OpenShard
from kdkit_pose.codecs import Codec
from kdkit_pose.data.annotations import read_json
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.packing.cut_persons import CutPersons, Pixels
from kdkit_pose.data.packing.geometry import Records, record_type
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.streaming.person_files import PERSON, read_persons, read_pixels
from kdkit_pose.data.streaming.shard import PERSONS

_HELD = ("people", "_picture_widths", "_own_masks", "_to_picture")


class StreamedKeypoints(CutPersons):
    """The persons that :func:`shard` cut from their pictures, as the samples that `PackedKeypoints` gives.

    Give it to a `kdkit.streaming.StreamLoader`, with its :attr:`shards`: that reads one shard after the other, and
    no more of the set is in memory than what the loader holds. Fields, ids, views and fingerprint are those of
    `PackedKeypoints`; so a cache of teachers' targets that was made for the one serves the other.

    It is read by (`kdkit.streaming.ShardSample`, view). By an index, or (index, view), it is read too, in the
    order of the shards: which is fast only for persons that follow each other. What is asked of all persons at
    once, such as :attr:`annotation_ids`, reads their geometry from all shards and keeps it.

    Args:
        path: The folder.
        codec: The heatmap convention; its input has the aspect that the persons were cut for, and is no larger.
        augment: How the views of a person vary; not at all without it.
        seed: What the variations derive from, together with a person's id and the view.
        masks: Whether samples have a ``mask``; by default where masks were kept.
        canonical: Whether samples have ``warp`` and ``mirrored``, for a `kdkit.cache.CanonicalTeacher`.
        open_shard: As for `kdkit.streaming.Shards`: opens shards that lie elsewhere.
        lanes: As for `kdkit.streaming.StreamLoader`; `kdkit_pose.fit` reads the shards so.
        buffer: Likewise.

    Attributes:
        shards: The shards.
        lanes: As given.
        buffer: As given.

    Raises:
        DataError: The folder holds no shards of persons, is not finished, or damaged.
        ConfigurationError: The package ``webdataset`` is missing; the codec's input is larger or of another aspect
            than persons were cut for, ``augment`` needs more room, or masks are asked for that were not kept.
    """

    command = "shard"

    def __init__(
        self,
        path: str | Path,
        *,
        codec: Codec,
        augment: Augment | None = None,
        seed: int = 0,
        masks: bool | None = None,
        canonical: bool = False,
        open_shard: OpenShard | None = None,
        lanes: int | None = None,
        buffer: int = 1024,
    ) -> None:
        folder = Path(path)
        header, self._masked = _read_persons(folder)
        super().__init__(folder, header, codec=codec, augment=augment, seed=seed, masks=masks, canonical=canonical)
        self.lanes, self.buffer = lanes, buffer
        self.shards = Shards(folder, open_shard=open_shard)
        if len(self.shards) != header.persons:
            raise DataError(
                f"{folder}: its index lists {len(self.shards)} samples, {PERSONS} {header.persons} persons: they "
                "are of different sets; copy the folder again, or run kdkit-pose shard again"
            )
        self._record = record_type(self.skeleton.num_keypoints if self.has_targets else 0)
        self._batch: list[Pixels] = []

    @property
    def masked(self) -> int:
        """How many samples have a mask that is the person's."""
        return self._masked

    def __len__(self) -> int:
        return self.header.persons

    def __getitem__(self, index: Any) -> dict[str, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[Any]) -> SampleBatch:
        """The samples of a batch, each written to its place; by (shard sample, view), (index, view) or index.

        Raises:
            DataError: A person is missing in its shard, or damaged.
        """
        places = [index if isinstance(index, tuple) else (index, 0) for index in indices]
        samples = [self._sample(place) for place, _ in places]
        records = read_persons(samples, self._record)
        # This data set, of these persons alone.
        batch = copy.copy(self)
        batch._batch = [read_pixels(*pair) for pair in zip(samples, records, strict=True)]
        batch._hold(records)
        rows = [(row, view) for row, (_, view) in enumerate(places)]
        return CutPersons.__getitems__(batch, rows)

    def __getattr__(self, name: str) -> Any:
        # What is known of all persons at once is looked for only if it is asked for.
        if name not in _HELD:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._hold(self._scan())
        return self.__dict__[name]

    def _place(self, index: Any) -> tuple[int, int]:
        row, view = index  # of a batch, in which there may be more than in the set
        return row, view

    def _pixels(self, row: int) -> Pixels:
        return self._batch[row]

    def _sample(self, place: ShardSample | int) -> ShardSample:
        if isinstance(place, ShardSample):
            return place
        return self.shards.sample(place + len(self) if place < 0 else place)

    def _scan(self) -> Records:
        numbers = range(len(self.shards.index.shards))
        samples = (list(self.shards.read(number, names=(PERSON,))) for number in numbers)
        return np.concatenate([read_persons(of_shard, self._record) for of_shard in samples])


def _read_persons(folder: Path) -> tuple[Header, int]:
    """What the folder says of its persons, and how many of them have a mask of their own.

    Raises:
        DataError: It holds no shards of persons, or its header is damaged.
    """
    path = folder / PERSONS
    if not path.exists():
        raise DataError(
            f"{folder}: holds no shards of persons ({PERSONS} is missing); kdkit-pose shard makes them"
        )
    header, masked = Header.read(path), read_json(path)[0].get("masked")
    if isinstance(masked, bool) or not isinstance(masked, int) or not 0 <= masked <= header.persons:
        raise DataError(f"{path}: damaged: expected how many persons have a mask, found {str(masked)[:60]}")
    return header, masked
