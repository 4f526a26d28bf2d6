"""What of the performance that is asked for can be had here, and what the user should know of it."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from accelerate import PartialState
from torch import nn
from torch.optim import Optimizer

from kdkit.balance import GradientNorm
from kdkit.distiller import Distiller
from kdkit.errors import ConfigurationError
from kdkit.processes import stays_on_cpu
from kdkit.training.performance import Performance, Precision
from kdkit.training.recordable import recording_fault
from kdkit.training.recorder import Recorder, make_recorder

MakeOptimizer = Callable[[Iterator[nn.Parameter]], Optimizer]


@dataclass(frozen=True)
class Tuning:
    """How a run computes.

    Attributes:
        performance: the parts that are used.
        precision: the student's.
        optimizer: of the student's parameters.
        recorder: records the whole step, or None where it runs as it is.
        records_optimizer: whether the optimizer's step is recorded with it.
        notes: why something is not as it was asked for.
    """

    performance: Performance
    precision: Precision
    optimizer: Optimizer
    recorder: Recorder | None
    records_optimizer: bool
    notes: tuple[str, ...]


def tune(
    distiller: Distiller,
    optimizer: Optimizer | MakeOptimizer,
    performance: Literal["default", "max"] | Performance,
    precision: Precision | None,
    *,
    accumulate: int,
    cpu: bool,
) -> Tuning:
    """Return how a run computes on the device it will have; the arguments are the trainer's.

    Raises:
        ConfigurationError: if performance is nothing known, or does not go with ``accumulate``.
    """
    device = torch.device(PartialState(cpu=stays_on_cpu(cpu)).device)
    parts, why_eager = compiled_if_possible(choose_performance(performance, device), distiller, device)
    if parts.uses_graphs and accumulate > 1:
        raise ConfigurationError(
            f"Performance: compile={parts.compile!r} with accumulate={accumulate}: a CUDA graph writes the next "
            f"batch's gradients over the last one's; use compile=True"
        )
    if parts.cuda_graph and accumulate > 1:
        raise ConfigurationError(
            f"Performance: cuda_graph=True with accumulate={accumulate}: the graph is of an optimizer step of one "
            f"batch; use larger batches, or leave the graph out"
        )
    chosen = choose_precision(precision, performance, device)
    recorder, why_unrecorded = recorder_if_possible(parts, distiller, device, chosen)
    parts = replace(parts, cuda_graph=recorder is not None)
    made = make_optimizer(optimizer, distiller.student, parts)
    why_unfused = why_not_fused(optimizer, made) if parts.fused_optimizer else ""
    why_outside = why_not_recorded(made) if parts.cuda_graph else ""
    notes = tuple(note for note in (why_eager, why_unrecorded, why_unfused, why_outside) if note)
    return Tuning(parts, chosen, made, recorder, parts.cuda_graph and not why_outside, notes)


def recorder_if_possible(
    performance: Performance, distiller: Distiller, device: torch.device, precision: Precision
) -> tuple[Recorder | None, str]:
    """Return what records the whole step, and why nothing does, where something should and cannot."""
    if not performance.cuda_graph:
        return None, ""
    fault = recording_fault(distiller)
    if precision == "fp16":
        fault = "precision='fp16' scales losses by what the host decides: use bf16"
    if PartialState().num_processes > 1:
        fault = "several processes exchange their gradients in it"
    recorder = None if fault else make_recorder(device)
    if recorder is not None:
        return recorder, ""
    fault = fault or f"there is no CUDA device, the student is on {device}"
    return None, f"the step is not recorded as a CUDA graph, it runs as it is: {fault}"


def choose_performance(wanted: Literal["default", "max"] | Performance, device: torch.device) -> Performance:
    """Return the parts to use on a device.

    ``max`` is all of them on an accelerator. On the CPU it leaves the compiler out, whose minutes of work at the
    start only a long run earns back: ask for it by ``Performance(compile=True)``.

    Args:
        wanted: ``default`` (none), ``max``, or the parts themselves.
        device: where the student trains.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(wanted, Performance):
        return wanted
    if wanted == "default":
        return Performance()
    if wanted == "max":
        return Performance(channels_last=True, compile=device.type != "cpu", fused_optimizer=True)
    raise ConfigurationError(f"Trainer: performance is {wanted!r}, it must be 'default', 'max' or a Performance")


def choose_precision(wanted: Precision | None, performance: object, device: torch.device) -> Precision:
    """Return the student's precision: the one that is wanted, else bf16 where ``max`` finds it in the hardware.

    Raises:
        ConfigurationError: if fp16 is wanted on the CPU, where it would be left out in silence.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise ConfigurationError("precision fp16 needs an accelerator, and this is the CPU: take bf16 or no")
    if wanted is not None:
        return wanted
    if performance == "max" and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return "bf16"
    return "no"


def make_optimizer(given: Optimizer | MakeOptimizer, student: nn.Module, performance: Performance) -> Optimizer:
    """Return the optimizer of a student's parameters, fused where that is wanted and possible."""
    if isinstance(given, Optimizer):
        return given
    options: dict[str, Any] = {"fused": True} if performance.fused_optimizer and _can_fuse(given) else {}
    chosen: dict[str, Any] = given.keywords if isinstance(given, partial) else {}
    if performance.cuda_graph and (options or chosen.get("fused")) and _takes(given, "capturable"):
        options["capturable"] = True
    return partial(given, **options)(student.parameters())


def why_not_fused(given: Optimizer | MakeOptimizer, made: Optimizer) -> str:
    """Return why an optimizer that should be fused is not, or nothing where it is."""
    if all(group.get("fused") for group in made.param_groups):
        return ""
    kind = type(made).__name__
    if isinstance(given, Optimizer):
        return f"the optimizer is made already: give a function, as partial({kind}, lr=...), to have it fused"
    return f"the optimizer is not fused: give partial({kind}, lr=...) without fused and foreach, if it can be"


def why_not_recorded(made: Optimizer) -> str:
    """Return why an optimizer's step is not in the graph of a step, or nothing where it is."""
    known = type(made) in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
    if known and all(group.get("fused") and group.get("capturable", True) for group in made.param_groups):
        return ""
    return (
        "the optimizer's step follows the CUDA graph, it is not in it: that takes a fused Adam, AdamW or SGD, "
        "given as a function, with Performance(fused_optimizer=True)"
    )


def compiled_if_possible(
    performance: Performance, distiller: Distiller, device: torch.device
) -> tuple[Performance, str]:
    """Return what can be used of it, and why nothing is compiled, where something should be and cannot."""
    if performance.compile_mode is None:
        return performance, ""
    fault = _fault_of_balances(distiller) or compiler_fault(device)
    if not fault:
        return performance, ""
    return replace(performance, compile=False), f"nothing is compiled, the student runs as it is: {fault}"


def compiler_fault(device: torch.device) -> str:
    """Return why ``torch.compile`` fails on a device, found by trying, or nothing where it works."""
    try:
        torch.compile(_probe)(torch.ones(4, device=device))
    except Exception as error:  # whatever a compiler that is missing or too old makes of it
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""


def _fault_of_balances(distiller: Distiller) -> str:
    for stage in distiller.curriculum:
        for balance in (objective.balance for objective in stage.objectives):
            if isinstance(balance, GradientNorm) and balance.part:
                return (
                    f"{balance!r} measures gradients inside the student, which a compiled one does not give twice"
                )
    return ""


def _probe(value: torch.Tensor) -> torch.Tensor:
    return value * 2 + 1


def _can_fuse(make: MakeOptimizer) -> bool:
    chosen: dict[str, Any] = make.keywords if isinstance(make, partial) else {}
    return _takes(make, "fused") and chosen.get("fused") is None and not chosen.get("foreach")


def _takes(make: MakeOptimizer, name: str) -> bool:
    try:
        return name in inspect.signature(make).parameters
    except ValueError:  # a builtin
        return False
