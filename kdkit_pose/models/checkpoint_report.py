"""What loading a checkpoint did, in full and readable."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """What `load_checkpoint` did.

    As a string it names every entry of the file that was not used, in groups: `teacher.* (1754)` says that all
    names that begin so were not, and that there are so many of them.

    Args:
        path: The file.
        format: The layout it was recognised as.
        loaded: How many entries of the network's state dict came from the file.
        unused: Keys of the file's tensors that the network has no place for and does not need, one by one.
        fresh: Entries of the network that the file says nothing about: a head left as it was built, or the
            zeros by which a mask fusion starts.
        beside: What the file holds that is no weight, such as `optimizer`.
        used: Keys of the file's tensors that were loaded.
    """

    path: Path
    format: str
    loaded: int
    unused: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    used: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        lines = [f"{self.path} ({self.format}): {self.loaded} entries loaded"]
        if self.unused:
            lines.append(f"  not used: {', '.join(group_keys(self.unused, self.used))}")
        if self.fresh:
            lines.append(f"  fresh, not from the file: {', '.join(group_keys(self.fresh, self.used))}")
        if self.beside:
            lines.append(f"  beside the weights: {', '.join(self.beside)}")
        return "\n".join(lines)


def group_keys(keys: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Say many keys in few words: `head.* (3)` is of all keys, here and in `others`, that begin so.

    BatchNorm's counters are one group where none of them is among the others.

    >>> group_keys(["head.cls.weight", "head.cls.bias", "step"], others=["head.final_layer.weight"])
    ['head.cls.* (2)', 'step']
    """
    taken = set(others)
    heads = {key[: end + 1] for key in taken for end, letter in enumerate(key) if letter == "."}
    count_counters = not any(key.endswith(COUNTER) for key in taken)
    groups: dict[str, list[str]] = {}
    for key in keys:
        if count_counters and key.endswith(f".{COUNTER}"):
            groups.setdefault(f"*.{COUNTER}", []).append(key)
        else:
            groups.setdefault(_shortest_prefix(key, heads), []).append(key)
    return [name if members == [name] else _say(name, members) for name, members in groups.items()]


def _shortest_prefix(key: str, heads: set[str]) -> str:
    """Return the first `a.b.` of the key that none of the other keys begins with, or the key."""
    for end, letter in enumerate(key):
        if letter == "." and key[: end + 1] not in heads:
            return key[: end + 1]
    return key


def _say(prefix: str, members: list[str]) -> str:
    if len(members) == 1:
        return members[0]
    return f"{prefix if prefix.startswith('*') else prefix + '*'} ({len(members):,})"
