"""Packed persons as training samples."""

from pathlib import Path
from typing import Any

from kdkit.errors import DataError
from kdkit_pose.codecs import Codec
from kdkit_pose.data.augment import Augment
from kdkit_pose.data.packing.cut_persons import CutPersons, Pixels
from kdkit_pose.data.packing.geometry import read_records
from kdkit_pose.data.packing.header import Header
from kdkit_pose.data.packing.pack import HEADER, UNFINISHED
from kdkit_pose.data.packing.shards import Shards


class PackedKeypoints(CutPersons):
    """The persons that :func:`pack` cut from their pictures, as the same samples in bytes.

    Ids, order, views, crops and keypoints are those of the `CocoKeypoints` that were packed, read with the same
    augmentation and seed; so are the pixels, but where crops were reduced. A sample lacks what is made for a whole
    batch on the training's device, by :attr:`prepare`: give it to `kdkit.Trainer` as ``prepare``, or call it.

    Args:
        path: The folder.
        codec: The heatmap convention; its input has the packed aspect, and is no larger than packed for.
        augment: How the views of a person vary; not at all without it.
        seed: What the variations derive from, together with a person's id and the view.
        masks: Whether samples have a ``mask``; by default where masks were packed.
        canonical: Whether samples have ``warp`` and ``mirrored``, for a `kdkit.cache.CanonicalTeacher`.

    A sample is a dict of tensors:

    =========  ==================  =================================================================
    image      [3, H, W] uint8     RGB
    mask       [1, H, W] uint8     the same person's segmentation, 0 to 255
    keypoints  [K, 2] float64      x and y in pixels of the input; (0, 0) where not labelled
    labelled   [K] bool            which keypoints are labelled
    =========  ==================  =================================================================

    and ``id``, ``view``, ``image_id``, ``center``, ``scale``, ``box_score``, and with ``canonical`` ``warp`` and
    ``mirrored``, as in `CocoKeypoints`. Prepared, a batch has the fields of `CocoKeypoints` and ``labelled``.

    Raises:
        DataError: The folder holds no packed persons, is not finished, or damaged.
        ConfigurationError: The codec's input is larger or of another aspect than packed for, ``augment`` needs
            more room than was packed, or masks are asked for that were not.
    """

    command = "pack"

    def __init__(
        self,
        path: str | Path,
        *,
        codec: Codec,
        augment: Augment | None = None,
        seed: int = 0,
        masks: bool | None = None,
        canonical: bool = False,
    ) -> None:
        folder = Path(path)
        super().__init__(
            *(folder, _read_header(folder)),
            codec=codec,
            augment=augment,
            seed=seed,
            masks=masks,
            canonical=canonical,
        )
        records = read_records(self.path, self.header)
        self._hold(records)
        self._shards = Shards(self.path, self.header, records)

    def __getstate__(self) -> dict[str, Any]:
        # A worker started afresh opens the folder itself: mapped pixels must not travel.
        kept = ("path", "codec", "augment", "seed", "canonical")
        return {name: getattr(self, name) for name in kept} | {"masks": self.has_masks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _pixels(self, row: int) -> Pixels:
        return self._shards.read(row)


def _read_header(folder: Path) -> Header:
    if not (folder / HEADER).exists():
        if (folder / UNFINISHED).exists():
            raise DataError(
                f"{folder}: packing it was interrupted: run the same kdkit-pose pack again to finish it"
            )
        raise DataError(f"{folder}: holds no packed persons ({HEADER} is missing); kdkit-pose pack makes them")
    return Header.read(folder / HEADER)
