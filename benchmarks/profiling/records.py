"""The file that keeps a machine's profiles: ``profile-<machine>.json``.

- ``schema``: 1.
- ``machine``: its ``name``, ``cpu``, ``cores`` and ``gpu`` (null without one).
- ``profiles``, one a setting, each with the ``setting``, ``peaks``, ``threads`` of torch, ``rounds``, ``clock``,
  ``commit``, ``date`` (UTC), ``versions``, and ``variants`` from before to after: the ``seconds`` of a step
  without the profiler (median, with the 95 per cent interval ``low`` to ``high``), its ``flops``, ``breakdown``,
  ``memory`` and ``convolutions``.

A run replaces the profile of the same setting, and keeps the others.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Machine
from benchmarks.measuring.machine_file import read_machine_file, write_machine_file
from benchmarks.profiling.breakdown import Breakdown
from benchmarks.profiling.convolutions import ConvolutionKind
from benchmarks.profiling.memory import Memory
from benchmarks.profiling.peaks import Peaks
from benchmarks.profiling.setting import Setting

SCHEMA = 1
PREFIX = "profile-"


@dataclass(frozen=True)
class VariantProfile:
    """What was found of one variant; the attributes are as the module says."""

    name: str
    about: str
    seconds: float
    low: float
    high: float
    flops: int
    breakdown: Breakdown
    memory: Memory
    convolutions: tuple[ConvolutionKind, ...]

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "VariantProfile":
        """Return what a file holds."""
        made = {
            "breakdown": Breakdown(**content["breakdown"]),
            "memory": Memory(**content["memory"]),
            "convolutions": tuple(ConvolutionKind(**one) for one in content["convolutions"]),
        }
        return cls(**{**content, **made})

    def unprofiled(self, seconds: float) -> float:
        """Return seconds of the profiled step as the same share of the step without the profiler."""
        return self.seconds * self.breakdown.share(seconds)

    @property
    def part_seconds(self) -> dict[str, float]:
        """The parts, in seconds of the step without the profiler."""
        return {key: self.unprofiled(value) for key, value in self.breakdown.parts.items()}

    @property
    def idle_seconds(self) -> float:
        """The idle time, likewise."""
        return self.unprofiled(self.breakdown.idle)


@dataclass(frozen=True)
class Profile:
    """What was found of one setting; the attributes are as the module says."""

    setting: Setting
    peaks: Peaks
    variants: tuple[VariantProfile, ...]
    threads: int
    rounds: int
    clock: str
    commit: str
    date: str
    versions: dict[str, str]

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "Profile":
        """Return what a file holds."""
        made = {
            "setting": Setting(**content["setting"]),
            "peaks": Peaks(**content["peaks"]),
            "variants": tuple(map(VariantProfile.of_json, content["variants"])),
        }
        return cls(**{**content, **made})

    def roofline(self, variant: VariantProfile) -> float:
        """Return a variant's arithmetic over its time, as a share of the machine's peak."""
        return variant.flops / variant.seconds / self.peaks.flops


@dataclass(frozen=True)
class Profiles:
    """All profiles of one machine."""

    machine: Machine
    profiles: tuple[Profile, ...] = ()

    @property
    def file(self) -> str:
        """The name of its file."""
        return PREFIX + self.machine.file

    @classmethod
    def read(cls, path: Path) -> "Profiles":
        """Return the content of a file.

        Raises:
            ValueError: it is of another schema.
        """
        machine, content = read_machine_file(path, SCHEMA, "profile anew")
        return cls(machine, tuple(map(Profile.of_json, content["profiles"])))

    def keep(self, folder: Path) -> Path:
        """Put the profiles into the machine's file in ``folder``, and return its path."""
        path = folder / self.file
        held = Profiles.read(path).profiles if path.exists() else ()
        found = {one.setting.name: one for one in (*held, *self.profiles)}
        write_machine_file(path, SCHEMA, self.machine, profiles=[asdict(found[name]) for name in sorted(found)])
        return path


def read_profiles(folder: Path) -> list[Profiles]:
    """Return all profiles in a folder, by the files' names."""
    return [Profiles.read(path) for path in sorted(folder.glob(f"{PREFIX}*.json"))]
