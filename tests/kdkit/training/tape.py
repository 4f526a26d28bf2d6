"""A recorder for the CPU: it keeps every operation with its tensors, and repeats them without any Python."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from kdkit.training.recorder import Recorder, Replay, Result

READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class Tape(TorchDispatchMode):
    """Writes operations down. Like a CUDA graph, it knows nothing of numbers and decisions in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.reads: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in READS:
            self.reads.append(str(function))
        # What it is given now, by other names for the same memory: outside of autograd.
        given = tree_map_only(Tensor, Tensor.detach, (args, kwargs))
        result = function(*args, **kwargs)
        if any(returned.alias_info is None for returned in function._schema.returns):
            kept = [value.detach() for value in tree_leaves(result) if isinstance(value, Tensor)]
            self.calls.append((function, *given, kept))
        elif function._schema.is_mutable:
            self.calls.append((function, *given, []))
        return result  # a view of the same memory needs no repeating

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, kept in self.calls:
            found = [value for value in tree_leaves(function(*args, **kwargs)) if isinstance(value, Tensor)]
            if kept:
                for place, value in zip(kept, found, strict=True):
                    place.copy_(value)


class TapeRecorder(Recorder):
    """Counts what it is asked for; reading a value on the host is its fault, as it is a CUDA graph's."""

    def __init__(self) -> None:
        self.rehearsals = self.recordings = self.replays = 0

    def rehearse(self, function: Callable[[], Result]) -> tuple[Result, str]:
        self.rehearsals += 1
        with Tape() as tape:
            result = function()
        return result, f"{tape.reads[0]} reads a value" if tape.reads else ""

    def record(self, function: Callable[[], Result]) -> tuple[Result, Replay]:
        self.recordings += 1
        with Tape() as tape:
            result = function()
        assert not tape.reads

        def replay() -> None:
            self.replays += 1
            tape.replay()

        return result, replay

    def forget(self) -> None:
        pass
