"""Recipes compared on few real persons: every network was trained on drawn people before.

A few hundred persons teach no network to find joints. So each begins from weights of the synthetic benchmark,
found in its folder or trained there:

1. the benchmark's primary, senior and blind teachers are trained on, each on the real training persons by the same
   recipe, and evaluated on the real validation persons before and after;
2. the benchmark's plain student of seed 0 is the students' beginning, of every row and seed: that of the row
   `plain`, or of `plain_binary_bce` where the rows learn by cross-entropy;
3. `kdkit-pose ablate --init` compares rows on the real persons, at equal epochs and with the same augmentation.

    python benchmarks/real_ablation.py --data coco-pose-mini --benchmark runs/benchmark --out runs/real

Each step is a command, which is printed. What is finished is not done again: the same line goes on with what was
stopped, and started twice at once it shares the work between two processes. `--data` is a folder with COCO's own
names: `annotations/person_keypoints_train2017.json`, the same of `val2017`, and `images`, the pictures of both.
All boxes are ground truth's.
"""

import argparse
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kdkit import ConfigurationError
from kdkit.claims import claim
from kdkit.files import write_atomically
from kdkit_pose import CocoKeypoints, codecs
from kdkit_pose.ablation import CORE, CORE_BCE, SMALL, SyntheticBenchmark, roles_of, rows_named
from kdkit_pose_cli.app import app

Stage = tuple[Path, Callable[[], object]]
"""What no two processes do at once, by a path that is its own, and the doing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of real persons, with COCO's names")
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of the small synthetic benchmark")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is trained on real persons")
    parser.add_argument("--labels", choices=("coco", "exact"), default="coco", help="of the drawn people")
    parser.add_argument(
        "--rows", default=",".join(CORE), help=f"all by one loss; by cross-entropy {','.join(CORE_BCE)}"
    )
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--epochs", type=int, default=40, help="of every row")
    parser.add_argument("--teacher-epochs", type=int, default=40, help="of every teacher, on real persons")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="Adam's, of teachers and students")
    parser.add_argument(
        "--json",
        type=Path,
        help="a file for the study; networks/ beside it under its name holds the others' AP",
    )
    arguments = parser.parse_args()

    chain = RealAblation(arguments)
    # First what nobody is at, then what others have not finished.
    for left, do in [stage for stage in chain.stages() if not _done(*stage, wait=False)]:
        _done(left, do, wait=True)
    chain.ablate()
    chain.write_networks()


class RealAblation:
    """The chain of commands.

    Args:
        arguments: the script's.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._given = arguments
        names = arguments.rows.split(",")
        self._roles = roles_of(names)
        self._plain = _beginning(names)
        self._benchmark = SyntheticBenchmark(arguments.benchmark, SMALL, arguments.labels, say=print)
        self._out: Path = arguments.out
        annotations = arguments.data / "annotations"
        self._train, self._val = (annotations / f"person_keypoints_{split}2017.json" for split in ("train", "val"))
        self._data = [
            *("--train-annotations", self._train),
            *("--images", arguments.data / "images", "--val-annotations", self._val),
        ]
        self._fitting = [
            *("--batch-size", arguments.batch_size, "--learning-rate", arguments.learning_rate),
            *("--schedule", "cosine"),
        ]

    def stages(self) -> Iterator[Stage]:
        """What comes before the rows: no stage needs another of them."""
        yield self._out / "student", self._pretrain_student
        for role in self._roles:
            yield self._out / "teachers" / role, lambda role=role: self._fine_tune(role)

    def ablate(self) -> None:
        """Compare the rows."""
        given = self._given
        _run(
            *("ablate", "--student", SMALL.student, "--init", self._student),
            *(part for role in self._roles for part in (f"--{role.removesuffix('_bce')}", self._teacher(role))),
            *(*self._data, *self._fitting, "--cache-images"),
            *("--epochs", given.epochs, "--evaluate-every", max(given.epochs // 5, 1)),
            *("--rows", given.rows, "--seeds", given.seeds, "--out", self._out / "study"),
            *(("--json", given.json) if given.json else ()),
        )

    def write_networks(self) -> None:
        """Say what the networks that rows began with are worth on the real validation persons."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for evaluated in sorted((self._out / "evaluated").glob("*.json")):
            network, learned = evaluated.stem.split(", ")
            found.setdefault(network, {})[learned] = json.loads(evaluated.read_text())
            metrics = found[network][learned]
            print(f"{evaluated.stem}: AP {metrics['AP']:.3f} on real validation persons, ground truth boxes")
        if (path := self._given.json) is not None:
            persons = {"train": self._count(self._train), "val": self._count(self._val)}
            content = json.dumps({"persons": persons, "networks": found}, indent=1).encode()
            beside = path.parent / "networks" / path.name
            beside.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(beside, lambda file: file.write(content))

    def _count(self, annotations: Path) -> int:
        codec = codecs.create("dark", SMALL.input_size)
        return len(CocoKeypoints(annotations, self._given.data / "images", codec=codec))

    @property
    def _student(self) -> Path:
        """The synthetic benchmark's plain student of seed 0, where its study keeps it."""
        return self._students / self._plain / "seed-0" / "run" / "student.safetensors"

    @property
    def _students(self) -> Path:
        return self._given.benchmark / f"{self._given.labels}-{SMALL.student}"

    def _pretrain_student(self) -> None:
        # An ablation is of two rows or more; only one of these is trained.
        ablation = self._benchmark.study(()).ablation((self._plain, "plain_twice"), (0,), self._students)
        trial = ablation.trial_path(self._plain, 0)
        trial.parent.mkdir(parents=True, exist_ok=True)
        with claim(trial, wait=True):  # as a study does
            if not trial.exists():
                ablation.variants[0].train(0, self._student.parent)
        self._evaluate("student, drawn people", self._student)

    def _teacher(self, role: str) -> Path:
        return self._out / "teachers" / role / "student.safetensors"

    def _fine_tune(self, role: str) -> None:
        drawn = self._benchmark.teacher(role)
        before = self._given.benchmark / f"teachers-{self._given.labels}" / role / "student.safetensors"
        self._evaluate(f"{role}, drawn people", before)
        epochs, folder = self._given.teacher_epochs, self._teacher(role).parent
        _run(
            *("train", "--model", drawn.name, "--mask-fusion", drawn.mask_fusion.name, "--checkpoint", before),
            *(*self._data, *self._fitting, "--epochs", epochs, "--evaluate-every", epochs),
            *("--export", "last", "--out", folder),
        )
        self._evaluate(f"{role}, real persons", self._teacher(role))

    def _evaluate(self, name: str, network: Path) -> None:
        path = self._out / "evaluated" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            data = ["--annotations", self._val, "--images", self._given.data / "images"]
            _run("evaluate", "--checkpoint", network, *data, "--json", path)


def _beginning(names: Sequence[str]) -> str:
    """Return the row of drawn people whose student all begin from.

    Raises:
        ConfigurationError: if rows learn behind a sigmoid and without one, or their teachers have one option.
    """
    rows = rows_named(names)
    if len({row.activation for row in rows.values()}) > 1:
        raise ConfigurationError(
            f"of {', '.join(names)} some learn behind a sigmoid and some without one, and all begin from one "
            f"student: compare them apart"
        )
    roles = roles_of(names)
    if twice := [role for role in roles if f"{role}_bce" in roles]:
        raise ConfigurationError(
            f"of {', '.join(names)} some learn from a {twice[0]} by squared error and some from one by "
            f"cross-entropy: compare them apart"
        )
    return "plain" if rows[names[0]].activation == "none" else "plain_binary_bce"


def _done(path: Path, do: Callable[[], object], *, wait: bool) -> bool:
    """Do a stage unless another process is at it and is not waited for; whether it is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with claim(path, wait=wait) as claimed:
        if claimed:
            do()
    return claimed


def _run(*arguments: object) -> None:
    """Run a command of kdkit-pose in this process."""
    words = [str(argument) for argument in arguments]
    print(f"$ kdkit-pose {shlex.join(words)}", flush=True)
    app(words, standalone_mode=False)


if __name__ == "__main__":
    main()
