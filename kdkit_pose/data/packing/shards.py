"""Reading packed pixels: each shard is mapped into memory when it is first needed."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError
from kdkit_pose.data.packing.geometry import Records
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.pack import shard_name

Pixels = npt.NDArray[np.uint8]


class Shards:
    """The pixels of packed persons, by row.

    Args:
        folder: Where the shards are.
        header: Which says how large they are.
        records: Which say where each person's pixels lie.

    Raises:
        DataError: A shard is missing or of another size.
    """

    def __init__(self, folder: Path, header: Header, records: Records) -> None:
        self._paths = [folder / shard_name(number) for number in range(len(header.shards))]
        for path, size in zip(self._paths, header.shards, strict=True):
            found = path.stat().st_size if path.is_file() else None
            if found != size:
                what = "is missing" if found is None else f"has {found} bytes, not {size}"
                raise DataError(f"{path}: {what}; copy the folder again, or pack the persons again")
        width, height = records["stored"].T
        self._places = np.stack([records["shard"], records["offset"], height, width, records["planes"]], axis=1)
        self._maps: dict[int, Pixels] = {}

    def read(self, row: int) -> Pixels:
        """The pixels of one person, uint8 [h, w, 3], or [h, w, 4] with the mask; not to be written to."""
        shard, offset, height, width, planes = self._places[row].tolist()
        pixels = self._maps.get(shard)
        if pixels is None:
            # Not as numpy's own kind of map, whose every slice is slow to make.
            pixels = self._maps[shard] = np.asarray(np.memmap(self._paths[shard], dtype=np.uint8, mode="r"))
        return pixels[offset : offset + height * width * planes].reshape(height, width, planes)
