"""Numbers in files from elsewhere, brought to what arrays and drawing functions can hold."""

from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from kdkit.errors import DataError

FARTHEST = 1e9
"""How many pixels a coordinate may be from a picture's corner: what is computed with it stays exact enough."""

_IDS = range(-(2**63), 2**63)


def is_id(value: Any) -> TypeGuard[int]:
    """Whether a value is an integer that arrays of ids can hold."""
    return isinstance(value, int) and value in _IDS


def parse_numbers(values: Any, name: str, length: int) -> npt.NDArray[np.float64]:
    """``values`` as float64 of so many.

    Raises:
        DataError: They are others, no numbers, or not finite; ``name`` is theirs.
    """
    try:
        array = np.asarray(values)
        # Text of numbers is not taken for them, nor is what no array of numbers holds.
        if array.dtype.kind not in "biuf":
            raise TypeError(f"numpy makes {array.dtype} of it")
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"its {name} must be numbers, found {str(values)[:60]}") from error
    array = array.astype(np.float64, copy=False)
    if array.shape != (length,):
        raise DataError(f"its {name} must be {length} numbers, found an array of shape {list(array.shape)}")
    if not np.isfinite(array).all():
        raise DataError(f"its {name} must be finite numbers, found {array[~np.isfinite(array)][0]}")
    return array


def parse_pixels(values: Any, name: str, length: int) -> npt.NDArray[np.float64]:
    """As :func:`parse_numbers`, of coordinates and lengths in pixels.

    Raises:
        DataError: Also where one is farther than any picture reaches.
    """
    array = parse_numbers(values, name, length)
    if (np.abs(array) > FARTHEST).any():
        raise DataError(
            f"its {name} must be pixels, at most {FARTHEST:g} from the picture's corner, found "
            f"{array[np.abs(array) > FARTHEST][0]:g}"
        )
    return array
