"""The caches of one map a sample for all of its views."""

from collections.abc import Mapping
from types import MappingProxyType

from kdkit.cache.bit_window import BitWindow
from kdkit.cache.header import Header
from kdkit.errors import ConfigurationError

CANONICAL: Mapping[str, str] = MappingProxyType({"mode": "canonical"})
"""The item of a cache's fingerprint that says: its targets are of samples without augmentation, one for all views
of each. Give it as ``fingerprint`` to :func:`kdkit.build_cache` and to :func:`kdkit.cache.cache_fingerprint`."""

_AFTER_WARPING = (
    "what is not linear in a map's values must come after the warp: give it to the objective, transform="
)


def is_canonical(header: Header) -> bool:
    """Whether a cache holds one map a sample for all views."""
    return CANONICAL.items() <= header.fingerprint.items()


def require_canonical(header: Header) -> None:
    """Check that targets stored like this can be warped.

    Raises:
        ConfigurationError: if there is more than one view, the targets were transformed before they were stored,
            they are no maps of one size, or a codec holds zeros and ones alone.
    """
    if header.views != 1:
        raise ConfigurationError(
            f"a canonical cache has one view, which serves all epochs, not {header.views}: give views=1"
        )
    if (transforms := header.fingerprint.get("transforms", "{}")) != "{}":
        raise ConfigurationError(
            f"a canonical cache holds targets as the teacher gives them, not after {transforms}: {_AFTER_WARPING}"
        )
    for name, output in header.outputs.items():
        if isinstance(output.codec, BitWindow):
            raise ConfigurationError(
                f"the output '{name}' is stored as {output.codec!r}, zeros and ones alone: {_AFTER_WARPING}, and "
                f"store it as Window or Dense"
            )
        if len(output.shape) != 3:
            raise ConfigurationError(
                f"a canonical cache is for maps [C, h, w], the output '{name}' is {list(output.shape)}"
            )
    sizes = {name: output.shape[1:] for name, output in header.outputs.items()}
    if len(set(sizes.values())) > 1:
        raise ConfigurationError(
            f"the maps of a canonical cache are warped alike, so they are of one size (h, w), not {sizes}: make "
            f"one cache for each size"
        )
