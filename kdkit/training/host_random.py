"""Whether random numbers are drawn on the host."""

import random
import zlib

import numpy as np
import torch


def host_random_state(device: torch.device) -> tuple[object, ...]:
    """Return what differs once a global generator of the host was drawn from: Python's, NumPy's or torch's.

    Args:
        device: where the step computes. On the CPU torch's is the device's own, which dropout draws from.
    """
    _, keys, position, has_gauss, cached = np.random.get_state()
    numpy_state = zlib.crc32(np.asarray(keys).tobytes()), position, has_gauss, cached
    torch_state = 0 if device.type == "cpu" else zlib.crc32(torch.get_rng_state().numpy().tobytes())
    return random.getstate(), *numpy_state, torch_state
