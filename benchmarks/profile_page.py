"""Writes docs/performance/profile.md and its pictures from the profiles in benchmarks/results/.

    python benchmarks/profile_page.py

`make profile` runs it at its end.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.profiling.picture import draw  # noqa: E402
from benchmarks.profiling.records import Profile, Profiles, read_profiles  # noqa: E402
from benchmarks.profiling.tables import (  # noqa: E402
    convolutions_table,
    giga,
    kinds_table,
    memory_table,
    parts_table,
    steps_table,
)
from benchmarks.profiling.words import best_taught, say  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance" / "profile.md"
IMAGES = ROOT / "docs" / "images"

INTRODUCTION = """\
# Where a step's time goes

<!-- Made by benchmarks/profile_page.py from benchmarks/results/profile-*.json: mend those, or the script. -->

A step of distillation, taken apart by the profiler of torch: from a loop as older pose repositories write it,
over a loop by hand and kdkit by default, to kdkit at its best, from cached targets, and without a teacher. Any
machine can make its own:

```sh
make profile    # on a CUDA device where there is one, else on the CPU
```

It takes some minutes on two cores. Networks, sizes, batches and the device are options, and each setting has its
own profile in the machine's file in `benchmarks/results/`:

```sh
python benchmarks/profile_step.py --device cpu --teacher hrnet_w48 --batch 8
python benchmarks/profile_step.py --batch 64 256    # one after the other
python benchmarks/profile_page.py
```

## How it is measured

- **Times** of a step are medians without the profiler, of all variants in turns, as in the
  [benchmarks](benchmarks.md). The profiler makes a step longer, so what it says is kept as shares;
  "profiled" is how many times as long the step was that the shares are of. Far above 1, something else ran then.
- **Parts** are ranges around the teacher, the student's forward, the backward and the optimizer; losses are what
  lies between the first forward and the backward, the rest is what lies elsewhere. Where targets are cached, the
  teacher is reading and decoding them. On a CPU parts are the host's time; on a GPU they are the kernels that the
  host launched in them.
- **Kinds** are told by the operator's name. An operator counts the time that none inside it takes, so a change of
  layout within a convolution is a copy. Kernels of the compiler, which join several kinds, are one of their own.
- **Gaps**: on a CPU the time outside of all operators, which is Python's and autograd's; on a GPU the time from a
  step's first kernel to its last one in which none runs.
- **Roofline**: a step's operations, two a multiply-add, counted by `count_macs`, the way back as twice the way
  there, over its time, against the larger of a large matrix product's and a large convolution's rate, measured in
  the same run. Of convolutions the shapes are recorded: operations a byte are counted with inputs, weights and
  outputs moved once, and the bound of each call is the machine's rate of operations or that of a large copy,
  whichever is nearer. What fits into a cache can beat the second.
- **Memory** is what torch's allocator gave out, by the profiler: beside weights, the optimizer's state and the
  batch, the step holds so much when its backward begins (activations, targets, and in the eager loop the last
  gradients) and at its peak.
"""
NOTHING = "\nNothing has been profiled yet.\n"
NO_GPU = "\nNo GPU's profile was recorded yet: on a machine with one, `make profile` does it.\n"


def make_page(machines: Iterable[Profiles]) -> str:
    """Return the page's text."""
    found = list(machines)
    sections = [_machine(one) for one in found]
    no_gpu = "" if any(profile.setting.gpu for one in found for profile in one.profiles) else NO_GPU
    return INTRODUCTION + no_gpu + ("".join(sections) or NOTHING)


def picture_of(profiles: Profiles, profile: Profile) -> str:
    """Return the name of a profile's picture."""
    setting = re.sub(r"[^a-z0-9]+", "-", profile.setting.name.lower()).strip("-")
    return f"{profiles.file.removesuffix('.json')}-{setting}.png"


def draw_all(machines: Iterable[Profiles], folder: Path) -> list[Path]:
    """Write the pictures of all profiles into a folder, and return their paths."""
    paths = []
    for one in machines:
        for profile in one.profiles:
            paths.append(folder / picture_of(one, profile))
            draw(profile, paths[-1])
    return paths


def _machine(profiles: Profiles) -> str:
    machine = profiles.machine
    gpu = f", {machine.gpu}" if machine.gpu else ""
    head = f"\n## {machine.name}\n\n{machine.cpu}, {machine.cores} cores{gpu}.\n"
    return head + "".join(_profile(profile, picture_of(profiles, profile)) for profile in profiles.profiles)


def _profile(profile: Profile, picture: str) -> str:
    best = best_taught(profile)
    what = "kernels' time" if profile.setting.gpu else "time"
    parts = [
        f"\n### {profile.setting.name}\n",
        f"![Time of a step by part, a bar for each variant](../images/{picture})\n",
        say(profile),
        "\n".join(f"- *{one.name}*, {giga(one.flops)} GFLOP: {one.about}." for one in profile.variants) + "\n",
        steps_table(profile),
        f"Share of a step's {what} by part:\n",
        parts_table(profile),
        "By kind of operator:\n",
        kinds_table(profile),
        "In memory:\n",
        memory_table(profile),
        f"Convolutions of *{best.name}*:\n",
        convolutions_table(profile, best),
        _circumstances(profile),
    ]
    return "\n".join(parts)


def _circumstances(profile: Profile) -> str:
    """Return when and with what a profile was recorded."""
    versions = ", ".join(f"{name} {version}" for name, version in profile.versions.items())
    peaks = profile.peaks
    threads = _count(profile.threads, "thread")
    rounds = _count(profile.rounds, "round")
    return (
        f"Recorded on {profile.date} at commit {profile.commit} with {versions}; {rounds} by {profile.clock}, "
        f"{threads}. Peaks: matrix product {giga(peaks.product)} GFLOP/s, 3x3 convolution "
        f"{giga(peaks.convolution)} GFLOP/s, copy {giga(peaks.bandwidth)} GB/s.\n"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"


def main() -> None:
    machines = read_profiles(RESULTS)
    for path in draw_all(machines, IMAGES):
        print(path.relative_to(ROOT))
    PAGE.write_text(make_page(machines), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
