"""The package of the extra `streaming`, which nothing else in kdkit needs."""

from importlib import import_module
from typing import Any

from kdkit.errors import ConfigurationError


def require_webdataset() -> Any:
    """Return the package that shards are read and written with.

    Raises:
        ConfigurationError: it is not installed, or cannot be imported; the message says how to install it.
    """
    try:
        return import_module("webdataset")
    except ImportError as error:
        raise ConfigurationError(
            f"streaming needs the package webdataset, which cannot be imported ({error}): "
            "pip install 'kdkit[streaming]'"
        ) from error
