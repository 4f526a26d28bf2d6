"""kdkit: compose knowledge distillation in Python.

A *teacher* gives targets, a *student* learns, *objectives* say what from, *stages* order them in time, and a
*curriculum* is the whole plan. A *distiller* binds student and curriculum, and a *trainer* runs it; the
distiller also works in a loop of one's own:

>>> import torch
>>> from torch import nn
>>> from kdkit import Binarize, Curriculum, Distill, Distiller, Epochs, ModuleTeacher, Stage, Student, Supervise
>>> from kdkit import losses

Any network is a teacher, and may read fields that the student never sees:

>>> _ = torch.manual_seed(0)
>>> primary = ModuleTeacher("primary", nn.Conv2d(3, 5, 3, padding=1), inputs="image", outputs="heatmap")
>>> senior = ModuleTeacher("senior", nn.Conv2d(3, 5, 5, padding=2), inputs="image", outputs="heatmap")
>>> student = Student(nn.Conv2d(3, 5, 1), inputs="image", outputs="heatmap")

First one teacher, then the other with binarized targets:

>>> curriculum = Curriculum(
...     Stage("primary", [Supervise("heatmap", losses.mse, weight=0.5),
...                       Distill(primary, "heatmap", losses.mse, weight=0.5)], until=Epochs(2)),
...     Stage("senior", [Distill(senior, "heatmap", losses.mse, transform=Binarize(0.5))], until=Epochs(1)),
... )
>>> distiller = Distiller(student, curriculum)

The loop is the one every PyTorch user knows:

>>> batch = {"image": torch.randn(4, 3, 16, 12), "heatmap": torch.rand(4, 5, 16, 12)}
>>> optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
>>> while not curriculum.finished:
...     step = distiller(batch)
...     step.total.backward()
...     optimizer.step()
...     optimizer.zero_grad()
...     _ = distiller.advance()  # the stage that this begins, or None
...     _ = distiller.end_epoch()
>>> [stage.name for stage in curriculum], curriculum.epochs
(['primary', 'senior'], 3)

The student was never wrapped: ``student.module`` is the network handed in.
"""

from kdkit import losses
from kdkit.adaptors import Adaptor, MaskedGeneration
from kdkit.alternate import Alternate
from kdkit.balance import Balance, GradientNorm, Magnitude, Uncertainty
from kdkit.batch import Batch
from kdkit.cache import CachedTeacher, TargetCache, build_cache
from kdkit.condition import Condition, Epochs, Plateau, Reached, StageProgress, Steps
from kdkit.curriculum import Curriculum
from kdkit.distill import Distill
from kdkit.distiller import Distiller
from kdkit.ema_teacher import EMATeacher
from kdkit.ensemble_teacher import EnsembleTeacher
from kdkit.errors import (
    BatchError,
    CacheError,
    CheckpointError,
    ConfigurationError,
    DataError,
    ExportError,
    KdkitError,
    LossSpikeError,
    NonFiniteLossError,
    RunFolderError,
)
from kdkit.fast_teachers import FastTeacher
from kdkit.imitate import Imitate
from kdkit.limits import Limits
from kdkit.making_fast import fast_teacher
from kdkit.module_teacher import ModuleTeacher
from kdkit.moment import Moment
from kdkit.objective import Objective
from kdkit.peers import Peers
from kdkit.ramp import Ramp
from kdkit.run_condition import RunEpochs, RunSteps
from kdkit.schedule import Constant, Cosine, Linear, Schedule, Step
from kdkit.sharded_teacher import ShardedTeacher
from kdkit.stage import Stage
from kdkit.step_context import StepContext
from kdkit.step_losses import StepLosses
from kdkit.student import Student
from kdkit.supervise import Supervise
from kdkit.teacher import Teacher
from kdkit.teacher_agreement import OutputAgreement, TeacherAgreement
from kdkit.timeline import Timeline, weights_over_run
from kdkit.timeline_picture import draw_timeline
from kdkit.training import DryRun, Performance, Spike, Trainer, TrainingResult, TrainingStopped, dry_run
from kdkit.transformed_teacher import TransformedTeacher
from kdkit.transforms import (
    Binarize,
    Channels,
    Identity,
    Normalize,
    Resize,
    Standardize,
    TargetTransform,
    Temperature,
    Truncate,
)
from kdkit.weighting import Agreement, Confidence, EasyFirst, Score, TeacherRegion, Weighting

__version__ = "0.1.0"

__all__ = [
    "Adaptor",
    "Agreement",
    "Alternate",
    "Balance",
    "Batch",
    "BatchError",
    "Binarize",
    "CacheError",
    "CachedTeacher",
    "Channels",
    "CheckpointError",
    "Condition",
    "Confidence",
    "ConfigurationError",
    "Constant",
    "Cosine",
    "Curriculum",
    "DataError",
    "Distill",
    "Distiller",
    "DryRun",
    "EMATeacher",
    "EasyFirst",
    "EnsembleTeacher",
    "Epochs",
    "ExportError",
    "FastTeacher",
    "GradientNorm",
    "Identity",
    "Imitate",
    "KdkitError",
    "Limits",
    "Linear",
    "LossSpikeError",
    "Magnitude",
    "MaskedGeneration",
    "ModuleTeacher",
    "Moment",
    "NonFiniteLossError",
    "Normalize",
    "Objective",
    "OutputAgreement",
    "Peers",
    "Performance",
    "Plateau",
    "Ramp",
    "Reached",
    "Resize",
    "RunEpochs",
    "RunFolderError",
    "RunSteps",
    "Schedule",
    "Score",
    "ShardedTeacher",
    "Spike",
    "Stage",
    "StageProgress",
    "Standardize",
    "Step",
    "StepContext",
    "StepLosses",
    "Steps",
    "Student",
    "Supervise",
    "TargetCache",
    "TargetTransform",
    "Teacher",
    "TeacherAgreement",
    "TeacherRegion",
    "Temperature",
    "Timeline",
    "Trainer",
    "TrainingResult",
    "TrainingStopped",
    "TransformedTeacher",
    "Truncate",
    "Uncertainty",
    "Weighting",
    "build_cache",
    "draw_timeline",
    "dry_run",
    "fast_teacher",
    "losses",
    "weights_over_run",
]
