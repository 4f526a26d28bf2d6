"""The files of one person in a shard."""

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from kdkit.errors import ConfigurationError, DataError
from kdkit.streaming import ShardSample
from kdkit_pose.data.packing.geometry import Records

Encoding = Literal["raw", "png"]
"""How pixels are kept: as they are, or in fewer bytes, from which they come back the same."""
Pixels = npt.NDArray[np.uint8]

PERSON = "person.npy"
"""The person's geometry: one record of `kdkit_pose.data.packing.geometry.record_type`."""
_MOST = 10**9  # pixels, along any axis
_RAW, _PNG = "pixels.npy", "png"
# Where a PNG file says how large it is: behind its signature and the head of its first chunk.
_PNG_SIZE = struct.Struct(">16xII")


def check_encoding(encoding: str) -> None:
    """Require one that there is.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if encoding not in get_args(Encoding):
        raise ConfigurationError(f"the encoding must be one of {get_args(Encoding)}, found {encoding!r}")


def person_files(record: Records, pixels: Pixels, encoding: Encoding) -> Mapping[str, bytes]:
    """Return a person's files.

    Args:
        record: [1] the person's.
        pixels: uint8 [h, w, 3] in RGB, or [h, w, 4] with the mask.
        encoding: How pixels are kept.
    """
    files = {PERSON: _saved(record)}
    if encoding == "raw":
        return files | {_RAW: _saved(pixels)}
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return files | {_PNG: cv2.imencode(".png", cv2.cvtColor(pixels, order))[1].tobytes()}


def read_persons(samples: Sequence[ShardSample], expected: np.dtype[Any]) -> Records:
    """Return the records [N] of persons.

    Raises:
        DataError: One is missing, damaged or of another kind.
    """
    single = [sample.array(PERSON) for sample in samples]
    for sample, record in zip(samples, single, strict=True):
        if record.dtype != expected or record.shape != (1,):
            raise _no_person(sample)
    records: Records = np.concatenate(single)
    sound = _are_sound(records)
    if not sound.all():
        raise _no_person(samples[int(np.argmin(sound))])
    return records


def _are_sound(records: Records) -> npt.NDArray[np.bool_]:
    """Whether a person's numbers can be those of one, each [N]."""
    sound: npt.NDArray[np.bool_] = np.isin(records["planes"], (3, 4)) & (records["picture_width"] >= 1)
    for name in ("stored", "scale"):
        sound &= (records[name] > 0).all(axis=1)
    sound &= (records["window"][:, 2:] >= 1).all(axis=1)
    for name in ("picture_width", "window", "stored", "center", "scale", "keypoints"):
        # Not so where a number is NaN.
        sound &= (np.abs(records[name].reshape(len(records), -1)) < _MOST).all(axis=1)
    return sound


def _no_person(sample: ShardSample) -> DataError:
    return DataError(f"{sample.source}: sample '{sample.key}' is no person of this set, or damaged")


def read_pixels(sample: ShardSample, record: np.void) -> Pixels:
    """Return a person's pixels, uint8 [h, w, 3], or [h, w, 4] with the mask, of the size that its record says.

    Raises:
        DataError: They are missing, damaged or of another size.
    """
    (width, height), planes = record["stored"].tolist(), int(record["planes"])
    if _PNG in sample.members:
        content = sample.member(_PNG)
        # Before there is room made for them.
        if len(content) < _PNG_SIZE.size or _PNG_SIZE.unpack_from(content) != (width, height):
            raise _other_size(sample, width, height)
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.ndim != 3 or pixels.shape[2] != planes:
            raise DataError(f"{sample.source}: '{_PNG}' of sample '{sample.key}' is damaged")
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if planes == 3 else cv2.COLOR_BGRA2RGBA)
    else:
        pixels = sample.array(_RAW)
    if pixels.shape != (height, width, planes) or pixels.dtype != np.uint8:
        raise _other_size(sample, width, height)
    return np.asarray(pixels)


def _other_size(sample: ShardSample, width: int, height: int) -> DataError:
    return DataError(f"{sample.source}: the pixels of sample '{sample.key}' are not {width}x{height}, or damaged")


def _saved(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
