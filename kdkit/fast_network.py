"""A teacher's network as it is run fast: one type, one memory format, only the outputs that are asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kdkit.features import Features
from kdkit.folding import Folding, fold_batchnorms, fold_standardize, watch
from kdkit.module_teacher import ModuleTeacher
from kdkit.outputs import name_outputs
from kdkit.transforms import Chain, Standardize, TargetTransform


class FastNetwork(nn.Module):
    """A copy of a teacher's network, from the batch's fields to the wanted targets.

    It is in float32 and changed by nothing before :meth:`fold` and :meth:`cast`.

    Args:
        teacher: the teacher whose network and names these are.
        module: the copy, in eval mode and float32.
        outputs: the targets to return, in order.
        transforms: what is applied to a field before the network reads it.
    """

    def __init__(
        self,
        teacher: ModuleTeacher,
        module: nn.Module,
        outputs: Sequence[str],
        transforms: Mapping[str, TargetTransform],
    ) -> None:
        super().__init__()
        self.module = module
        self._owner = f"teacher '{teacher.name}'"
        self._module_outputs, self._outputs = teacher.module_outputs, tuple(outputs)
        self._features = Features(module, teacher.features.places, self._owner)
        self._transforms = [_steps(transforms.get(field)) for field in teacher.reads]
        self._is_normalized = [bool(steps) and isinstance(steps[-1], Standardize) for steps in self._transforms]
        self._dtype = torch.float32
        self._channels_last = False

    def forward(self, *fields: Tensor) -> tuple[Tensor, ...]:
        """Return the targets, float32 and contiguous."""
        return tuple(_plain(value) for value in self._call(self._prepare(fields)))

    def _prepare(self, fields: Sequence[Tensor]) -> list[Tensor]:
        prepared = []
        for value, steps, is_normalized in zip(fields, self._transforms, self._is_normalized, strict=True):
            for step in steps:
                value = step(value)
            # A picture of bytes whose normalization is in the weights is a number like any other.
            if value.is_floating_point() or is_normalized:
                value = value.to(self._dtype)
            if self._channels_last and value.ndim == 4:
                value = value.contiguous(memory_format=torch.channels_last)
            prepared.append(value)
        return prepared

    def _call(self, prepared: Sequence[Tensor]) -> list[Tensor]:
        result, features = self._features.run(self.module, prepared)
        named = {**name_outputs(result, self._module_outputs, self._owner), **features}
        return [named[name] for name in self._outputs]

    def fold(self, fields: Sequence[Tensor], *, batchnorms: bool) -> Folding:
        """Fold BatchNorms and, at the input, normalizations; see :mod:`kdkit.folding`.

        Args:
            fields: one sample of the batch, or more.
            batchnorms: whether to fold the BatchNorms.
        """
        with torch.no_grad():
            # Copies, each an object of its own, whose readers can be told apart.
            prepared = [value.clone() for value in self._prepare(fields)]
        trace, results = watch(self.module, lambda: self._call(prepared), prepared)
        for image, steps in zip(prepared, self._transforms, strict=True):
            if steps and isinstance(steps[-1], Standardize):
                left = fold_standardize(trace, image, steps[-1])
                steps[-1:] = [] if left is None else [left]
        if batchnorms:
            return fold_batchnorms(self, trace, results)
        return Folding(sum(isinstance(module, _BatchNorm) for module in self.modules()), 0)

    def cast(self, dtype: torch.dtype, *, channels_last: bool) -> None:
        """Cast the weights once; BatchNorms that are left keep float32, in which they are computed anyhow."""
        self._dtype, self._channels_last = dtype, channels_last
        self.module.to(dtype)
        for module in self.module.modules():
            if isinstance(module, _BatchNorm):
                module.float()
        if channels_last:
            # Not module.to, which refuses a network that also convolves volumes.
            for weight in self.module.parameters():
                if weight.ndim == 4:
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def pin(self) -> None:
        """Prepare the features for a compiled call."""
        self._features.pin(self.module)


class CompiledNetwork(nn.Module):
    """A network run by ``torch.compile``, or as it is where that fails.

    Args:
        network: the network.
        options: for ``torch.compile``; the whole network is compiled as one graph where that is possible.

    Attributes:
        failure: why the first call was not compiled; None where it was.
        replays_graphs: whether the compiler is asked for CUDA graphs of its own.
    """

    def __init__(self, network: FastNetwork, options: Mapping[str, Any]) -> None:
        super().__init__()
        network.pin()
        self.network = network
        attempts = [options] if "fullgraph" in options else [{"fullgraph": True, **options}, options]
        self._attempts: list[Callable[..., Any]] = [torch.compile(network.forward, **one) for one in attempts]
        self.replays_graphs = options.get("mode") in ("reduce-overhead", "max-autotune") or bool(
            (options.get("options") or {}).get("triton.cudagraphs")
        )
        self._works = False
        self.failure: str | None = None

    def forward(self, *fields: Tensor) -> tuple[Tensor, ...]:
        """Return what the network returns.

        An error of the compiler after the first call is of other shapes, or of what the network itself refuses:
        then it is run as it is, and says itself what is wrong.
        """
        while self._attempts:
            try:
                result: tuple[Tensor, ...] = self._attempts[0](*fields)
            except _compiler_errors() as error:
                if self._works:
                    break
                self.failure = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                self._attempts.pop(0)
            else:
                self._works, self.failure = True, None
                return result
        return self.network(*fields)  # type: ignore[no-any-return]


def _compiler_errors() -> tuple[type[Exception], ...]:
    # Here and not above: the compiler takes long to import.
    from torch._dynamo import exc

    return exc.TorchDynamoException, exc.FailOnRecompileLimitHit


def _steps(transform: TargetTransform | None) -> list[TargetTransform]:
    if transform is None:
        return []
    return list(transform.steps) if isinstance(transform, Chain) else [transform]


def _plain(value: Tensor) -> Tensor:
    """Return a target as a loss wants it, whatever type and memory format it was computed in."""
    return (value.float() if value.is_floating_point() else value).contiguous()
