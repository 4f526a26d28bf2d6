"""Files that several processes make together: each made by one of them, and whole or not there."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise _refusal(error, path) from error


def remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed had written of a file; only for who has claimed it."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink()


@contextmanager
def claim(path: Path, *, wait: bool) -> Iterator[bool]:
    """Claim the right to make a file; a claim ends with the process that has it, however that ends.

    Beside the file there is a lock file as long as it is claimed.

    Args:
        path: the file to be made.
        wait: whether to wait for who has claimed it.

    Yields:
        Whether it is claimed: always, if it was waited for.

    Raises:
        CacheError: if the folder cannot be written to.
    """
    lock_file = path.with_name(f".{path.stem}.lock")
    try:
        handle = _lock(lock_file, wait)
    except OSError as error:
        raise _refusal(error, path) from error
    try:
        yield handle is not None
    finally:
        if handle is not None:
            # Before it is unlocked: who locks it after this finds that it is no longer the file of that name.
            lock_file.unlink(missing_ok=True)
            os.close(handle)


def _lock(path: Path, wait: bool) -> int | None:
    import fcntl  # where there is none (Windows), caches can only be read

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _has_name(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _has_name(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _refusal(error: OSError, path: Path) -> Exception:
    """What to raise: the error itself, where it is not that of a full or protected disk."""
    if error.errno not in _NOT_WRITABLE:
        return error
    return CacheError(
        f"the cache's file '{path}' cannot be written ({os.strerror(error.errno)}): nothing of it is left, and "
        f"what was made before is kept; make room, or let it be written there, and run the build again"
    )
