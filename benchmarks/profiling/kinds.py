"""What kind of work an operator or a kernel does, by its name."""

import re

from benchmarks.profiling.parts import OPTIMIZER_PART
from benchmarks.profiling.trace import Kernel, Operator

CONVOLUTION, NORM, ACTIVATION = "convolution", "batch norm", "activation"
SUMS, OPTIMIZER, COPIES, COMPILED, OTHER = "upsampling, sums", "optimizer", "copies, casts", "compiled", "other"
KINDS = (CONVOLUTION, NORM, ACTIVATION, SUMS, OPTIMIZER, COPIES, COMPILED, OTHER)

_COMPILED = re.compile(r"triton_|cpp_fused|graph_\d")
_LAYOUT = re.compile(r"nchwToNhwc|nhwcToNchw", re.I)
_OF_NAME = (
    (COPIES, re.compile(r"copy|memcpy|::(to|cat|clone|contiguous|fill_|zero_|zeros|zeros_like)$")),
    (CONVOLUTION, re.compile(r"conv|cudnn_infer|xmma|wgrad|dgrad", re.I)),
    (NORM, re.compile(r"batch_?norm|bn_(fw|bw)", re.I)),
    (ACTIVATION, re.compile(r"relu|threshold|clamp_min|sigmoid|silu|hardswish|hardtanh", re.I)),
    (SUMS, re.compile(r"upsample|interpolate|::(add_?|sum|mul_?)$", re.I)),
)
_IS_NO_OPERATOR = re.compile(
    r"autograd::|Backward\d*$|^detach$|CompiledFunction|Torch-Compiled Region|CompiledFxGraph"
)


def is_operator(operator: Operator) -> bool:
    """Return whether a call in the trace computes, and is no bookkeeping around such calls."""
    return not _IS_NO_OPERATOR.search(operator.name)


def kind_of_operator(name: str, part: str) -> str:
    """Return the kind of an operator's own work.

    >>> kind_of_operator("aten::mkldnn_convolution", "backward"), kind_of_operator("aten::add_", "optimizer")
    ('convolution', 'optimizer')
    >>> kind_of_operator("aten::_to_copy", "teacher"), kind_of_operator("aten::mse_loss", "losses")
    ('copies, casts', 'other')
    """
    if part == OPTIMIZER_PART:
        return OPTIMIZER
    if _COMPILED.search(name):
        return COMPILED
    return next((kind for kind, pattern in _OF_NAME if pattern.search(name)), OTHER)


def kind_of_kernel(kernel: Kernel, part: str) -> str:
    """Return a kernel's kind: by its own name where that says it, else by what launched it."""
    if part == OPTIMIZER_PART:
        return OPTIMIZER
    if _COMPILED.search(kernel.name):
        return COMPILED
    # A convolution library changes the layout by itself where it was given the other one.
    if kernel.copies or _LAYOUT.search(kernel.name):
        return COPIES
    return kind_of_operator(kernel.name if kernel.operator is None else kernel.operator.name, part)
