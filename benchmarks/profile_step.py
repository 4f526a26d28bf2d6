"""Profiles a distillation step, before and after, and keeps what it finds in benchmarks/results/.

python benchmarks/profile_step.py                        # the CPU's setting, or a CUDA device's where there is one
python benchmarks/profile_step.py --device cpu --teacher hrnet_w48
python benchmarks/profile_step.py --batch 64 256         # a profile each
python benchmarks/profile_step.py --toy                  # tries the code; keeps nothing
python benchmarks/profile_page.py                        # makes the page of all profiles
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.measuring import Machine  # noqa: E402
from benchmarks.profiling.recording import record_profile  # noqa: E402
from benchmarks.profiling.records import Profiles  # noqa: E402
from benchmarks.profiling.setting import Setting  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Profile a distillation step, before and after.")
    here = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=here, help=f"here by default {here}")
    parser.add_argument("--teacher", help="a network of kdkit_pose.models")
    parser.add_argument("--student", help="another")
    parser.add_argument("--no-mask", action="store_true", help="the teacher does not read the mask")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of the pictures")
    parser.add_argument("--batch", type=int, nargs="+", help="samples a step; several make a profile each")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of the student's autocast")
    compiles = "compile what can be; by default on a CUDA device only, since on a CPU it takes many minutes"
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None, help=compiles)
    parser.add_argument("--rounds", type=int, default=9, help="steps of each variant that are timed")
    parser.add_argument("--toy", action="store_true", help="small networks, to try the code; keeps nothing")
    parser.add_argument("--machine", help="its name in the results; made of its processor by default")
    parser.add_argument("--results", type=Path, help="folder of the files; benchmarks/results by default")
    return parser.parse_args(arguments)


def settings(given: argparse.Namespace) -> list[Setting]:
    """Return what to profile, a setting for each batch size."""
    base = Setting.default(given.device)
    changes = {name: getattr(given, name) for name in ("teacher", "student", "precision", "compile")}
    if given.size:
        changes["height"], changes["width"] = given.size
    base = replace(base, **{name: value for name, value in changes.items() if value is not None})
    base = replace(base, mask=not given.no_mask)
    if given.toy:
        return [base.toy()]
    return [replace(base, batch=batch) for batch in given.batch or [base.batch]]


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(arguments)
    machine = Machine.here(given.machine)
    folder = given.results or (None if given.toy else RESULTS)
    for setting in settings(given):
        profile = record_profile(setting, rounds=given.rounds, toy=given.toy)
        for variant in profile.variants:
            print(f"{variant.name}: {variant.seconds * 1e3:.1f} ms a step")
        if folder is not None:
            print(Profiles(machine, (profile,)).keep(folder))
        torch.compiler.reset()  # the next batch size would be compiled for any


if __name__ == "__main__":
    main()
