"""The steps that are profiled, from before to after."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from benchmarks.profiling.marks import STUDENT, TEACHER, Marked, marked
from benchmarks.profiling.setting import Setting
from benchmarks.reference.cached_discs import cached_discs
from benchmarks.reference.eager_loop import eager_step
from benchmarks.reference.minimal_loop import minimal_step
from benchmarks.reference.trainer_step import one_stage, trainer_step
from kdkit import Batch, CachedTeacher, Distiller, Performance, Teacher, fast_teacher
from kdkit_pose import MaskAwareTeacher, pose_student

RATE = 1e-3


@dataclass(frozen=True)
class Running:
    """A step that is ready to run.

    Attributes:
        step: trains the student on a batch.
        student: its network.
        weights: the teacher's.
        optimizer: what steps.
    """

    step: Callable[[Batch], object]
    student: nn.Module
    weights: tuple[Tensor, ...]
    optimizer: Optimizer


Make: TypeAlias = Callable[[Setting, list[Batch], Path], Running]


@dataclass(frozen=True)
class Variant:
    """A way to take a step.

    Attributes:
        name: as in the tables.
        about: what it is.
        make: returns it, given the setting, the batches, and a folder that is its own.
        taught: whether a teacher's network runs in it.
    """

    name: str
    about: str
    make: Make
    taught: bool = True


def _by_hand(loop: Callable[..., Callable[[Batch], Tensor]]) -> Make:
    def make(setting: Setting, batches: list[Batch], folder: Path) -> Running:
        student, teacher = setting.make_student(), setting.make_teacher()
        optimizer = Adam(student.parameters(), lr=RATE)
        step = loop(
            Marked(STUDENT, student).train(),
            optimizer,
            Marked(TEACHER, teacher).eval(),
            teacher_inputs=teacher.inputs,
            precision=setting.autocast,
        )
        return Running(step, student, tuple(teacher.parameters()), optimizer)

    return make


def _by_kdkit(teach: Callable[[Setting, list[Batch], Path], Teacher | None], best: bool) -> Make:
    def make(setting: Setting, batches: list[Batch], folder: Path) -> Running:
        teacher, student = teach(setting, batches, folder), setting.make_student()
        made: list[Optimizer] = []

        def adam(parameters: Iterable[Tensor], *, fused: bool | None = None) -> Optimizer:
            made.append(Adam(parameters, lr=RATE, fused=fused))
            return made[-1]

        distiller = Distiller(pose_student(student), one_stage(teacher))
        options = dict(setting.trainer_options)
        if best:
            options["performance"] = "max" if setting.compile else Performance(True, False, True)
        step = trainer_step(distiller, batches, folder / "run", optimizer=adam, **options)
        # Over the compiled student, where it is compiled: a mark inside would break its graph.
        distiller.run_student = marked(STUDENT, distiller.run_student)
        if teacher is not None:
            teacher.targets = marked(TEACHER, teacher.targets)  # type: ignore[method-assign]
        return Running(step, student, tuple(() if teacher is None else teacher.parameters()), made[0])

    return make


def _plain(setting: Setting, batches: list[Batch], folder: Path) -> Teacher:
    return MaskAwareTeacher("senior", setting.make_teacher())


def _fast(setting: Setting, batches: list[Batch], folder: Path) -> Teacher:
    # In an options' dict, since only so its kernels on a CPU have names in the trace.
    compile: Any = {"options": {"cpp.enable_kernel_profile": True}} if setting.compile else False
    return fast_teacher(_plain(setting, batches, folder), batches[0], compile=compile)


def _cached(setting: Setting, batches: list[Batch], folder: Path) -> Teacher:
    samples = sum(len(batch["id"]) for batch in batches)
    cache = cached_discs(folder / "cache", samples, (setting.width // 4, setting.height // 4))
    if not setting.gpu:
        return CachedTeacher("senior", cache)
    # As the loader's workers put the records there; looked up in the step, the host would wait for the device.
    for batch in batches:
        batch["records"] = cache.read_records(batch["id"].cpu(), batch["view"].cpu()).to(setting.device)
    return CachedTeacher("senior", cache, records="records")


VARIANTS = (
    Variant(
        "eager loop",
        "as older pose repositories write it: `benchmarks/reference/eager_loop.py`",
        _by_hand(eager_step),
    ),
    Variant("by hand", "the least code: `benchmarks/reference/minimal_loop.py`", _by_hand(minimal_step)),
    Variant("kdkit", "distiller and trainer as they are by default", _by_kdkit(_plain, best=False)),
    Variant("kdkit, max", '`performance="max"` and `fast_teacher`', _by_kdkit(_fast, best=True)),
    Variant(
        "kdkit, max, cached",
        "targets from a cache of `BitWindow(11)`",
        _by_kdkit(_cached, best=True),
        taught=False,
    ),
    Variant("plain training, max", "no teacher", _by_kdkit(lambda *_: None, best=True), taught=False),
)
