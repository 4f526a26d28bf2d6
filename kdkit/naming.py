"""Names for callables, the same in every process, so that a run can be described and compared."""

from collections.abc import Callable
from functools import partial
from typing import Any


def callable_name(function: Callable[..., Any]) -> str:
    """Return a readable name of a function, a partial or a callable object, free of memory addresses.

    >>> callable_name(partial(max, default=0))
    'max(default=0)'
    """
    if isinstance(function, partial):
        arguments = [repr(value) for value in function.args]
        arguments += [f"{key}={value!r}" for key, value in function.keywords.items()]
        return f"{callable_name(function.func)}({', '.join(arguments)})"
    name = getattr(function, "__qualname__", None)
    if isinstance(name, str):
        return name
    text = repr(function)
    return type(function).__name__ if " at 0x" in text else text
