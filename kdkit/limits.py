"""How much a file may ask for before it is refused."""

import os
from dataclasses import dataclass, fields
from typing import Self

from kdkit.errors import ConfigurationError

_PREFIX = "KDKIT_MAX_"


@dataclass(frozen=True)
class Limits:
    """What files from elsewhere may ask for; what asks for more is refused before memory is taken for it.

    The defaults leave room for what is usual: COCO's largest annotation file has 0.45 GB, a picture of the
    largest cameras 100 million pixels. Who trusts a larger file raises a limit, by an environment variable
    named after it (``KDKIT_MAX_JSON_BYTES=4000000000``) or in Python by :meth:`use`.

    Attributes:
        json_bytes: the bytes of a JSON file. Read, it takes five to twenty times as much memory.
        json_depth: how deep lists and objects may lie in each other.
        picture_pixels: the pixels, width times height, of a picture or of a mask.
        outline_pixels: the length of the polygons of one mask together, and the farthest that a point of them may
            lie from the picture's corner, in pixels.
        target_values: the numbers in one target of a cache.

    Raises:
        ConfigurationError: a limit is no whole number of 1 or more.

    >>> Limits.current().json_depth
    100
    """

    json_bytes: int = 2**30
    json_depth: int = 100
    picture_pixels: int = 2**27
    outline_pixels: int = 2**20
    target_values: int = 2**28

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ConfigurationError(
                    f"the limit {field.name} ({_variable(field.name)}) is {value!r}, it must be a whole number of "
                    "1 or more"
                )

    @classmethod
    def current(cls) -> Self:
        """Return the limits that hold now: the environment's, and the defaults.

        Raises:
            ConfigurationError: an environment variable is no whole number of 1 or more.
        """
        found = {field.name: os.environ.get(_variable(field.name)) for field in fields(cls)}
        return cls(**{name: _number(text) for name, text in found.items() if text})

    def use(self) -> None:
        """Let these limits hold from now on, in this process and in those that it starts."""
        os.environ.update({_variable(field.name): str(getattr(self, field.name)) for field in fields(self)})

    def excess(self, name: str, found: int, what: str) -> str | None:
        """Return what is wrong where ``found`` is more than the limit called ``name``; None where it is not.

        Args:
            name: the attribute.
            found: what the file has or claims.
            what: of what, such as ``bytes``.
        """
        most: int = getattr(self, name)
        if found <= most:
            return None
        # A number of thousands of digits helps nobody, and Python refuses to write it.
        shown = f"{found:,}" if found < 10**18 else "more than 10^18"
        return (
            f"{shown} {what}, the limit is {most:,}: if it is right and you trust the file, raise the limit by "
            f"the environment variable {_variable(name)}, or in Python by kdkit.Limits({name}=...).use()"
        )


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _number(text: str) -> int:
    # What is no number is told of by the limit's own check.
    return int(text) if text.isdecimal() and len(text) < 19 else text  # type: ignore[return-value]
