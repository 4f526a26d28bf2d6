"""How a run computes, where that leaves open what it learns."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kdkit.errors import ConfigurationError

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
Precision = Literal["no", "bf16", "fp16"]

_MODES = ("default", "reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class Performance:
    """Ways to compute the same faster, which differ in the last bits; by default none is used.

    Precision is not among them, since it is a setting of its own: ``Trainer(precision=...)``.

    Args:
        channels_last: lays the weights of the student and of teachers that are networks, and the pictures and maps
            that they read, out with the channels innermost.
        compile: the student runs by ``torch.compile``: True, or a mode of it. ``reduce-overhead`` replays the
            student's forward and backward as CUDA graphs. Where nothing can be compiled it runs as it is.
        fused_optimizer: an optimizer given as a function that takes ``fused`` is made with it: one kernel for all
            parameters. One that is made already is left as it is.
        cuda_graph: the whole step is recorded as a CUDA graph, and replayed: the teachers that are networks, the
            student, losses, backward, and the optimizer's step where that is a fused Adam's, AdamW's or SGD's. Not
            part of ``max``. Where it cannot be recorded it runs as it is.

    Raises:
        ConfigurationError: if the mode is unknown, or a graph is asked for twice.

    Example:
        >>> Performance(channels_last=True, compile="reduce-overhead")
        Performance(channels_last=True, compile='reduce-overhead', fused_optimizer=False, cuda_graph=False)
    """

    channels_last: bool = False
    compile: bool | CompileMode = False
    fused_optimizer: bool = False
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.compile, bool) and self.compile not in _MODES:
            raise ConfigurationError(
                f"Performance: compile is {self.compile!r}, it must be True, False or one of {', '.join(_MODES)}"
            )
        if self.cuda_graph and self.uses_graphs:
            raise ConfigurationError(
                f"Performance: compile={self.compile!r} replays CUDA graphs of its own, which cannot be part of "
                f"the whole step's: with cuda_graph=True use compile=True"
            )

    @property
    def compile_mode(self) -> CompileMode | None:
        """The mode to compile in, or None not to."""
        if isinstance(self.compile, bool):
            return "default" if self.compile else None
        return self.compile

    def settings(self) -> dict[str, Any]:
        """Return the parts by name, for a run's description."""
        parts = asdict(self)
        # Absent where there is none, as in the runs of before.
        return parts if self.cuda_graph else {name: part for name, part in parts.items() if name != "cuda_graph"}

    @property
    def uses_graphs(self) -> bool:
        """Whether the student's memory is reused from step to step, as CUDA graphs want it."""
        return self.compile_mode in ("reduce-overhead", "max-autotune")
