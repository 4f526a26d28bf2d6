"""A machine's file of what was measured on it."""

import json
from pathlib import Path
from typing import Any

from kdkit.files import write_atomically
from kdkit.machine import Machine


def read_machine_file(path: Path, schema: int, remedy: str) -> tuple[Machine, dict[str, Any]]:
    """Return the machine and all that its file holds.

    Raises:
        ValueError: it is of another schema; the error ends with the remedy.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("schema") != schema:
        raise ValueError(f"{path}: schema {content.get('schema')!r}, expected {schema}; {remedy}")
    return Machine(**content["machine"]), content


def write_machine_file(path: Path, schema: int, machine: Machine, **content: Any) -> None:
    """Write a machine's file, whole or not at all."""
    whole = {"schema": schema, "machine": machine.to_json(), **content}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
