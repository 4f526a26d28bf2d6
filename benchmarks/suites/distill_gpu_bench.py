"""Distilling HRNet-W48 with a mask into HRNet-W16 on a GPU: 256x192, bf16, at three batch sizes.

At toy size the networks are small, and everything runs on the CPU, without the compiler.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
import torch

from benchmarks.measuring import Speed
from benchmarks.reference.cached_discs import cached_discs
from benchmarks.reference.eager_loop import eager_step
from benchmarks.reference.limit import best_student_step, best_teacher
from benchmarks.reference.random_batches import random_batches
from benchmarks.reference.trainer_step import one_stage, trainer_step
from kdkit import Batch, CachedTeacher, Distiller, FastTeacher, Performance, Teacher, fast_teacher
from kdkit_pose import MaskAwareTeacher, models, pose_student
from kdkit_pose.models import PoseNetwork

ADAM = partial(torch.optim.Adam, lr=1e-3)
INPUTS = ("image", "mask")
Mode: TypeAlias = Literal["default", "reduce-overhead"]
# Below, the host launches kernels more slowly than the device runs them, and CUDA graphs pay.
GRAPHS_UP_TO = 256


class Setting:
    """Networks, batches and how they run, at one batch size.

    Args:
        batch: samples a step.
        device: where all is.
        toy: small networks on small pictures, without the compiler.
    """

    def __init__(self, batch: int, device: torch.device, toy: bool) -> None:
        self.batch, self.device, self.toy = batch, device, toy
        self.input_size = (64, 64) if toy else (192, 256)
        self.name = f"HRNet-W48 + mask to HRNet-W16, 256x192, batch {batch}"
        self.calls = max(2, 640 // batch)
        self.mode: Mode = "reduce-overhead" if batch <= GRAPHS_UP_TO else "default"

    def batches(self, count: int = 3, *, channels_last: bool = True) -> list[Batch]:
        """Return random batches on the device."""
        size = 2 if self.toy else self.batch
        return random_batches(count, size, self.input_size, device=self.device, channels_last=channels_last)

    def student(self) -> PoseNetwork:
        """Return a new student."""
        return models.create("hrnet_w8_small" if self.toy else "hrnet_w16").to(self.device)

    def teacher_network(self) -> PoseNetwork:
        """Return a new teacher's network, frozen."""
        name = "hrnet_w8_small" if self.toy else "hrnet_w48"
        return models.create(name, mask_fusion="concat").to(self.device).eval().requires_grad_(False)

    def fast_teacher(self, mode: Mode | None = None) -> FastTeacher:
        """Return kdkit's fastest teacher, compiled in the setting's mode or another."""
        teacher = MaskAwareTeacher("senior", self.teacher_network())
        compile: bool | dict[str, Any] = False if self.toy else {"mode": mode or self.mode}
        return fast_teacher(teacher, self.batches(1)[0], compile=compile)

    def trainer_step(
        self,
        teacher: Teacher | None,
        batches: Sequence[Batch],
        folder: Path,
        *,
        mode: Mode | None = None,
        cuda_graph: bool = False,
    ) -> Callable[[Batch], None]:
        """Return a step of kdkit's trainer at its best; plain training without a teacher.

        Args:
            teacher: the teacher, or None.
            batches: what the trainer counts.
            folder: of the run; must not exist.
            mode: the student is compiled in it; in the setting's by default.
            cuda_graph: replay the whole step as one graph.
        """
        performance = Performance(
            channels_last=True,
            compile=False if self.toy else mode or self.mode,
            fused_optimizer=True,
            cuda_graph=cuda_graph,
        )
        return trainer_step(
            Distiller(pose_student(self.student()), one_stage(teacher)),
            batches,
            folder,
            optimizer=ADAM,
            performance=performance,
            precision="bf16",
            cpu=self.device.type == "cpu",
        )

    def limit_step(self) -> Callable[[Batch], None]:
        """Return the teacher's forward alone, then the student's training step alone."""
        mode = None if self.toy else self.mode
        teacher = best_teacher(self.teacher_network(), INPUTS, compile_mode=mode)
        student = best_student_step(self.student(), compile_mode=mode)

        def step(batch: Batch) -> None:
            teacher(batch)
            student(batch)

        return step

    def eager_step(self) -> Callable[[Batch], object]:
        """Return the step of older repositories."""
        student = self.student()
        optimizer = ADAM(student.parameters())
        step = eager_step(
            student, optimizer, self.teacher_network(), teacher_inputs=INPUTS, precision=torch.bfloat16
        )
        return step


@pytest.fixture(params=[64, 256, 1024], ids="batch {}".format)
def setting(request: pytest.FixtureRequest, device: torch.device, toy: bool) -> Iterator[Setting]:
    """Return the setting of a batch size; at toy size only the first, since all are the same there."""
    if toy and request.param > 64:
        pytest.skip("at toy size all batches are the same")
    # What was compiled for another batch size would be compiled again for any.
    torch.compiler.reset()
    yield Setting(request.param, device, toy)
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def test_online(cuda_compare: Callable[..., Any], setting: Setting, tmp_path: Path) -> None:
    batches = setting.batches()
    steps = {
        "online": setting.trainer_step(setting.fast_teacher(), batches, tmp_path / "run"),
        "limit": setting.limit_step(),
        "eager loop": setting.eager_step(),
    }
    targets = {"limit": Speed(at_least=0.90), "eager loop": Speed(at_least=3)}
    cuda_compare(f"online, {setting.name}", steps, targets, inputs=batches, calls=setting.calls, seconds=30)


def test_cuda_graph(cuda_compare: Callable[..., Any], setting: Setting, tmp_path: Path) -> None:
    if setting.batch > 64:
        pytest.skip("the graph of the whole step is for small batches")
    batches = setting.batches()

    def step(name: str, mode: Mode, **options: bool) -> Callable[[Batch], None]:
        return setting.trainer_step(setting.fast_teacher(mode), batches, tmp_path / name, mode=mode, **options)

    steps = {
        "one graph": step("one", "default", cuda_graph=True),
        "no graph": step("none", "default"),
        "graphs of teacher and student": step("two", "reduce-overhead"),
    }
    # Without bounds: that it is not part of performance="max" is decided anew once it was measured.
    targets = {"no graph": Speed(), "graphs of teacher and student": Speed()}
    cuda_compare(f"CUDA graph, {setting.name}", steps, targets, inputs=batches, calls=setting.calls, seconds=30)


def test_cached(cuda_compare: Callable[..., Any], setting: Setting, tmp_path: Path) -> None:
    without = setting.batches()
    width, height = setting.input_size
    samples = sum(len(batch["id"]) for batch in without)
    cache = cached_discs(tmp_path / "cache", samples, (width // 4, height // 4))
    # As the loader's workers put the records there.
    batches = [
        {**batch, "records": cache.read_records(batch["id"].cpu(), batch["view"].cpu()).to(setting.device)}
        for batch in without
    ]
    steps = {
        "cached": setting.trainer_step(CachedTeacher("senior", cache, records="records"), batches, tmp_path / "a"),
        "plain training": setting.trainer_step(None, batches, tmp_path / "b"),
        "online": setting.trainer_step(setting.fast_teacher(), batches, tmp_path / "c"),
    }
    targets = {"plain training": Speed(at_least=0.95), "online": Speed(at_least=2.5)}
    cuda_compare(f"cached, {setting.name}", steps, targets, inputs=batches, calls=setting.calls, seconds=30)


def test_memory(measure: Callable[..., None], setting: Setting, tmp_path: Path) -> None:
    batches = setting.batches(1)

    def teacher_alone() -> Callable[[Batch], object]:
        return setting.fast_teacher().targets

    online = _peak(
        lambda: setting.trainer_step(setting.fast_teacher(), batches, tmp_path / "a"), batches[0], setting.device
    )
    student = _peak(lambda: setting.trainer_step(None, batches, tmp_path / "b"), batches[0], setting.device)
    # Its weights and one set of activations.
    teacher = _peak(teacher_alone, batches[0], setting.device)
    measure(
        f"memory, {setting.name}",
        online / (student + teacher),
        "",
        at_most=1.05,
        what="peak memory, as a share of plain training's and the teacher's alone,",
        of="online",
    )


def _peak(make: Callable[[], Callable[[Batch], object]], batch: Batch, device: torch.device) -> int:
    """Return the most bytes of the device that a step takes, its networks included.

    It is 1 on the CPU, which counts none.
    """
    if device.type == "cpu":
        make()(batch)
        return 1
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    step = make()
    for _ in range(3):
        step(batch)
    # What compiling took is over.
    torch.cuda.reset_peak_memory_stats()
    step(batch)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
