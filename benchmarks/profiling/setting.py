"""What is profiled: networks, size of pictures and batch, device and precision."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.reference.random_batches import random_batches
from kdkit import Batch
from kdkit_pose import models
from kdkit_pose.models import PoseNetwork, count_macs


@dataclass(frozen=True)
class Setting:
    """A distillation's setting.

    Attributes:
        teacher: the name of a network of ``kdkit_pose.models``.
        student: another.
        mask: whether the teacher reads the mask, too.
        width: of the pictures.
        height: of the pictures.
        batch: samples a step.
        device: ``cpu`` or ``cuda``.
        precision: ``float32``, or ``bfloat16`` for the student's autocast.
        compile: whether what can be is compiled.
    """

    teacher: str
    student: str
    mask: bool
    width: int
    height: int
    batch: int
    device: str
    precision: str
    compile: bool

    @classmethod
    def default(cls, device: str) -> "Setting":
        """Return what is profiled on a device where nothing else is said."""
        if device == "cuda":
            return cls("hrnet_w48", "hrnet_w16", True, 192, 256, 64, device, "bfloat16", True)
        # A compiler works for minutes on the teacher here, and fast_teacher folds without it.
        return cls("hrnet_w32", "hrnet_w16", True, 96, 128, 16, device, "float32", False)

    def toy(self) -> "Setting":
        """Return the same with small networks and pictures, without the compiler."""
        small = {"teacher": "hrnet_w8_small", "student": "hrnet_w8_small", "width": 64, "height": 64, "batch": 2}
        return replace(self, **small, compile=False)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """All of it in words."""
        teacher = self.teacher + (" + mask" if self.mask else "")
        size = f"{self.height}x{self.width}, batch {self.batch}"
        compiled = ", compiled" if self.compile else ""
        return f"{teacher} to {self.student}, {size}, {self.precision}, {self.device.upper()}{compiled}"

    @property
    def gpu(self) -> bool:
        """Whether it is one of a CUDA device."""
        return self.device == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """What most of it computes in."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    @property
    def autocast(self) -> torch.dtype | None:
        """The student's autocast in loops written by hand."""
        return None if self.precision == "float32" else self.dtype

    @property
    def trainer_options(self) -> dict[str, Any]:
        """Of kdkit's trainer."""
        return {"cpu": not self.gpu, **({} if self.autocast is None else {"precision": "bf16"})}

    def make_student(self) -> PoseNetwork:
        """Return a new student."""
        return models.create(self.student).to(self.device)

    def make_teacher(self) -> PoseNetwork:
        """Return a new teacher's network, frozen."""
        network = models.create(self.teacher, mask_fusion="concat" if self.mask else "none")
        return network.to(self.device).eval().requires_grad_(False)

    def batches(self, count: int = 3) -> list[Batch]:
        """Return random batches on the device."""
        return random_batches(count, self.batch, (self.width, self.height), device=self.device)

    def flops(self, *, taught: bool) -> int:
        """Return the operations of a step, two a multiply-add: the way back takes twice the way there."""
        size = (self.width, self.height)
        macs = 3 * count_macs(self.make_student(), size)
        if taught:
            macs += count_macs(self.make_teacher(), size)
        return 2 * self.batch * macs
