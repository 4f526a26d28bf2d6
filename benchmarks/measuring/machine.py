"""On what, and with what, something was measured; nothing that names a computer or its owner."""

import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
CPUINFO = Path("/proc/cpuinfo")
PACKAGES = ("kdkit", "torch", "numpy", "opencv-python-headless")


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


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def commit() -> str:
    """Return the project's commit, with a plus where files differ from it; ``unknown`` outside of a clone."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", ":!benchmarks/results", ":!docs") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()
