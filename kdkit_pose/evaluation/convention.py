"""Keeping a codec away from crops that another one cut."""

from collections.abc import Iterable
from typing import Any

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import Codec


def require_convention(loader: Iterable[Any], codec: Codec) -> None:
    """Check that a loader's data set cuts its crops as ``codec`` reads them; decoders may differ.

    Where the data set says nothing of a codec, as a plain list of batches, there is nothing to check.

    Raises:
        ConfigurationError: It has the attribute ``codec``, of another convention: AP would be lower than the
            network's, and nothing would show it.
    """
    source: Any = loader
    while (inner := getattr(source, "dataset", None)) is not None:  # a loader's, or a subset's
        source = inner
    cut = getattr(source, "codec", None)
    if isinstance(cut, Codec) and not cut.same_convention(codec):
        raise ConfigurationError(
            f"the crops are cut for {cut!r}, to be decoded by {codec!r}: {', '.join(cut.differences(codec))}; "
            "give both the same codec (only the decoder may differ)"
        )
