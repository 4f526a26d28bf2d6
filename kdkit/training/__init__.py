"""Training: the loop, its checkpoints and its run folder, on Hugging Face Accelerate."""

from kdkit.training.trainer import Evaluate, Trainer, TrainingResult

__all__ = ["Evaluate", "Trainer", "TrainingResult"]
