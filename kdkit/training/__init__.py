"""Training: the loop, its checkpoints and its run folder, on Hugging Face Accelerate.

A loop of one's own has its parts: the stages' learning rates, and the generators' state for an exact resume.
"""

from kdkit.training.dry_run_report import DryRun, StageTrial
from kdkit.training.dry_running import dry_run
from kdkit.training.evaluation import Evaluate
from kdkit.training.learning_rate import LearningRate
from kdkit.training.performance import Performance
from kdkit.training.preparation import Prepare
from kdkit.training.random_state import capture_random_state, restore_random_state
from kdkit.training.result import TrainingResult
from kdkit.training.spike_guard import Spike
from kdkit.training.stop_signals import TrainingStopped
from kdkit.training.trainer import Trainer

__all__ = [
    "DryRun",
    "Evaluate",
    "LearningRate",
    "Performance",
    "Prepare",
    "Spike",
    "StageTrial",
    "Trainer",
    "TrainingResult",
    "TrainingStopped",
    "capture_random_state",
    "dry_run",
    "restore_random_state",
]
