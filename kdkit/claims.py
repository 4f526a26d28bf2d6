"""Claims of processes on files that they make: one makes a file, the others leave it or wait."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[int] = set()
"""The open lock files of this process. Those that are forked from it, such as a loader's, close them: they live on
for seconds after one that was killed, and would hold its claims as long."""


@contextmanager
def claim(path: Path, *, wait: bool) -> Iterator[bool]:
    """Claim the right to make a file; a claim ends with the process that has it, however that ends.

    Beside the file there is a lock file as long as it is claimed. Needs a file system with locks, and is not for
    Windows.

    Args:
        path: the file to be made; its folder is there.
        wait: whether to wait for who has claimed it.

    Yields:
        Whether it is claimed: always, if it was waited for.

    Raises:
        OSError: if the folder cannot be written to.
    """
    lock_file = path.with_name(f".{path.stem}.lock")
    handle, process = _lock(lock_file, wait), os.getpid()
    try:
        yield handle is not None
    finally:
        # A process that was forked meanwhile leaves this block, too, and has nothing to end.
        if handle is not None and process == os.getpid():
            # Before it is unlocked: who locks it after this finds that it is no longer the file of that name.
            lock_file.unlink(missing_ok=True)
            _unlock(handle)


def _lock(path: Path, wait: bool) -> int | None:
    import fcntl  # where there is none (Windows), nothing can be claimed

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _has_name(handle, path):
                _held.add(handle)
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _unlock(handle: int) -> None:
    import fcntl

    _held.discard(handle)
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def _has_name(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _hold_nothing() -> None:
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_hold_nothing)
