"""The same distillation as a LightningModule: Lightning has the loop, devices, precision and checkpoints.

python examples/interop/lightning_module.py          # needs: pip install lightning
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import task
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

import kdkit as kd
from kdkit.training import LearningRate, capture_random_state, restore_random_state


class Distillation(L.LightningModule):
    def __init__(self, distiller: kd.Distiller, batches: DataLoader) -> None:
        super().__init__()
        self.student = distiller.student  # the only submodule: teachers are neither trained nor saved
        self.distiller, self.batches, self.metrics = distiller, batches, {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam(self.student.parameters(), lr=1e-2)
        self.rate = LearningRate(optimizer)
        return optimizer

    def train_dataloader(self) -> DataLoader:
        # After a start Lightning draws batches before it tells the sampler the epoch, and skips none.
        curriculum, together = self.distiller.curriculum, self.trainer.accumulate_grad_batches
        curriculum.steps_per_epoch = -(-len(self.batches) // together)
        epoch, done = divmod(curriculum.steps, curriculum.steps_per_epoch)
        self.batches.sampler.set_epoch(epoch)
        self.batches.sampler.skip(done * together * self.batches.batch_size)
        return self.batches

    def on_fit_start(self) -> None:
        self.distiller.to(self.device)

    def on_train_start(self) -> None:
        # Going on from a checkpoint of an epoch's last step, Lightning neither validates nor ends that epoch.
        if self.distiller.curriculum.epochs < self.current_epoch:
            self.move(lambda: self.distiller.end_epoch(task.evaluate(self.student.module)))
            self.student.train()
        self.trainer.should_stop = self.distiller.curriculum.finished

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        step = self.distiller(batch)
        self.log_dict({f"loss/{name}": part for name, part in step.parts.items()})
        return step.total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        # Not in on_train_batch_end, which comes for accumulated batches too, and after a step's checkpoint.
        self.rate.apply(self.distiller.curriculum)
        super().optimizer_step(*args, **kwargs)
        self.move(self.distiller.advance)

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self.log("val/error", task.error(self.student(batch)["heatmap"], batch))

    def on_validation_epoch_end(self) -> None:
        self.metrics = {"val/error": float(self.trainer.callback_metrics["val/error"])}

    def on_train_epoch_end(self) -> None:
        metrics, self.metrics = self.metrics, {}  # not every epoch need have a validation
        if not self.distiller.curriculum.finished:
            self.move(lambda: self.distiller.end_epoch(metrics))

    def move(self, move: Callable[[], kd.Stage | None]) -> None:
        entered = move()
        if entered is not None and entered.optimizer == "fresh":
            self.optimizers().state.clear()
        self.trainer.should_stop = self.distiller.curriculum.finished

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["distillation"] = {"distiller": self.distiller.state_dict(), "random": capture_random_state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.distiller.load_state_dict(checkpoint["distillation"]["distiller"])
        restore_random_state(checkpoint["distillation"]["random"])


def fit(distiller: kd.Distiller, out: Path, save_every: int = 10, **settings: Any) -> None:
    torch.manual_seed(0)
    save = ModelCheckpoint(out, save_last=True, every_n_train_steps=save_every, enable_version_counter=False)
    # The curriculum says when it is over. The sanity check would draw from the random numbers. Several processes
    # would each count steps and end stages by themselves.
    own = {"max_epochs": -1, "num_sanity_val_steps": 0, "devices": 1, "logger": False, "callbacks": [save]}
    last = out / "last.ckpt"
    module = Distillation(distiller, task.loader(train=True))
    trainer = L.Trainer(**own | settings)
    trainer.fit(module, val_dataloaders=task.loader(train=False), ckpt_path=last if last.exists() else None)
    torch.save(distiller.student.module.state_dict(), out / "student.pth")


if __name__ == "__main__":
    distiller, out = task.start("runs/interop/lightning_module")
    fit(distiller, out)
    print(f"{distiller.curriculum.steps} steps, {task.evaluate(distiller.student.module)}")
