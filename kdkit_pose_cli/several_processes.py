"""A command in several processes, as ``torchrun`` and ``accelerate launch`` start them."""

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout

SHARING = ("train", "distill", "train-masks", "evaluate", "cache build")
"""The commands whose work several processes share."""


@contextmanager
def joined(arguments: Sequence[str]) -> Iterator[None]:
    """Join the process group that the environment names, where it names one; only the first process prints.

    Args:
        arguments: the command and its options.

    Raises:
        ConfigurationError: if several processes were started for a command that runs in one.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count == 1 or "--help" in arguments:
        yield
        return
    # Only here, where they are needed: they take seconds to import.
    from accelerate import PartialState
    from torch import distributed

    from kdkit import ConfigurationError
    from kdkit.processes import stays_on_cpu

    name = " ".join(arguments[:2]) if arguments[0] == "cache" else arguments[0]
    if name not in SHARING:
        raise ConfigurationError(
            f"kdkit-pose {name} runs in one process, and {count} were started; several share {', '.join(SHARING)}"
        )
    if "--dry-run" in arguments:
        raise ConfigurationError(f"--dry-run takes one process's steps, and {count} were started: start one")
    PartialState(cpu=stays_on_cpu("--cpu" in arguments))
    try:
        with open(os.devnull, "w") as nothing, redirect_stdout(nothing) if rank else nullcontext():
            yield
    finally:
        if distributed.is_initialized():
            # What is left of a run in cycles would keep the group, whose threads can abort a process that ends.
            gc.collect()
            distributed.destroy_process_group()


def whose() -> str:
    """Return which of several processes this is, in words, or nothing where it is alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return f" in process {os.environ.get('RANK', '0')} of {count}" if count > 1 else ""
