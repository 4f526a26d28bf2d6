"""What a suite found, and the file that keeps it.

A file of results is of one machine:

- ``schema``: 1.
- ``machine``: its ``name``, ``cpu``, ``cores`` and ``gpu`` (null without one).
- ``records``, sorted by suite and name, each with
    - ``suite`` (the file's name without ``_bench.py``) and ``name``;
    - ``candidates``: each one's median in seconds a call, by label;
    - ``rounds``, ``threads`` of torch, and ``clock``;
    - ``figures``: each with the candidate it is ``of``, the one it is ``against`` (null for none), the
      ``quantity``, its ``unit`` (empty for a ratio), ``value``, the 95 per cent interval ``low`` to ``high`` (null
      for what is counted), ``at_least`` and ``at_most`` (null without such a bound), and ``met`` (null without
      any);
    - ``commit`` (with a plus where files differed from it), ``date`` (UTC) and ``versions`` by package.

A run replaces the records of the same suite and name, and keeps the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measuring.machine_file import read_machine_file, write_machine_file
from benchmarks.measuring.targets import Target
from benchmarks.measuring.turns import Turns
from kdkit.machine import Machine

SCHEMA = 1


@dataclass(frozen=True)
class Figure:
    """One number that is judged; the attributes are as the module says."""

    of: str
    against: str | None
    quantity: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    met: bool | None = None


@dataclass(frozen=True)
class Record:
    """One measurement; the attributes are as the module says."""

    suite: str
    name: str
    figures: tuple[Figure, ...]
    commit: str
    date: str
    candidates: dict[str, float] = field(default_factory=dict)
    rounds: int | None = None
    threads: int | None = None
    clock: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "Record":
        """Return the record that a file holds."""
        return cls(**{**content, "figures": tuple(Figure(**figure) for figure in content["figures"])})


@dataclass(frozen=True)
class Results:
    """All records of one machine."""

    machine: Machine
    records: tuple[Record, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Return the content of a file.

        Raises:
            ValueError: it is of another schema.
        """
        machine, content = read_machine_file(path, SCHEMA, "measure anew")
        return cls(machine, tuple(map(Record.of_json, content["records"])))

    def merged(self, records: Iterable[Record]) -> "Results":
        """Return these results with some records replaced or added."""
        found = {(record.suite, record.name): record for record in (*self.records, *records)}
        return Results(self.machine, tuple(found[key] for key in sorted(found)))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_machine_file(path, SCHEMA, self.machine, records=[asdict(record) for record in self.records])


def keep(folder: Path, machine: Machine, record: Record) -> None:
    """Put a record into the machine's file in ``folder``."""
    path = folder / machine.file
    held = Results.read(path).records if path.exists() else ()
    Results(machine, held).merged([record]).write(path)


def judge(turns: Turns, target: Target | Mapping[str, Target]) -> list[Figure]:
    """Return the figures of a measurement: of its first candidate, against the second or those that are named.

    Raises:
        ValueError: a target compares, and there is no other candidate of that name.
    """
    judged, *others = turns.seconds
    if isinstance(target, Target):
        if target.compares and not others:
            raise ValueError(f"{type(target).__name__} compares {judged!r} with another candidate: give a second")
        return [_figure(turns, target, judged, others[0] if target.compares else None)]
    if unknown := sorted(set(target) - set(others)):
        raise ValueError(f"no candidate {unknown[0]!r} to compare {judged!r} with, only {others}")
    return [_figure(turns, one, judged, label if one.compares else None) for label, one in target.items()]


def _figure(turns: Turns, target: Target, of: str, against: str | None) -> Figure:
    value, low, high = turns.estimate(target, of, against)
    bounds = {"at_least": target.at_least, "at_most": target.at_most}
    return Figure(of, against, target.name, target.unit, value, low, high, met=target.met(value), **bounds)
