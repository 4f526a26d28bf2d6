"""The exceptions of kdkit: each names the thing, what was expected, what was found and what to do."""

from collections.abc import Mapping


class KdkitError(Exception):
    """Base of every error that kdkit raises for something a user can mend."""


class ConfigurationError(KdkitError, ValueError):
    """Objects that do not fit together: a missing output, a repeated name, a weight that is not finite."""


class BatchError(KdkitError, ValueError):
    """A batch that lacks a field, or holds one of the wrong shape or type."""


class CheckpointError(KdkitError, ValueError):
    """A checkpoint file that is unreadable, unsafe, or made for another network."""


class CacheError(KdkitError, ValueError):
    """A cache of targets that is damaged, unfinished, made of something else, or lacks what is asked of it."""


class DataError(KdkitError, ValueError):
    """Annotations or pictures that cannot be used."""


class ExportError(KdkitError, RuntimeError):
    """A network that cannot be written in a format, or whose file computes something else."""


class RunFolderError(KdkitError, ValueError):
    """An output folder that cannot be used, or holds something which must not be overwritten.

    Attributes:
        differences: where the folder holds another run, the settings in which it differs, by their dotted names:
            as text, there and now, shortened around the place where they begin to differ. Otherwise empty.
    """

    def __init__(self, message: str, differences: Mapping[str, tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.differences = dict(differences or {})


class NonFiniteLossError(KdkitError, ArithmeticError):
    """A loss became NaN or infinite."""


class LossSpikeError(KdkitError, ArithmeticError):
    """A loss became far larger than it was, where that is to stop the run."""
