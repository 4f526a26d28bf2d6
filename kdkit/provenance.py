"""With what, and on what, figures were made: what they may be repeated with."""

import platform
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from kdkit.machine import Machine

ROOT = Path(__file__).parents[1]


@cache
def provenance() -> dict[str, Any]:
    """Return this process's machine, versions and commit, in plain JSON types; the commit is None if not known."""
    return {"machine": Machine.here().to_json(), "versions": versions(), "commit": commit()}


def versions() -> dict[str, str]:
    """Return the versions of Python, kdkit, and what it needs."""
    needed = [re.match(r"[\w.-]+", line) for line in requires("kdkit") or () if "extra ==" not in line]
    names = ["kdkit", *(found[0] for found in needed if found)]
    return {"python": platform.python_version()} | {name: found for name in names if (found := _version(name))}


def commit() -> str | None:
    """Return kdkit's commit, with a plus where files differ from it; None outside of a clone."""
    # An installed package may lie in a clone of something else.
    if not (ROOT / ".git").exists():
        return None
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", ":!benchmarks/results", ":!docs") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # put in by hand, under another name
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()
