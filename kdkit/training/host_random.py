"""Whether random numbers are drawn on the host."""

import random
import zlib

import numpy as np


def host_random_state() -> tuple[object, ...]:
    """Return what differs once Python's or NumPy's global generator was drawn from."""
    _, keys, position, has_gauss, cached = np.random.get_state()
    return random.getstate(), zlib.crc32(np.asarray(keys).tobytes()), position, has_gauss, cached
