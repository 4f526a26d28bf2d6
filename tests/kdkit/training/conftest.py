import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch


@pytest.fixture
def sync_errors() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which whatever makes the host wait for the CUDA device fails."""

    @contextmanager
    def errors() -> Iterator[None]:
        with warnings.catch_warnings():
            # It is said of the mode itself, at its first use, and would be an error in the tests.
            warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return errors
