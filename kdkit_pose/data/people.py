"""The persons of a data set: one by one as they are read, then packed into arrays that workers share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kdkit_pose.data.masks import EncodedMask, MaskStore
from kdkit_pose.geometry import box_to_center_scale

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Person:
    """One person, everything in pixels of the picture.

    Attributes:
        id: The annotation's id, or the detection's place in its file.
        image_id: The picture's id.
        box: [4] left, top, width, height.
        keypoints: [K, 2], (0, 0) where not labelled; K is 0 for a detection.
        labelled: [K].
        mask: The person's own mask, if there is one.
        box_score: The detector's score; 1 for ground truth.
    """

    id: int
    image_id: int
    box: Array
    keypoints: Array
    labelled: npt.NDArray[np.bool_]
    mask: EncodedMask | None = None
    box_score: float = 1.0

    def unlabelled(self, num_keypoints: int) -> "Person":
        """The same person with so many keypoints, none of them labelled."""
        return replace(
            self, keypoints=np.zeros((num_keypoints, 2)), labelled=np.zeros(num_keypoints, dtype=np.bool_)
        )


@dataclass(frozen=True)
class People:
    """N persons as arrays: ids [N], image ids [N], boxes' centres and scales [N, 2], scores [N], keypoints
    [N, K, 2], labelled [N, K], and their masks. Centre and scale are those of the crop, padded and of the
    input's aspect."""

    ids: npt.NDArray[np.int64]
    image_ids: npt.NDArray[np.int64]
    centers: Array
    scales: Array
    box_scores: npt.NDArray[np.float32]
    keypoints: Array
    labelled: npt.NDArray[np.bool_]
    masks: MaskStore

    @classmethod
    def pack(cls, persons: Sequence[Person], aspect: float) -> "People":
        """Pack at least one person, for an input of ``aspect`` (width / height)."""
        crops = [box_to_center_scale(person.box, aspect) for person in persons]
        return cls(
            ids=np.array([person.id for person in persons], dtype=np.int64),
            image_ids=np.array([person.image_id for person in persons], dtype=np.int64),
            centers=np.stack([center for center, _ in crops]),
            scales=np.stack([scale for _, scale in crops]),
            box_scores=np.array([person.box_score for person in persons], dtype=np.float32),
            keypoints=np.stack([person.keypoints for person in persons]),
            labelled=np.stack([person.labelled for person in persons]),
            masks=MaskStore.pack([person.mask for person in persons]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def digest(self) -> str:
        """A SHA-256 of every number in here."""
        digest = hashlib.sha256()
        for array in (
            *(
                self.ids,
                self.image_ids,
                self.centers,
                self.scales,
                self.box_scores,
                self.keypoints,
                self.labelled,
            ),
            *(self.masks.windows, self.masks.ends),
        ):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(self.masks.counts)
        return digest.hexdigest()
