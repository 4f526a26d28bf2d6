"""Spoils thousands of files and gives them to the readers: each is read, or refused by an error of kdkit's.

    python benchmarks/fuzz.py --count 10000

Valid files (annotations, boxes, results, masks; checkpoints, caches, packed persons, run folders, studies;
pictures) are changed by chance: bytes, what they mean, their structure, checksums made to fit, pickles planted.
Another process reads them, allowed 2 GiB of memory and 5 seconds each, and looked at for code that a file makes
run. Anything but a file read and a `KdkitError` is a failure: its files are kept below --keep, and the exit code
is 1. The same seed spoils the same files.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.fuzzing.child import MEMORY, SECONDS, spoilt, targets_of  # noqa: E402
from benchmarks.fuzzing.targets import ANNOTATIONS, GROUPS, PICTURES, STORED  # noqa: E402
from benchmarks.measuring import Machine, commit, versions  # noqa: E402
from benchmarks.measuring.machine_file import write_machine_file  # noqa: E402

RESULTS = Path(__file__).with_name("results")
SCHEMA = 1
WAIT = 3 * SECONDS  # until a process that does not answer to its alarm is killed
START = 300.0  # for what it imports and makes


def outcomes(group: str, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """What came of each file, in order; a process that dies or hangs is followed by another."""
    done = 0
    while done < count:
        for line in _child(group, seed, done, count):
            done = line["number"] + 1
            yield line


def _child(group: str, seed: int, start: int, stop: int) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.fuzzing.child", group, str(seed), str(start), str(stop)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors) as child,
    ):
        assert child.stdout is not None
        number, allowed = None, START
        while True:
            line = _line(child, allowed)
            if line is None or not line:
                break
            found = json.loads(line)
            number, allowed = found.get("number", found.get("begins", 0) - 1) + 1, WAIT
            if "number" in found:
                yield found
        if line is None:
            child.kill()
        code = child.wait()
        errors.seek(0)
        told = errors.read()[-2000:].decode(errors="replace")
        if number is None:
            raise SystemExit(f"the process that reads did not begin (exit code {code}): {told}")
        if number < stop:
            outcome = "hang" if line is None else f"crash: exit code {code}"
            yield {
                "number": number,
                "target": "?",
                "outcome": outcome,
                "detail": told,
                "seconds": 0,
                "cpu": 0,
                "peak": 0,
            }


def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """The next line of the output, empty at its end; None where none comes in time."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        return child.stdout.readline() if selector.select(seconds) else None


class Tally:
    """What came of all files of a group.

    Args:
        group: which.
        keep: a folder for files of failures.
        seed: of the files.
    """

    def __init__(self, group: str, keep: Path, seed: int) -> None:
        self.group, self.keep, self.seed = group, keep, seed
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.failures: list[dict[str, Any]] = []
        self.slowest, self.peak = 0.0, 0

    def add(self, line: dict[str, Any]) -> None:
        """Count an outcome."""
        outcome = line["outcome"]
        if outcome == "read":
            kind = "read"
        elif outcome.endswith("Error") and ":" not in outcome:
            kind = outcome
        else:
            kind = outcome
            self.failures.append(line)
        self.counts[line["target"]][kind] += 1
        self.slowest, self.peak = max(self.slowest, line["cpu"]), max(self.peak, line["peak"])

    def to_json(self) -> dict[str, Any]:
        """The counts in plain JSON types."""
        total: Counter[str] = sum(self.counts.values(), Counter())
        return {
            "files": total.total(),
            "read": total["read"],
            "refused": {
                kind: n for kind, n in sorted(total.items()) if kind.endswith("Error") and ":" not in kind
            },
            "failures": len(self.failures),
            "slowest_cpu_seconds": round(self.slowest, 2),
            "peak_resident_mib": round(self.peak / 2**20),
            "targets": {name: dict(sorted(counts.items())) for name, counts in self.counts.items()},
        }

    def show(self) -> None:
        """Print the table."""
        found = self.to_json()
        print(
            f"\n{self.group}: {found['files']} files, {found['failures']} failures, at most "
            f"{found['slowest_cpu_seconds']} s of CPU time each, {found['peak_resident_mib']} MiB resident"
        )
        for name, counts in found["targets"].items():
            print(f"  {name:<32}" + ", ".join(f"{kind} {count}" for kind, count in counts.items()))

    def keep_failures(self) -> None:
        """Write the files of each failure, and what was raised, to a folder of its own."""
        if not self.failures:
            return
        with tempfile.TemporaryDirectory() as folder:
            targets = targets_of(self.group, Path(folder))
        for line in self.failures:
            target, files = spoilt(targets, self.seed, line["number"])
            place = self.keep / f"{self.group.split()[0]}-{line['number']}"
            place.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (place / Path(name).name).write_bytes(content)
            told = f"{target.name}: {line['outcome']}\n{line.get('detail', '')}\n"
            (place / "failure.txt").write_text(told, errors="backslashreplace")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count", type=int, default=10_000, help="files of annotations, and as many checkpoints and caches"
    )
    parser.add_argument("--pictures", type=int, help="pictures; by default a fifth of that")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--group", choices=GROUPS, help="only this one; writes no results")
    parser.add_argument(
        "--keep", type=Path, default=Path("runs/fuzz"), help="where the files of failures are kept"
    )
    parser.add_argument("--json", type=Path, help="by default benchmarks/results/fuzz-MACHINE.json")
    options = parser.parse_args()
    pictures = options.count // 5 if options.pictures is None else options.pictures
    counts = {ANNOTATIONS: options.count, STORED: options.count, PICTURES: pictures}
    tallies, started = [], time.monotonic()
    for group in (options.group,) if options.group else GROUPS:
        tally = Tally(group, options.keep, options.seed)
        for line in outcomes(group, options.seed, counts[group]):
            tally.add(line)
        tally.show()
        tally.keep_failures()
        tallies.append(tally)
    seconds = time.monotonic() - started
    failures = sum(len(tally.failures) for tally in tallies)
    print(f"\n{failures} failures, {seconds:.0f} s in all" + (f"; see {options.keep}" if failures else ""))
    if not options.group or options.json:
        machine = Machine.here()
        path = options.json or RESULTS / f"fuzz-{machine.file}"
        found = {tally.group: tally.to_json() for tally in tallies}
        limits = {"seconds": SECONDS, "mib": MEMORY // 2**20}
        about = {"seed": options.seed, "limits": limits, "wall_seconds": round(seconds)}
        write_machine_file(path, SCHEMA, machine, groups=found, **about, versions=versions(), commit=commit())
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
