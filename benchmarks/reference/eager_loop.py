"""A distillation step as older pose repositories write it, from scratch.

What they have in common, and what it costs: the frozen teacher keeps float32 weights and runs under the student's
autocast, which casts them anew at every step; tensors lie contiguous, not with channels innermost; nothing is
compiled or fused; the loss goes joint by joint in a Python loop, as the HRNet reference's JointsMSELoss; and
losses are read by ``.item()`` at every step, where the host waits for the device.
"""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.reference.minimal_loop import Step, autocast
from kdkit import Batch


class LossByJoint(nn.Module):
    """Half the squared error of visible joints, a mean over the joints that are gone through one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.criterion = nn.MSELoss()

    def forward(self, output: Tensor, target: Tensor, visible: Tensor) -> Tensor:
        """Return the loss of maps [B, K, h, w] with weights [B, K]."""
        joints = output.shape[1]
        outputs = torch.split(output.flatten(2), 1, dim=1)
        targets = torch.split(target.flatten(2), 1, dim=1)
        loss = output.new_zeros(())
        for joint in range(joints):
            weight = visible[:, joint, None]
            predicted, true = outputs[joint].squeeze(1), targets[joint].squeeze(1)
            loss = loss + 0.5 * self.criterion(predicted * weight, true * weight)
        return loss / joints


class RunningMean:
    """The mean of what it was told, over a run."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def add(self, value: float, count: int) -> None:
        self.total += value * count
        self.count += count


def eager_step(
    student: nn.Module,
    optimizer: Optimizer,
    teacher: nn.Module | None = None,
    *,
    teacher_inputs: tuple[str, ...] = ("image",),
    precision: torch.dtype | None = None,
) -> Step:
    """Return the step of such a loop; the arguments are those of :func:`minimal_step`."""
    student.train()
    loss_by_joint = LossByJoint()
    truth_mean, teacher_mean = RunningMean(), RunningMean()

    def step(batch: Batch) -> Tensor:
        image, samples = batch["image"].contiguous(), len(batch["image"])
        with autocast(image, precision):
            heatmap = student(image)
            loss: Tensor
            loss = truth_loss = loss_by_joint(heatmap, batch["heatmap"], batch["visible"])
            if teacher is not None:
                with torch.no_grad():
                    target = teacher(*(batch[name].contiguous() for name in teacher_inputs))
                teacher_loss = loss_by_joint(heatmap, target, batch["visible"])
                loss = 0.5 * truth_loss + 0.5 * teacher_loss
                teacher_mean.add(teacher_loss.item(), samples)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        truth_mean.add(truth_loss.item(), samples)
        return loss.detach()

    return step
