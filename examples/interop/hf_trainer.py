"""The same distillation in Hugging Face's Trainer, which has the loop, devices, precision and checkpoints.

python examples/interop/hf_trainer.py                # needs: pip install transformers accelerate
"""

from pathlib import Path
from typing import Any

import task
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

import kdkit as kd
from kdkit.training import LearningRate


class DistillingTrainer(Trainer):
    def __init__(self, distiller: kd.Distiller, batches: DataLoader, args: TrainingArguments) -> None:
        optimizer = torch.optim.Adam(distiller.student.parameters(), lr=1e-2)
        # The rate is the stage's: the trainer's own scheduler would let it fall to 0 from the start.
        constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        super().__init__(distiller.student, args, optimizers=(optimizer, constant))
        self.distiller, self.batches = distiller.to(args.device), batches
        self.add_callback(Follow(distiller, batches, LearningRate(optimizer)))

    def get_train_dataloader(self) -> DataLoader:
        return self.batches

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Tensor:
        self.distiller.run_student = model  # the student as the trainer wrapped it
        return self.distiller(inputs).total

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        folder = Path(output_dir or self.args.output_dir)
        torch.save(self.distiller.state_dict(), folder / "distiller.pt")
        save_file(self.distiller.student.module.state_dict(), folder / "student.safetensors")

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        if resume_from_checkpoint:
            self.distiller.load_state_dict(torch.load(Path(resume_from_checkpoint) / "distiller.pt"))
            if self.distiller.curriculum.finished:
                self.args.num_train_epochs = self.distiller.curriculum.epochs  # load the student, take no step
        return super().train(resume_from_checkpoint, **kwargs)


class Follow(TrainerCallback):
    """Moves the curriculum with the trainer's steps and epochs."""

    def __init__(self, distiller: kd.Distiller, batches: DataLoader, rate: LearningRate) -> None:
        self.distiller, self.batches, self.rate = distiller, batches, rate

    def on_train_begin(self, args, state, control, **kwargs):
        self.distiller.curriculum.steps_per_epoch = -(-len(self.batches) // args.gradient_accumulation_steps)

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.batches.sampler.set_epoch(self.distiller.curriculum.epochs)

    def on_step_begin(self, args, state, control, **kwargs):
        self.rate.apply(self.distiller.curriculum)

    def on_step_end(self, args, state, control, optimizer, **kwargs):
        curriculum = self.distiller.curriculum
        entered = self.distiller.advance()
        # Here and not in on_epoch_end, which comes after the checkpoint of the epoch's last step.
        if state.epoch.is_integer() and not curriculum.finished:
            entered = self.distiller.end_epoch(task.evaluate(self.distiller.student.module)) or entered
        if entered is not None and entered.optimizer == "fresh":
            optimizer.state.clear()
        if curriculum.finished:
            control.should_save = control.should_training_stop = True


def fit(distiller: kd.Distiller, out: Path, save_every: int = 10, **settings: Any) -> None:
    settings = {
        "num_train_epochs": 1000,  # the curriculum says when it is over
        "max_grad_norm": 0.0,  # the default clips
        "remove_unused_columns": False,  # teachers read fields that the student does not
        "seed": 0,
        "report_to": "none",
        "save_strategy": "steps",
        "save_steps": save_every,
        **settings,
    }
    trainer = DistillingTrainer(distiller, task.loader(train=True), TrainingArguments(str(out), **settings))
    trainer.train(get_last_checkpoint(out) if out.exists() else None)
    trainer.save_model()


if __name__ == "__main__":
    distiller, out = task.start("runs/interop/hf_trainer")
    fit(distiller, out)
    print(f"{distiller.curriculum.steps} steps, {task.evaluate(distiller.student.module)}")
