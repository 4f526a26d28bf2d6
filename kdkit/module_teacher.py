"""A teacher that is a network."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from kdkit.batch import Batch, as_names, read_fields
from kdkit.errors import ConfigurationError
from kdkit.features import Features
from kdkit.outputs import name_outputs
from kdkit.teacher import Teacher


class ModuleTeacher(Teacher):
    """A frozen network as a teacher.

    The teacher owns the module from then on: it freezes its parameters, keeps it in eval mode whoever calls
    ``train()``, and runs it without gradient and without autocast (which would cast frozen weights again at
    every call). Hand it a ``copy.deepcopy`` of a network that goes on training.

    Args:
        name: the teacher's name, unique within a run.
        module: the network.
        inputs: the batch field or fields it reads, passed to the network in order.
        outputs: the name or names of what it returns: one for a tensor, several in order for a tuple, or the
            keys wanted from a mapping.
        features: further targets by name: what submodules return, by their path (:class:`Features`).
        dtype: the floating type to cast the weights to, once, and the inputs to at every call; targets come
            back as float32. By default the weights stay as they are.

    Example:
        >>> import torch
        >>> teacher = ModuleTeacher("primary", torch.nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap")
        >>> teacher.targets({"image": torch.zeros(2, 3, 64, 48)})["heatmap"].shape
        torch.Size([2, 17, 64, 48])
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        inputs: str | Sequence[str],
        outputs: str | Sequence[str],
        *,
        features: Mapping[str, str] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ConfigurationError(f"teacher '{name}': module is a {type(module).__name__}, not an nn.Module")
        self.name = name
        self.reads = as_names(inputs)
        self.module_outputs = as_names(outputs)
        self.features = Features(module, features or {}, f"teacher '{name}'")
        self.outputs = (*self.module_outputs, *self.features.places)
        self.dtype = dtype
        if not self.reads or not self.module_outputs:
            raise ConfigurationError(f"teacher '{name}' needs at least one input and one output")
        if len(set(self.outputs)) < len(self.outputs):
            raise ConfigurationError(f"teacher '{name}' has an output and a feature of one name: rename one")
        self._module = module.requires_grad_(False).eval()
        if dtype is not None:
            self._module.to(dtype)
        # Listed once: looking at a flag is cheap, walking the module tree at every step is not.
        self._modules = tuple(module.modules())

    @property
    def module(self) -> nn.Module:
        """The network, in eval mode and frozen; treat it as read-only."""
        return self._module

    @property
    def convention(self) -> Mapping[str, str]:
        """The network's own attribute ``convention``, where it has one."""
        said: Mapping[str, str] = getattr(self._module, "convention", {})
        return said

    @property
    def usage(self) -> Mapping[str, str]:
        """The network's own attribute ``usage``, where it has one that is a mapping."""
        said = getattr(self._module, "usage", None)
        return said if isinstance(said, Mapping) else {}

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the network's outputs for a batch, by name, without gradient.

        Raises:
            BatchError: if the batch lacks a field that the teacher reads.
            ConfigurationError: if the network returns something else than declared.
        """
        inputs = [self._cast(value) for value in read_fields(batch, self.reads, f"teacher '{self.name}'")]
        self._ensure_eval()
        # no_grad and not inference_mode: inference tensors cannot enter a product with a trainable tensor.
        with torch.no_grad(), torch.autocast(inputs[0].device.type, enabled=False):
            try:
                result, features = self.features.run(self._module, inputs)
            except RuntimeError as error:
                shapes = {name: list(value.shape) for name, value in zip(self.reads, inputs, strict=True)}
                error.add_note(f"teacher '{self.name}' was given {shapes}")
                raise
        named = {**name_outputs(result, self.module_outputs, f"teacher '{self.name}'"), **features}
        if self.dtype is None:
            return named
        return {key: value.float() if value.is_floating_point() else value for key, value in named.items()}

    def to(self, device: torch.device) -> Self:
        """Move the network to ``device``."""
        self._module.to(device)
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the network's parameters."""
        return self._module.parameters()

    def fingerprint(self) -> str | None:
        """Return a hash of the network's parameters and buffers; it is the same on every device.

        None where the network holds something else, such as packed quantized weights.
        """
        state: dict[str, object] = {**self._module.state_dict(), **dict(self._module.named_buffers())}
        digest = hashlib.sha256()
        for name, value in state.items():
            if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
                return None
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.dtype) if self.dtype is not None and value.is_floating_point() else value

    def _ensure_eval(self) -> None:
        """Undo a ``train()`` that reached the network from outside, before it can touch a buffer."""
        if any(module.training for module in self._modules):
            self._module.eval()

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self._module.parameters())
        return (
            f"ModuleTeacher({self.name!r}, {type(self._module).__name__} with {size:,} parameters, "
            f"reads={self.reads}, outputs={self.outputs})"
        )
