"""The global random number generators' state, in types that a safe load can read back."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from kdkit.processes import Processes


def capture_random_state() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and PyTorch's generators, all CUDA devices' among them."""
    # Asked for in the tuple form of old, which NumPy's type stubs do not know from the dictionary form.
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (
            str(kind),
            torch.tensor(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put every generator where :func:`capture_random_state` was called."""
    random.setstate(state["python"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_all(seed: int) -> None:
    """Seed every generator."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def align_random_state(processes: Processes, epoch: int) -> None:
    """Give the host's generators of every process the first one's state, and each device's one of its own.

    Args:
        processes: those that train together.
        epoch: the epoch that begins, from which and the process's number the device's follows.
    """
    state = processes.from_main(capture_random_state() if processes.is_main else {})
    if not processes.is_main:
        restore_random_state({**state, "cuda": []})
    if torch.cuda.is_available():
        torch.cuda.manual_seed(torch.initial_seed() + epoch * processes.count + processes.rank)
