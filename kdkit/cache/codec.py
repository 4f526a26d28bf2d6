"""The abstract codec of records."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from kdkit.errors import ConfigurationError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class RecordCodec(ABC):
    """How the target of one sample becomes a fixed number of bytes, and the target again.

    A codec of one's own is a frozen dataclass whose fields are strings and numbers; the class must be imported
    before a cache that names it is opened. It works on whole batches with torch operations alone, so that
    targets are encoded and decoded on the device they are on.
    """

    @abstractmethod
    def record_bytes(self, shape: Shape) -> int:
        """Return the bytes of a target of this shape, without the batch dimension.

        Raises:
            ConfigurationError: if the codec cannot hold targets of this shape.
        """

    @abstractmethod
    def encode(self, target: Tensor) -> Tensor:
        """Return targets [B, *shape] as uint8 [B, record_bytes].

        Raises:
            ConfigurationError: if the codec is not for such values.
        """

    @abstractmethod
    def decode(self, records: Tensor, shape: Shape) -> Tensor:
        """Return the targets [B, *shape], float32, of records uint8 [B, record_bytes], on their device."""

    def tolerance(self, target: Tensor) -> Tensor:
        """Return the rounding that the codec is expected to do, in a shape that broadcasts onto the target."""
        return target.new_zeros(())

    def inexact(self, target: Tensor) -> Tensor:
        """Return which channels of which samples lost more than rounding: bool [B, C]; [B, 1] of targets [B]."""
        decoded = self.decode(self.encode(target), tuple(target.shape[1:]))
        kept = (decoded - target.float()).abs() <= self.tolerance(target)
        return ~kept.flatten(2).all(2) if target.ndim > 2 else ~kept.reshape(len(target), -1)

    def describe(self) -> dict[str, Any]:
        """Return what :func:`codec_from` makes the codec from, in plain JSON types."""
        return {"name": type(self).__name__, **asdict(self)}


def codec_from(description: Mapping[str, Any]) -> RecordCodec:
    """Return the codec of a description.

    Raises:
        ConfigurationError: if there is no such codec, or its settings are not right.
    """
    settings = dict(description)
    name = settings.pop("name", None)
    known = {codec.__name__: codec for codec in _codecs(RecordCodec)}  # type: ignore[type-abstract]
    if not isinstance(name, str) or name not in known:
        raise ConfigurationError(
            f"there is no codec {name!r}, only {sorted(known)}: import the module that has it"
        )
    codec = known[name]
    required = {field.name for field in fields(codec) if field.default is MISSING}
    if not required <= settings.keys() <= {field.name for field in fields(codec)}:
        raise ConfigurationError(f"the codec {name} has not the settings {sorted(settings)}")
    return codec(**settings)


def _codecs(base: type[RecordCodec]) -> Iterator[type[RecordCodec]]:
    for codec in base.__subclasses__():
        yield codec
        yield from _codecs(codec)


def require_whole(codec: str, name: str, value: object) -> None:
    """Raise a ConfigurationError where a codec's setting is not a whole number of 1 or more."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{codec}: {name} is {value!r}, it must be a whole number of 1 or more")


def require_maps(codec: str, shape: Shape) -> None:
    """Raise a ConfigurationError where a shape is not that of maps [C, h, w]."""
    if len(shape) != 3 or min(shape) < 1:
        raise ConfigurationError(
            f"{codec} is for maps [C, h, w], the target's shape is {list(shape)}: use Dense, or TopK for classes"
        )


def index_dtype(count: int) -> torch.dtype:
    """Return the smallest signed type, of 2 bytes or more, that counts to ``count``."""
    return torch.int16 if count <= 2**15 else torch.int32
