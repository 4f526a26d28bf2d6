"""Kills a real `kdkit-pose distill` again and again, goes on each time, and compares the students bit by bit.

    python benchmarks/chaos.py --kills 25               # as make chaos does
    python benchmarks/chaos.py --out runs/chaos --json runs/chaos.json

Small teachers are trained on drawn people, and a student is distilled once without being disturbed. Then for each
kill a new `distill` is started in a folder of its own and killed by SIGKILL: at a random moment of its training
or of its start, in the middle of writing a checkpoint, just before or after a checkpoint gets its name, as a stage
ends, in the middle of a line of metrics, or in the middle of writing the student. It is started again, and must
end with the same student: every byte of its file.

Where it hit is what the folder held then: the optimizer step of the newest whole checkpoint, and what was left
half written.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.measuring import Machine, commit, versions  # noqa: E402
from kdkit.errors import CheckpointError  # noqa: E402
from kdkit.training.checkpoint import load_checkpoint  # noqa: E402
from kdkit.training.run_folder import RunFolder  # noqa: E402

# On an accelerator two runs that are not disturbed may differ in bits, too.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
CHILD = Path(__file__).with_name("chaos_child.py")
NET = "hrnet_w8_small"
EPOCHS = 4
MOMENTS = ("random", "writing", "before its name", "after its name", "stage", "metrics", "student", "start")
"""What a kill waits for; half of all are at a random moment after the first checkpoint."""
TIMED = ("random", "start")
"""Those that are so many seconds away."""


@dataclass(frozen=True)
class Kill:
    """A kill and what came of it.

    Attributes:
        moment: what it waited for.
        at: of a random one seconds since the first checkpoint, of one at the start since then, otherwise which
            occasion it was.
        hit: whether the process was killed, and had not ended before.
        saved_step: the optimizer step of the newest whole checkpoint, 0 where there was none.
        half_written: names of files that were left behind half written.
        identical: whether the student is the undisturbed one's, byte by byte.
        lines_identical: whether the metrics are, but for the seconds.
    """

    moment: str
    at: float
    hit: bool
    saved_step: int
    half_written: tuple[str, ...]
    identical: bool
    lines_identical: bool


class Chaos:
    """The teachers, the undisturbed run, and runs that are killed.

    Args:
        out: a folder.
        pictures: of drawn people to learn from.
        seed: of moments.
    """

    def __init__(self, out: Path, pictures: int, seed: int) -> None:
        self._out, self._pictures = out, pictures
        self._random = random.Random(seed)
        self._people = out / "people"
        self.starting, self.training = 0.0, 0.0

    def prepare(self, side_by_side: int) -> None:
        """Make what is not there, and time as many undisturbed runs at once as there will be: until their first
        checkpoint, and from there on."""
        if not self._people.exists():
            run("synthesize", "--out", self._people, "--train", self._pictures, "--val", 4)
        for role, fusion in (("primary", "none"), ("senior", "concat")):
            if not self._student(role).exists():
                arguments = ("--model", NET, "--mask-fusion", fusion, "--input-size", "64x64", "--epochs", 1)
                run("train", *arguments, *self._data, "--out", self._out / role)
        if not self._student("whole").exists():
            run(*self._distill("whole"))
        with ThreadPoolExecutor(side_by_side) as pool:
            timed = list(pool.map(self._timed, range(side_by_side)))
        self.starting, self.training = (sum(seconds) / len(timed) for seconds in zip(*timed, strict=True))

    def _timed(self, number: int) -> tuple[float, float]:
        """Seconds until the first checkpoint of an undisturbed run, and from there on."""
        name = f"timed-{number}"
        started = time.monotonic()
        process = quiet(self._distill(name))
        wait_for_checkpoint(process, RunFolder(self._out / name))
        saved = time.monotonic()
        if process.wait():
            raise SystemExit(f"the undisturbed run in {self._out / name} failed")
        return saved - started, time.monotonic() - saved

    def kill(self, number: int, moment: str) -> Kill:
        """Kill a run once, go on with it, and say what came of it.

        A run that ends before its time comes, on a machine that is less busy than when runs were timed, is begun
        anew and killed earlier.
        """
        folder = self._out / f"kill-{number}"
        at = self._moment(moment)
        arguments = self._distill(folder.name)
        while (code := self._killed(folder, moment, at, arguments)) == 0 and moment in TIMED:
            shutil.rmtree(folder)
            at /= 2
        step = newest_step(RunFolder(folder))
        left = tuple(sorted(path.name for path in folder.glob("**/.*.*") if "lock" not in path.name))
        run(*arguments)
        return Kill(
            moment=moment,
            at=round(at, 2),
            hit=code == -signal.SIGKILL,
            saved_step=step,
            half_written=left,
            identical=self._student(folder.name).read_bytes() == self._student("whole").read_bytes(),
            lines_identical=lines(self._out / "whole") == lines(folder),
        )

    def _killed(self, folder: Path, moment: str, at: float, arguments: Sequence[object]) -> int:
        """Start a run, kill it at its moment, and return how it ended: 0 where that was by itself."""
        if moment not in TIMED:
            child = [sys.executable, str(CHILD), moment, str(int(at)), *map(str, arguments)]
            return subprocess.run(child, check=False, capture_output=True).returncode
        process = quiet(arguments)
        if moment == "random":
            wait_for_checkpoint(process, RunFolder(folder))
        try:
            process.wait(timeout=at)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait()

    def _moment(self, moment: str) -> float:
        if moment in TIMED:
            return self._random.uniform(0.05, 0.95) * (self.training if moment == "random" else self.starting)
        occasions = {
            "writing": 2 * EPOCHS,
            "before its name": 2 * EPOCHS,
            "after its name": 2 * EPOCHS,
            "metrics": EPOCHS,
        }
        return self._random.randint(1, occasions.get(moment, 1))

    @property
    def _data(self) -> list[object]:
        annotations = self._people / "annotations" / "person_keypoints_train.json"
        val = ["--val-annotations", annotations.with_name("person_keypoints_val.json"), "--evaluate-every", 1]
        images = self._people / "images"
        return ["--train-annotations", annotations, "--images", images, *val, "--batch-size", 4]

    def _distill(self, name: str) -> list[object]:
        teachers = [part for role in ("primary", "senior") for part in (f"--{role}", self._student(role))]
        how = ["--checkpoint-steps", 2, "--epochs", EPOCHS, "--workers", 1]
        return ["distill", "--student", NET, *teachers, *self._data, *how, "--out", self._out / name]

    def _student(self, name: str) -> Path:
        return self._out / name / "student.safetensors"


def command(*arguments: object) -> list[str]:
    """A command line of kdkit-pose, in this interpreter."""
    return [sys.executable, "-c", "from kdkit_pose_cli import main; main()", *map(str, arguments)]


def run(*arguments: object) -> None:
    """Run a command that must succeed."""
    found = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {found.stderr}")


def quiet(arguments: Sequence[object]) -> "subprocess.Popen[bytes]":
    """Start a command whose output nobody reads."""
    return subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def wait_for_checkpoint(process: "subprocess.Popen[bytes]", folder: RunFolder) -> None:
    """Wait until a run has its first checkpoint, or has ended."""
    while process.poll() is None and not folder.checkpoints.to_go_on_from:
        time.sleep(0.01)


def newest_step(folder: RunFolder) -> int:
    """The optimizer step of the newest checkpoint that can be read; 0 without one."""
    for path in folder.checkpoints.to_go_on_from:
        try:
            return int(load_checkpoint(path)["distiller"]["curriculum"]["steps"])
        except CheckpointError:
            continue
    return 0


def lines(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run, without the seconds."""
    return [{**line, "seconds": None} for line in RunFolder(folder).read_metrics()]


def moments(kills: int) -> list[str]:
    """What each kill waits for."""
    others = MOMENTS[1:]
    return ["random" if number % 2 == 0 else others[number // 2 % len(others)] for number in range(kills)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a new folder; by default one that is removed afterwards")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--pictures", type=int, default=12, help="of drawn people to learn from")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--side-by-side", type=int, default=2, help="runs at once")
    parser.add_argument("--json", type=Path, help="by default benchmarks/results/chaos-MACHINE.json")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        options.out = options.out or Path(folder) / "chaos"
        kill_all(options)


def kill_all(options: argparse.Namespace) -> None:
    started = time.monotonic()
    # Runs side by side share the cores, and do not wait for each other's threads.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // options.side_by_side)))
    chaos = Chaos(options.out, options.pictures, options.seed)
    chaos.prepare(options.side_by_side)
    print(f"undisturbed: {chaos.starting:.1f} s until the first checkpoint, then {chaos.training:.1f} s")
    print(f"{'kill':>4}  {'waited for':<16}{'at':>7}  {'hit':<5}{'saved step':>10}  {'identical':<10}half written")
    kills = []
    with ThreadPoolExecutor(options.side_by_side) as pool:
        for number, kill in enumerate(pool.map(chaos.kill, range(options.kills), moments(options.kills))):
            kills.append(kill)
            same = "yes" if kill.identical and kill.lines_identical else "NO"
            told = f"{number + 1:>4}  {kill.moment:<16}{kill.at:>7}  {'yes' if kill.hit else 'no':<5}"
            print(f"{told}{kill.saved_step:>10}  {same:<10}{', '.join(kill.half_written)}", flush=True)
    alike = sum(kill.identical and kill.lines_identical for kill in kills)
    hits = sum(kill.hit for kill in kills)
    seconds = time.monotonic() - started
    begun = sum(kill.saved_step > 0 for kill in kills)
    told = f"{hits} of {len(kills)} killed, {begun} of them after a checkpoint"
    print(f"{told}, {alike} of {len(kills)} identical, {seconds:.0f} s in all")
    machine = Machine.here()
    result = {
        "kills": [asdict(kill) for kill in kills],
        "undisturbed_seconds": {"until the first checkpoint": chaos.starting, "from there on": chaos.training},
        "seconds": seconds,
        "machine": asdict(machine),
        "versions": versions(),
        "commit": commit(),
    }
    path = options.json or ROOT / "benchmarks" / "results" / f"chaos-{machine.file}"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {path}")
    if alike < len(kills):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
