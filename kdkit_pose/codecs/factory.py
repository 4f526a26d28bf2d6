"""Codecs by name, for command lines and file headers."""

from collections.abc import Mapping

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs.codec import Codec, Decoder
from kdkit_pose.codecs.dark import DARK
from kdkit_pose.codecs.msra import MSRA
from kdkit_pose.codecs.udp import UDP

_CODECS: dict[str, type[Codec]] = {codec.name: codec for codec in (MSRA, DARK, UDP)}


def names() -> tuple[str, ...]:
    """The names that :func:`create` knows."""
    return tuple(_CODECS)


def create(
    name: str, input_size: tuple[int, int] = (192, 256), sigma: float = 2.0, decoder: Decoder = "peak"
) -> Codec:
    """The codec called ``name``; see :class:`Codec` for the arguments.

    Raises:
        ConfigurationError: An unknown name, or an argument that the codec refuses.
    """
    if name not in _CODECS:
        raise ConfigurationError(f"there is no codec {name!r}; choose one of {', '.join(names())}")
    return _CODECS[name](input_size=input_size, sigma=sigma, decoder=decoder)


def from_metadata(metadata: Mapping[str, str]) -> Codec:
    """The codec that :meth:`Codec.to_metadata` described; other keys are passed over.

    Raises:
        ConfigurationError: A key is missing, or what it says cannot be read.
    """
    keys = ("codec", "codec_input_size", "codec_sigma", "codec_decoder")
    missing = [key for key in keys if key not in metadata]
    if missing:
        raise ConfigurationError(
            f"the metadata names no codec: {', '.join(missing)} missing among {sorted(metadata)}; "
            "say which codec the network was trained with"
        )
    name, size, sigma, decoder = (metadata[key] for key in keys)
    try:
        width, height = (int(side) for side in size.split("x"))
        return create(name, (width, height), float(sigma), decoder)  # type: ignore[arg-type]  # checked there
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(
            f"codec metadata cannot be read: codec_input_size {size!r} should be like '192x256', "
            f"codec_sigma {sigma!r} a number"
        ) from error
