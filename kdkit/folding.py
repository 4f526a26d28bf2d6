"""Folding what stands around convolutions into them: BatchNorm behind one, a normalization of images before one.

Which module feeds which is seen in a run: every operation of the network's forward on one sample is watched, so
that nothing has to be known of the network, nor does it have to be traceable. What is not certainly safe is left.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kdkit.transforms import Standardize

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Their forward is the normalization and nothing else, which a subclass's need not be."""
_BEHIND = {"BatchNormAct2d": ("drop", "act")}
"""What other classes' forward does behind the normalization: their submodules, in order, by the class's name."""


@dataclass(frozen=True)
class Folding:
    """What was folded.

    Attributes:
        batchnorms: how many BatchNorms the network has.
        folded: how many of them are now part of the convolution before them.
    """

    batchnorms: int
    folded: int


@dataclass
class _Watched:
    """A tensor and the operations that read it; the tensor is held, so that no other gets its identity."""

    tensor: Tensor
    readers: list["_Operation"] = field(default_factory=list)


@dataclass(frozen=True)
class _Operation:
    function: Any
    arguments: tuple[Any, ...]
    result: Any

    @property
    def is_convolution(self) -> bool:
        return self.function is torch.ops.aten.convolution.default

    @property
    def is_join(self) -> bool:
        return self.function is torch.ops.aten.cat.default


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees what reads a network's inputs, parameters and buffers and its convolutions' results.

    Args:
        network: the network.
        inputs: the tensors handed to it, perhaps through other modules.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        own = (*network.parameters(), *network.buffers(), *inputs)
        self._watched = {id(tensor): _Watched(tensor) for tensor in own}
        self._owners: dict[int, list[nn.Module]] = {}
        for module in network.modules():
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                self._owners.setdefault(id(tensor), []).append(module)
        self._returned: dict[nn.Module, list[Any]] = {}

    def note_call(self, module: nn.Module, inputs: object, output: Any) -> None:
        """Note what a module returned: a forward hook."""
        self._returned.setdefault(module, []).append(output)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        """Run an operation and note what it read."""
        result = func(*args, **(kwargs or {}))
        operation = _Operation(func, args, result)
        for value in tree_leaves((args, kwargs)):
            if id(value) in self._watched:
                self._watched[id(value)].readers.append(operation)
        if operation.is_convolution or operation.is_join:
            self._watched[id(result)] = _Watched(result)
        return result

    def only_reader(self, tensor: object) -> _Operation | None:
        """The one operation that reads a watched tensor; None where there are none or several."""
        watched = self._watched.get(id(tensor))
        return watched.readers[0] if watched is not None and len(watched.readers) == 1 else None

    def convolution(self, operation: _Operation | None) -> _ConvNd | None:
        """The module whose weight and bias a convolution reads, where nothing else reads or holds them."""
        if operation is None or not operation.is_convolution:
            return None
        _, weight, bias, *_ = operation.arguments
        module = self._owner(weight)
        if not isinstance(module, _ConvNd) or module.weight is not weight or module.bias is not bias:
            return None
        if not self._returns(module, operation.result):
            return None
        return module if bias is None or self._owner(bias) is module else None

    def batchnorm(self, operation: _Operation | None) -> _BatchNorm | None:
        """The module that normalizes by fixed statistics in an operation, where nothing else reads these."""
        owners = {self._owner(value) for value in (operation.arguments if operation else ())} - {None}
        module = owners.pop() if len(owners) == 1 else None
        if operation is None or not isinstance(module, _BatchNorm) or module.running_mean is None:
            return None
        own = (module.running_mean, module.running_var, module.weight, module.bias)
        if not all(value is None or self._owner(value) is module for value in own):
            return None
        if type(module).__name__ in _BEHIND:
            return module if len(self._returned.get(module, ())) == 1 else None
        normalized = operation.result[0] if isinstance(operation.result, tuple) else operation.result
        return module if type(module) in _PLAIN and self._returns(module, normalized) else None

    def _returns(self, module: nn.Module, result: object) -> bool:
        """Whether a module was called once and returned this."""
        returned = self._returned.get(module, [])
        return len(returned) == 1 and returned[0] is result

    def _owner(self, tensor: object) -> nn.Module | None:
        owners = self._owners.get(id(tensor), [])
        return owners[0] if len(owners) == 1 and self.only_reader(tensor) is not None else None

    @property
    def convolutions(self) -> list[_Operation]:
        """Every convolution that was run with a watched weight."""
        operations = [operation for watched in self._watched.values() for operation in watched.readers]
        return list({id(one): one for one in operations if one.is_convolution}.values())


def watch(network: nn.Module, run: Callable[[], object], inputs: Sequence[Tensor]) -> tuple[Trace, list[Tensor]]:
    """Run something that calls a network, in eval mode, and return what was seen and the tensors it returned."""
    trace = Trace(network, inputs)
    watched = [module for module in network.modules() if isinstance(module, _ConvNd | _BatchNorm)]
    hooks = [module.register_forward_hook(trace.note_call) for module in watched]
    try:
        with torch.no_grad(), trace:
            results = run()
    finally:
        for hook in hooks:
            hook.remove()
    return trace, [value for value in tree_leaves(results) if isinstance(value, Tensor)]


def fold_batchnorms(network: nn.Module, trace: Trace, results: Iterable[Tensor]) -> Folding:
    """Fold every BatchNorm into the convolution before it where that changes no result, in place.

    It is left where it reads something else than one convolution's result, where that result is read a second
    time or is itself among the results, where the network uses one of the two modules a second time, and where its
    class is not a known one, as it may then do more than normalize. In a folded one's place is what its forward
    does behind the normalization: nothing, or the activation of timm's ``BatchNormAct2d``.

    Args:
        network: the network, in eval mode.
        trace: of a run of it.
        results: what the run returned.
    """
    kept = {id(value) for value in results}
    total = sum(isinstance(module, _BatchNorm) for module in network.modules())
    folded = 0
    for operation in trace.convolutions:
        convolution = trace.convolution(operation)
        batchnorm = trace.batchnorm(trace.only_reader(operation.result))
        if convolution is None or batchnorm is None or id(operation.result) in kept:
            continue
        _fold(convolution, batchnorm)
        _replace(network, batchnorm, _behind(batchnorm))
        folded += 1
    return Folding(total, folded)


def _behind(batchnorm: _BatchNorm) -> nn.Module:
    parts = _BEHIND.get(type(batchnorm).__name__, ())
    # By their names, so that the paths of features stay.
    return nn.Sequential(OrderedDict((name, batchnorm.get_submodule(name)) for name in parts)).eval()


def _fold(convolution: _ConvNd, batchnorm: _BatchNorm) -> None:
    # In float64, rounded once: the convolution's float32 sums then carry all of the difference.
    statistics = dict(batchnorm.named_buffers(recurse=False))
    mean, variance = _double(statistics["running_mean"]), _double(statistics["running_var"])
    scale = (variance + batchnorm.eps).rsqrt()
    if batchnorm.weight is not None:
        scale = scale * _double(batchnorm.weight)
    bias = -mean if convolution.bias is None else _double(convolution.bias) - mean
    bias = bias * scale
    if batchnorm.bias is not None:
        bias = bias + _double(batchnorm.bias)
    _set(convolution, _double(convolution.weight) * _by_output(convolution, scale), bias)


def _by_output(convolution: _ConvNd, scale: Tensor) -> Tensor:
    """Lay a number an output channel on the convolution's weight."""
    groups, space = convolution.groups, (1,) * len(convolution.kernel_size)
    if not isinstance(convolution, _ConvTransposeNd):
        return scale.view(-1, 1, *space)
    # [in, out / groups, ...]: the input channels of a group share the group's output channels.
    by_group = scale.view(groups, -1).repeat_interleave(convolution.in_channels // groups, 0)
    return by_group.view(*by_group.shape, *space)


def fold_standardize(trace: Trace, image: Tensor, standardize: Standardize) -> Standardize | None:
    """Fold a normalization of a network's input into the convolution that reads it, in place where that is exact.

    The scale goes into the convolution's weight. So does the shift into its bias, unless the convolution pads with
    zeros: these stand for images' zeros behind the normalization, so that a folded shift would be wrong along the
    border. There it stays, as an addition before the convolution.

    Args:
        trace: of a run of the network on inputs that were normalized.
        image: the input in that run, [B,C,H,W]; the convolution may also read it joined with others as channels.
        standardize: its normalization.

    Returns:
        What is still to be done with the input; None if nothing. The normalization itself where nothing else than
        one convolution reads the input.
    """
    reader, first = trace.only_reader(image), 0
    if reader is not None and reader.is_join:
        joined, dim = (*reader.arguments, 0)[:2]
        if dim != 1 or sum(value is image for value in joined) != 1:
            return standardize
        before = next(index for index, value in enumerate(joined) if value is image)
        first = sum(value.shape[1] for value in joined[:before])
        image, reader = reader.result, trace.only_reader(reader.result)
    convolution = trace.convolution(reader)
    if reader is None or convolution is None or reader.arguments[0] is not image:
        return standardize
    if convolution.groups != 1 or isinstance(convolution, _ConvTransposeNd):
        return standardize
    scale, shift = standardize.scale_and_shift
    channels = slice(first, first + len(scale))
    weight = _double(convolution.weight)
    space = (1,) * len(convolution.kernel_size)
    added = weight[:, channels] * weight.new_tensor(shift).view(1, -1, *space)
    weight[:, channels] *= weight.new_tensor(scale).view(1, -1, *space)
    if any(reader.arguments[4]):
        _set(convolution, weight, None)
        remaining = tuple(-moved / by for by, moved in zip(scale, shift, strict=True))
        return Standardize(remaining, (1.0,) * len(scale)) if any(remaining) else None
    bias = added.flatten(1).sum(1)
    _set(convolution, weight, bias if convolution.bias is None else bias + _double(convolution.bias))
    return None


def _double(tensor: Tensor) -> Tensor:
    """Return a copy in float64."""
    return tensor.detach().to(torch.float64, copy=True)


def _set(convolution: _ConvNd, weight: Tensor, bias: Tensor | None) -> None:
    """Give the convolution another weight, and another bias unless that is None, in its own type."""
    like = convolution.weight
    convolution.weight = nn.Parameter(weight.to(like.dtype), requires_grad=False)
    if bias is not None:
        convolution.bias = nn.Parameter(bias.to(like.dtype), requires_grad=False)


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in network.modules():
        # Not named_children, which tells of a module that has two names only one.
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)
