"""Features of a network by module path, recorded while it runs; nothing stays on the network."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from kdkit.errors import ConfigurationError

_PLACE = re.compile(r"(?P<path>[^\[\]]+)(\[(?P<index>-?\d+)\])?")


class Features:
    """What submodules of a network return, by the names given to them.

    For the time of one call each named submodule's ``forward`` is replaced by one that also records what it
    returns. There is no hook: hooks registered after a first compiled call record nothing, and those
    registered before stay in the compiled graph and on the network. So the calls can be compiled with
    ``fullgraph=True`` and wrapped in DistributedDataParallel, and the network is afterwards as it was.

    Args:
        module: the network.
        places: dotted module paths by feature name, as ``named_modules()`` gives them, each perhaps with the
            index into a list or tuple that the submodule returns: ``{"neck": "layer3", "fine": "stage3[0]"}``.
        owner: whose features these are, for errors.

    Raises:
        ConfigurationError: if a path names no submodule, or the network is already compiled.
    """

    def __init__(self, module: nn.Module, places: Mapping[str, str], owner: str) -> None:
        self.places = dict(places)
        self._owner = owner
        self._found = {name: self._parse(module, name, place) for name, place in self.places.items()}

    def _parse(self, module: nn.Module, name: str, place: str) -> tuple[str, int | None]:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ConfigurationError(
                f"{self._owner}: feature '{name}' is at '{place}', which is not a module's path, as 'layer3', or "
                f"one with an index, as 'stage3[0]'"
            )
        path = match["path"]
        # A module that stands at two places has two paths.
        paths = [path for path, _ in module.named_modules(remove_duplicate=False) if path]
        if any("_orig_mod" in path.split(".") for path in paths):
            raise ConfigurationError(
                f"{self._owner}: the network is compiled, features can only be named in one that is not: compile "
                f"what runs it, as distiller.run_student = torch.compile(student)"
            )
        if path not in paths:
            near = get_close_matches(path, paths, n=3, cutoff=0.4) or [n for n, _ in module.named_children()]
            raise ConfigurationError(
                f"{self._owner}: feature '{name}' is at '{path}', but the network has no such submodule; "
                f"perhaps one of {near}"
            )
        return path, int(match["index"]) if match["index"] else None

    def run(self, module: nn.Module, inputs: Sequence[Tensor]) -> tuple[object, dict[str, Tensor]]:
        """Call the network, and return what it returns and the features by name.

        Raises:
            ConfigurationError: if a submodule was not called, was called twice, or returned no tensor there.
        """
        recorded: dict[str, Any] = {}
        # A module that stands at two places is one, and is recorded for both.
        parts: dict[nn.Module, list[str]] = {}
        for path in dict.fromkeys(path for path, _ in self._found.values()):
            parts.setdefault(module.get_submodule(path), []).append(path)
        taps = [_Tap(part, paths) for part, paths in parts.items()]
        try:
            for tap in taps:
                tap.open(recorded, self._owner)
            result = module(*inputs)
        finally:
            for tap in taps:
                tap.close()
        return result, {name: self._pick(name, recorded) for name in self._found}

    def pin(self, module: nn.Module) -> None:
        """Give each named submodule its own ``forward`` as an attribute, where it is the class's.

        That changes nothing but what a compiled call finds: without it, the attribute that the first compiled
        call sets back makes the second one compile again.
        """
        for path, _ in self._found.values():
            part: Any = module.get_submodule(path)
            part.forward = part.forward

    def _pick(self, name: str, recorded: Mapping[str, Any]) -> Tensor:
        path, index = self._found[name]
        if path not in recorded:
            raise ConfigurationError(
                f"{self._owner}: the submodule '{path}' of feature '{name}' was not called by the network's "
                f"forward: name one that is, or let the network return the feature"
            )
        value, versions = recorded[path]
        several = isinstance(value, list | tuple)
        if (index is not None) != several or (index is not None and not -len(value) <= index < len(value)):
            kind = f"{type(value).__name__} of {len(value)}" if several else type(value).__name__
            remedy = f"pick one by an index, '{path}[0]'" if several else "leave the index out"
            raise ConfigurationError(
                f"{self._owner}: feature '{name}' is at '{self.places[name]}', but '{path}' returns a {kind}: "
                f"{remedy}"
            )
        if index is not None:
            value, versions = value[index], versions[index]
        if not isinstance(value, Tensor):
            raise ConfigurationError(
                f"{self._owner}: feature '{name}' at '{self.places[name]}' is a {type(value).__name__}, no tensor"
            )
        if versions != _version(value):
            raise ConfigurationError(
                f"{self._owner}: feature '{name}' at '{self.places[name]}' is overwritten later by an operation "
                f"in place, such as ReLU(inplace=True): name the module that overwrites it, or build that "
                f"without inplace"
            )
        return value


def _version(value: object) -> int:
    """Return how often a tensor was changed in place, where that is counted."""
    if not isinstance(value, Tensor) or torch.compiler.is_compiling() or value.is_inference():
        return 0
    return value._version


class _Tap:
    """A submodule whose calls are recorded between ``open`` and ``close``."""

    def __init__(self, part: nn.Module, paths: Sequence[str]) -> None:
        self._part, self._paths = part, tuple(paths)
        self._forward: Callable[..., Any] = part.forward
        # Dynamo can set an attribute back, but not take away one that it saw set; elsewhere nothing is left.
        self._delete = not torch.compiler.is_compiling() and "forward" not in vars(part)

    def open(self, recorded: dict[str, Any], owner: str) -> None:
        forward, paths, outside = self._forward, self._paths, torch.is_grad_enabled()
        path = paths[0]

        def recording(*args: Any, **kwargs: Any) -> Any:
            result = forward(*args, **kwargs)
            if path in recorded:
                raise ConfigurationError(
                    f"{owner}: the submodule '{path}' is called more than once in a forward, so its feature is "
                    f"ambiguous: name a submodule that is called once, or let the network return the feature"
                )
            if outside and not torch.is_grad_enabled():
                raise ConfigurationError(
                    f"{owner}: the submodule '{path}' runs without gradient inside one that has it, so nothing "
                    f"would be learned from its feature: name the module around it, or, where that is "
                    f"checkpointed, use_reentrant=False"
                )
            several = isinstance(result, list | tuple)
            versions = [_version(one) for one in result] if several else _version(result)
            for name in paths:
                recorded[name] = result, versions
            return result

        self._part.forward = recording

    def close(self) -> None:
        if self._delete:
            del self._part.forward
        else:
            self._part.forward = self._forward
