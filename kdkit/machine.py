"""On what something was made; nothing that names a computer or its owner."""

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """The hardware that figures are of.

    Attributes:
        name: says which in words, and makes the name of the file of results.
        cpu: the processor's model.
        cores: how many of its cores this process may use.
        gpu: the CUDA device's name, or None.
    """

    name: str
    cpu: str
    cores: int
    gpu: str | None = None

    @classmethod
    def here(cls, name: str | None = None) -> "Machine":
        """Return this machine, called by what it has where no name is given."""
        cpu, cores = _processor(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        cores = cores or os.cpu_count() or 1
        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        made = f"{cpu}, {cores} core{'s' if cores > 1 else ''}" + (f", {gpu}" if gpu else "")
        return cls(name or made, cpu, cores, gpu)

    @property
    def file(self) -> str:
        """The name of its file of results."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") + ".json"

    def to_json(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        return asdict(self)


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", CPUINFO.read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    model = found[1] if found else platform.processor() or platform.machine()
    model = re.sub(r"\((?:R|TM)\)|\bCPU\b|@.*", " ", model)
    return " ".join(model.split())
