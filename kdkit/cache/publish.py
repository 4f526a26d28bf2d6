"""Files that several processes make together: each made by one of them, and whole or not there."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from kdkit import claims
from kdkit.errors import CacheError
from kdkit.files import write_atomically

_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


def publish(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that is whole or not there, even if the machine stops.

    Raises:
        CacheError: if there is no room for it, or the folder cannot be written to.
    """
    try:
        write_atomically(path, write)
    except OSError as error:
        raise _refusal(error, path) from error


@contextmanager
def claim(path: Path, *, wait: bool) -> Iterator[bool]:
    """Claim the right to make a file of a cache, see :func:`kdkit.claims.claim`.

    Raises:
        CacheError: if the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            claimed = stack.enter_context(claims.claim(path, wait=wait))
        except OSError as error:
            raise _refusal(error, path) from error
        yield claimed


def _refusal(error: OSError, path: Path) -> Exception:
    """What to raise: the error itself, where it is not that of a full or protected disk."""
    if error.errno not in _NOT_WRITABLE:
        return error
    return CacheError(
        f"the cache's file '{path}' cannot be written ({os.strerror(error.errno)}): nothing of it is left, and "
        f"what was made before is kept; make room, or let it be written there, and run the build again"
    )
