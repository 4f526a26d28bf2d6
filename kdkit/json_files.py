"""JSON from files that may be anything: size and depth are looked at first."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from kdkit.limits import Limits

_BLOCK = 1 << 20
_MARKS = b'[]{}"'
_OTHERS = bytes(byte for byte in range(256) if byte not in _MARKS)


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, larger or deeper than the `Limits`, or holds a number that Python refuses.
    """
    return parse_json(read_bytes(path))


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of a JSON file, never more than `Limits.json_bytes`.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it has more.
    """
    limits, path = Limits.current(), Path(path)
    with path.open("rb") as file:
        size, read = path.stat().st_size, 0
        blocks: list[bytes] = []
        # What tells no size beforehand, as a pipe, is read until it is too much.
        while max(size, read) <= limits.json_bytes and (block := file.read(_BLOCK)):
            blocks.append(block)
            read += len(block)
    if (excess := limits.excess("json_bytes", max(size, read), "bytes")) is not None:
        raise ValueError(f"it has {excess}")
    return b"".join(blocks)


def parse_json(content: bytes | str) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: if it is no JSON, lies deeper than `Limits.json_depth`, or holds a number that Python refuses.
            Of these a `json.JSONDecodeError` names the place, and a `UnicodeDecodeError` the byte.
    """
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else _as_utf8(content)
    limits = Limits.current()
    if (
        excess := limits.excess("json_depth", _depth(raw), "levels of lists and objects in each other")
    ) is not None:
        raise ValueError(f"it has {excess}")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("its lists and objects lie deeper in each other than Python can read") from error


def _as_utf8(content: bytes) -> bytes:
    encoding = json.detect_encoding(content)
    return content if encoding.startswith("utf-8") else content.decode(encoding).encode("utf-8", "surrogatepass")


def _depth(content: bytes) -> int:
    """How deep lists and objects lie in each other, in JSON; of anything else some number."""
    if b"\\" in content:
        content = re.sub(rb"\\.", b"", content, flags=re.DOTALL)
    # Of strings only the marks in them are left; what is between two pairs of quotes stays outside of strings
    # when neighbouring quotes go, since they go by twos.
    marks = content.translate(None, _OTHERS).replace(b'""', b"")
    marks = re.sub(rb'"[^"]*"', b"", marks)
    depth = deepest = 0
    for start in range(0, len(marks), _BLOCK):
        block = np.frombuffer(marks, dtype=np.uint8, count=min(_BLOCK, len(marks) - start), offset=start)
        opening = (block == ord("[")) | (block == ord("{"))
        depths = depth + np.cumsum(np.where(opening, 1, -1))
        depth, deepest = int(depths[-1]), max(deepest, int(depths.max()))
    return deepest
