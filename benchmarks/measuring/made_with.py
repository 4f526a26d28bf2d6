"""With what something was measured."""

import platform
from importlib.metadata import version

from kdkit import provenance

PACKAGES = ("kdkit", "torch", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def commit() -> str:
    """Return the project's commit, with a plus where files differ from it; ``unknown`` outside of a clone."""
    return provenance.commit() or "unknown"
