"""Ways to spoil a file, at the level of its bytes and of what they mean; everything follows from the generator."""

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import torch

CANARY = "canary"
"""The folder that a planted pickle would make, where the reading process stands."""

_WORDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_DEEP = "@deep {}@"
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 0.5, -0.0, 2**31, 2**32 + 1, 2**63, 10**30, 10**4000),
    *(1e9, 1e18, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *("", "a", "17", "\ud800", "\0", "é" * 300, "x" * 5000, "../../etc/passwd", "/etc/passwd", "C:\\a", "//h/a"),
    *("<script>alert(1)</script>", "nan", "1e999", "128x128", "0x0", "-1x-1", "99999999x99999999", "1" * 5000),
    *(
        [],
        [[]],
        {},
        {"a": 1},
        [0],
        [1, 2],
        [1, 2, 3, 4],
        [None] * 4,
        ["1"] * 4,
        [1e300] * 4,
        [0] * 51,
        [2**40] * 2,
    ),
    *([[1, 1, 9e9, 9e9, 1, 9e9]], [[0.0] * 8], [list(range(40))] * 3, list(range(3000))),
    *(
        {"size": [10**9, 10**9], "counts": "1"},
        {"size": [4, 4], "counts": [10**12]},
        {"size": [2, 2], "counts": "0" * 99},
    ),
    *(_DEEP.format(20), _DEEP.format(150), _DEEP.format(990), _DEEP.format(200_000)),
)


class _Planted:
    """Pickled, a call that makes the canary."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (CANARY,)


def planted(random: Random) -> bytes:
    """A pickle that runs code when it is loaded by who does not take care."""
    content = random.choice([_Planted(), {"a": _Planted()}, [1, _Planted()], {"state_dict": {"w": _Planted()}}])
    return pickle.dumps(content, protocol=random.randint(0, 4))


def spoil_bytes(random: Random, content: bytes) -> bytes:
    """Change a few bytes, or take some away, or add some."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        _spoil_once(random, data)
    return bytes(data)


def _spoil_once(random: Random, data: bytearray) -> None:
    # Headers are at beginnings and ends.
    size = len(data)
    place = random.choice(
        (random.randint(0, size), random.randint(0, min(size, 200)), size - random.randint(0, min(size, 200)))
    )
    length = random.choice((1, 2, 4, 8, 64, size // 4 + 1))
    kind = random.randrange(8)
    if kind == 0 and size:
        data[min(place, size - 1)] ^= 1 << random.randrange(8)
    elif kind == 1 and size:
        data[min(place, size - 1)] = random.randrange(256)
    elif kind == 2:
        word = random.choice(_WORDS).to_bytes(8, random.choice(("little", "big")))
        width = random.choice((1, 2, 4, 8))
        data[place : place + width] = word[:width]
    elif kind == 3:
        del data[place : place + length]
    elif kind == 4:
        data[place:place] = random.randbytes(min(length, 64))
    elif kind == 5:
        data[place:place] = data[place : place + length]
    elif kind == 6:
        data[place : place + length] = bytes(len(data[place : place + length]))
    elif kind == 7 and random.random() < 0.3:
        del data[place:]


def spoil_tree(random: Random, content: Any, values: tuple[Any, ...] = _VALUES) -> Any:
    """Change a few values of nested lists and dictionaries: their kind, their number, their names."""
    content = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = _places(random, content)
        if not places:
            return copy.deepcopy(random.choice(values))
        parent, key = places
        kind = random.randrange(6)
        if kind < 3:
            parent[key] = copy.deepcopy(random.choice(values))
        elif kind == 3:
            del parent[key]
        elif kind == 4:
            other = _places(random, content)
            if other is not None:
                parent[key] = copy.deepcopy(other[0][other[1]])
        elif isinstance(parent, list):
            parent.insert(random.randint(0, len(parent)), copy.deepcopy(parent[key]))
        else:
            parent[random.choice(("id", "x", "", str(key).upper()))] = parent.pop(key)
    return content


def _places(random: Random, content: Any) -> tuple[Any, Any] | None:
    """A place in the tree, deep ones as likely as shallow ones."""
    place = None
    depth = random.randint(1, 7)
    while depth and isinstance(content, dict | list) and content:
        key = random.choice(list(content)) if isinstance(content, dict) else random.randrange(len(content))
        place, content, depth = (content, key), content[key], depth - 1
    return place


def spoil_json(random: Random, content: bytes) -> bytes:
    """Spoil what JSON means, or how it is written."""
    if random.random() < 0.3:
        return spoil_bytes(random, content)
    return to_json(spoil_tree(random, json.loads(content)))


def to_json(content: Any) -> bytes:
    """JSON, with lists as deep as no encoder writes them."""
    text = json.dumps(content)
    for depth in (20, 150, 990, 200_000):
        text = text.replace(f'"{_DEEP.format(depth)}"', "[" * depth + "]" * depth)
    return text.encode()


def spoil_state(random: Random, state: Any) -> Any:
    """Spoil what a checkpoint means: other tensors, types and names."""
    tensors = (
        *(torch.zeros(0), torch.zeros(()), torch.full((3, 3), float("nan")), torch.ones(2, dtype=torch.int64)),
        *(
            torch.zeros(()).expand(10**6, 10**6),
            torch.zeros(1).expand(4, 3, 3, 3),
            torch.zeros(2, 2, dtype=torch.cfloat),
        ),
        *(torch.eye(3).to_sparse(), torch.zeros(3, dtype=torch.bool), torch.zeros(1, 2, 3, 4, 5, 6)),
    )
    return spoil_tree(random, state, (*_VALUES, *tensors * 3))


def repacked(random: Random, content: bytes, spoil: Callable[[Random, bytes], bytes]) -> bytes:
    """An archive of `torch.save` with one part spoilt, and whole around it: perhaps compressed, or twice there."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    names = list(parts)
    # Mostly the pickle, which says what all other parts are.
    name = random.choice(names + [name for name in names if name.endswith("data.pkl")] * 4)
    parts[name] = spoil(random, parts[name])
    how = random.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED,))
    if random.random() < 0.1:
        parts[name] += bytes(50_000_000 if how == zipfile.ZIP_DEFLATED else 50_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for key, part in parts.items():
            archive.writestr(key, part)
    return buffer.getvalue()
